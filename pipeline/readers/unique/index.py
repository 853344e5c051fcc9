"""Index of the keys that were met: hashes in sorted runs, of which the large ones are in files: memory is bounded."""

from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.readers.unique.hashes import Hashes
from pipeline.readers.unique.runs import Lines, Numbers, Run, SpilledRuns, merged

RUNS = 16  # in memory; more of them are merged into one
SPILLED = 1 << 18  # rows in memory, which are then put into a file as one run
_BITS = 27  # of a hash that make its place in the filter, which takes 16 MiB


class Index:
    """Keys that were met, each with its line."""

    def __init__(self, folder: Path | None) -> None:
        self._spilled, self._runs = SpilledRuns(folder) if folder else None, list[Run]()
        self._filter: NDArray[np.uint8] | None = None

    def find(self, hashes: Hashes) -> tuple[Numbers, Lines]:
        """Return numbers of hashes that are there, and their lines; a hash may be there more than once."""
        numbers, lines = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        if self._filter is None and self._runs:  # most files have one batch, and need none
            self._make_filter()
        if self._filter is not None:
            bytes_, bits = _bits(hashes)
            chosen = np.flatnonzero(self._filter[bytes_] & bits)
            order = chosen[np.argsort(hashes[chosen], kind="stable")]
            wanted = hashes[order]
            spilled = self._spilled.find(wanted) if self._spilled else ()
            for places, known in chain(spilled, *(run.find(wanted) for run in self._runs)):
                numbers.append(order[places])
                lines.append(known)
        return np.concatenate(numbers), np.concatenate(lines)

    def add(self, hashes: Hashes, lines: Lines) -> None:
        """Add hashes, which are in order, and their lines."""
        if self._filter is not None:
            self._set(hashes)
        self._runs.append(Run(hashes, lines))
        size = sum(len(run.hashes) for run in self._runs)
        if len(self._runs) > RUNS or size >= SPILLED:
            self._runs = [merged(self._runs)]
        if self._spilled and size >= SPILLED:
            if self._filter is None:
                self._make_filter()
            self._spilled.add(self._runs.pop())

    def close(self) -> None:
        """Remove the file of the spilled runs."""
        if self._spilled:
            self._spilled.close()

    def _make_filter(self) -> None:
        self._filter = np.zeros(1 << (_BITS - 3), np.uint8)
        for run in self._runs:
            self._set(run.hashes)

    def _set(self, hashes: Hashes) -> None:
        assert self._filter is not None
        places, bits = _bits(hashes)
        first = np.flatnonzero(np.diff(places, prepend=-1))
        if len(first):
            self._filter[places[first]] |= np.bitwise_or.reduceat(bits, first)


def _bits(hashes: Hashes) -> tuple[Numbers, NDArray[np.uint8]]:
    """Return the byte of each hash in the filter, and its bit there."""
    numbers = (hashes >> np.uint64(64 - _BITS)).astype(np.int64)
    return numbers >> 3, np.left_shift(1, numbers & 7).astype(np.uint8)
