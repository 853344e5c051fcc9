"""Sorted runs of hashes, each with its line: in memory, or in a file of which little is read at a time."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.readers.unique.hashes import Hashes

Lines = NDArray[np.int64]
Numbers = NDArray[np.int64]

CHUNK = 1 << 13  # hashes of a file that are read at a time


@dataclass(frozen=True)
class Run:
    """Hashes in order, and the line of each."""

    hashes: Hashes
    lines: Lines

    def find(self, hashes: Hashes) -> Iterator[tuple[Numbers, Lines]]:
        """Yield numbers of hashes that are there, which are in order, and their lines."""
        there, places = _find(self.hashes, hashes)
        if len(there):
            yield there, self.lines[places]


def _find(known: Hashes, hashes: Hashes) -> tuple[Numbers, Numbers]:
    """Return numbers of hashes that are known, and their places; a hash may be known more than once."""
    first = np.searchsorted(known, hashes)
    there = np.flatnonzero(known[np.minimum(first, len(known) - 1)] == hashes)
    counts = np.searchsorted(known, hashes[there], "right") - first[there]
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(there, counts), np.repeat(first[there], counts) + place


def merged(runs: Sequence[Run]) -> Run:
    """Return several runs as one."""
    hashes = np.concatenate([run.hashes for run in runs])
    order = np.argsort(hashes, kind="stable")
    return Run(hashes[order], np.concatenate([run.lines for run in runs])[order])


@dataclass(frozen=True)
class _SpilledRun:
    """Run in a file, from `place` on: `size` hashes, then the lines; `firsts` are the first hashes of its chunks."""

    file: int
    place: int
    size: int
    firsts: Hashes

    def find(self, hashes: Hashes) -> Iterator[tuple[Numbers, Lines]]:
        """Do as `Run.find`; only chunks that may have one of the hashes are read."""
        chunks = np.arange(len(self.firsts))
        low, high = (np.searchsorted(self.firsts, hashes, side) - 1 for side in ("left", "right"))
        starts, stops = np.searchsorted(high, chunks, "left"), np.searchsorted(low, chunks, "right")
        for chunk in np.flatnonzero(stops > starts).tolist():
            start = starts[chunk]
            there, places = _find(self._read(chunk, 0).view(np.uint64), hashes[start : stops[chunk]])
            if len(there):
                yield there + start, self._read(chunk, 8 * self.size)[places]

    def _read(self, chunk: int, offset: int) -> Lines:
        first = chunk * CHUNK
        content = os.pread(self.file, 8 * min(CHUNK, self.size - first), self.place + offset + 8 * first)
        return np.frombuffer(content, np.int64)


class SpilledRuns:
    """Runs in one file, for a process may have few files open; it is not mapped, for its pages count as memory."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed with the index)
        self._runs = list[_SpilledRun]()

    def find(self, hashes: Hashes) -> Iterator[tuple[Numbers, Lines]]:
        """Yield numbers of hashes that are in a run, which are in order, and their lines."""
        for run in self._runs:
            yield from run.find(hashes)

    def add(self, run: Run) -> None:
        """Add a run."""
        place = self._file.tell()
        self._file.write(run.hashes.tobytes())
        self._file.write(run.lines.tobytes())
        self._file.flush()
        self._runs.append(_SpilledRun(self._file.fileno(), place, len(run.hashes), run.hashes[::CHUNK].copy()))

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
