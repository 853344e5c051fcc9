"""Index of the keys that were met: hashes in sorted runs, of which the large ones are files, so memory is bounded.

A hash alone decides nothing: where it is known already, the keys themselves are compared, from a log of all of them.
"""

import mmap
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.readers.unique.hashes import Hashes

Lines = NDArray[np.int64]
Mask = NDArray[np.bool_]

RUNS = 16  # in memory; more of them are merged into one
SPILLED = 1 << 19  # rows in memory, which are then put into a file as one run
LOG_SIZE = 4 << 20  # bytes of keys in memory
_BITS = 27  # of a hash that make its place in the filter, which takes 16 MiB


class Run(NamedTuple):
    """Hashes in order, and the line of each; a spilled run is in a file."""

    hashes: Hashes
    lines: Lines
    spilled: bool = False


class Index:
    """Keys that were met, each with its line."""

    def __init__(self, folder: Path | None) -> None:
        self._spilled, self._runs = _Spilled(folder) if folder else None, list[Run]()
        self._filter: NDArray[np.uint8] | None = None

    def may_have(self, hashes: Hashes) -> Mask:
        """Mark the hashes, which are in order, that may be there."""
        if not self._runs:
            return np.zeros(len(hashes), bool)
        if self._filter is None:  # most files have one batch, and need none
            self._filter = np.zeros(1 << (_BITS - 3), np.uint8)
            for run in self._runs:
                self._set(run.hashes)
        places, bits = _bits(hashes)
        found: Mask = (self._filter[places] & bits) != 0
        return found

    def find(self, hashes: Hashes) -> tuple[NDArray[np.int64], Lines]:
        """Return numbers of hashes that are there, and their lines; a hash may be there more than once."""
        order = np.argsort(hashes)
        numbers, lines = list[NDArray[np.int64]](), list[Lines]()
        for run in self._runs:
            first = np.searchsorted(run.hashes, hashes[order], "left")
            counts = np.searchsorted(run.hashes, hashes[order], "right") - first
            many = np.repeat(np.arange(len(order)), counts)
            if len(many):
                place = np.arange(len(many)) - np.repeat(np.cumsum(counts) - counts, counts)
                numbers.append(order[many])
                lines.append(np.asarray(run.lines[first[many] + place]))
            if run.spilled and self._spilled:  # the pages of its file are no longer ours
                self._spilled.release()
        if not numbers:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        return np.concatenate(numbers), np.concatenate(lines)

    def add(self, hashes: Hashes, lines: Lines) -> None:
        """Add hashes, which are in order, and their lines."""
        if self._filter is not None:
            self._set(hashes)
        self._runs.append(Run(hashes, lines))
        in_memory = [run for run in self._runs if not run.spilled]
        if len(in_memory) > RUNS or sum(len(run.hashes) for run in in_memory) >= SPILLED:
            merged, spilled = _merged(in_memory), [run for run in self._runs if run.spilled]
            if self._spilled is None or len(merged.hashes) < SPILLED:
                self._runs = [*spilled, merged]
            else:
                self._runs = self._spilled.add(merged)

    def close(self) -> None:
        """Remove the file of the spilled runs."""
        if self._spilled:
            self._spilled.file.close()

    def _set(self, hashes: Hashes) -> None:
        assert self._filter is not None
        places, bits = _bits(hashes)
        first = np.flatnonzero(np.diff(places, prepend=-1))
        if len(first):
            self._filter[places[first]] |= np.bitwise_or.reduceat(bits, first)


def _merged(runs: Sequence[Run]) -> Run:
    hashes = np.concatenate([run.hashes for run in runs])
    order = np.argsort(hashes, kind="stable")
    return Run(hashes[order], np.concatenate([run.lines for run in runs])[order])


def _bits(hashes: Hashes) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the byte of each hash in the filter, and its bit there."""
    numbers = (hashes >> np.uint64(64 - _BITS)).astype(np.int64)
    return numbers >> 3, np.left_shift(1, numbers & 7).astype(np.uint8)


class _Spilled:
    """Spilled runs in one file, for a process may have few files open, and a mapped one counts too."""

    def __init__(self, folder: Path) -> None:
        self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed with the index)
        self._sizes = list[int]()
        self._map: mmap.mmap | None = None

    def add(self, run: Run) -> list[Run]:
        """Add a run to the file; return all that are in it."""
        self._sizes.append(len(run.hashes))
        self.file.write(run.hashes.tobytes())
        self.file.write(run.lines.tobytes())
        self.file.flush()
        self._map = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        runs, place = list[Run](), 0
        for size in self._sizes:
            hashes = np.frombuffer(self._map, np.uint64, size, place)
            lines = np.frombuffer(self._map, np.int64, size, place + hashes.nbytes)
            runs.append(Run(hashes, lines, spilled=True))
            place += hashes.nbytes + lines.nbytes
        return runs

    def release(self) -> None:
        """Return the pages of the file to the system."""
        if self._map:
            self._map.madvise(mmap.MADV_DONTNEED)


class KeyLog:
    """Log of keys with their lines: batches in a file, or in memory while they are small."""

    def __init__(self, schema: pa.Schema, folder: Path | None) -> None:
        size = LOG_SIZE if folder else 0  # 0: never a file
        self._file = tempfile.SpooledTemporaryFile(max_size=size, dir=str(folder) if folder else None)  # noqa: SIM115 (closed with the log)
        self._schema, self._parts = schema, list[tuple[int, int, int]]()  # first line, place and size of each

    def add(self, keys: pa.Table) -> None:
        """Add keys, in the order of their lines."""
        for batch in keys.combine_chunks().to_batches():
            content, place = batch.serialize(), self._file.seek(0, 2)
            self._file.write(content)
            self._parts.append((batch["_line"][0].as_py(), place, content.size))

    def at(self, lines: Lines) -> dict[int, tuple[Any, ...]]:
        """Return the keys at lines that are in the log."""
        wanted, keys = np.unique(lines), dict[int, tuple[Any, ...]]()
        parts = np.searchsorted([first for first, *_ in self._parts], wanted, "right") - 1
        for part in np.unique(parts).tolist():
            _, place, size = self._parts[part]
            self._file.seek(place)
            batch = pa.ipc.read_record_batch(pa.py_buffer(self._file.read(size)), self._schema)
            numbers = np.searchsorted(batch["_line"].to_numpy(), wanted[parts == part])
            *columns, at = (column.to_pylist() for column in batch.take(pa.array(numbers)).columns)
            keys.update(zip(at, zip(*columns, strict=True), strict=True))
        return keys

    def close(self) -> None:
        """Remove the log."""
        self._file.close()
