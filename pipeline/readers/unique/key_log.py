"""Log of the keys that were met, to compare them where hashes are the same: in memory, and what is more in a file."""

import mmap
import tempfile
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from pipeline.readers.unique.runs import Lines

LOG_SIZE = 1 << 20  # bytes of keys in memory


class KeyLog:
    """Log of keys with their lines, in a part for each batch."""

    def __init__(self, schema: pa.Schema, folder: Path | None) -> None:
        self._schema, self._first_lines = schema, list[int]()
        self._held, self._size = list[pa.Buffer](), 0  # the last parts, and their bytes
        self._places = list[tuple[int, int]]()  # of the parts before them in the file: place and size
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._map: mmap.mmap | None = None  # of the file, until it grows

    def add(self, keys: pa.Table) -> None:
        """Add keys, in the order of their lines."""
        for batch in keys.combine_chunks().to_batches():
            self._first_lines.append(batch["_line"][0].as_py())
            self._held.append(batch.serialize())
            self._size += self._held[-1].size
        if self._folder and self._size > LOG_SIZE:
            self._spill(self._folder)

    def _spill(self, folder: Path) -> None:
        self._file = self._file or tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed with the log)
        for content in self._held:
            self._places.append((self._file.tell(), content.size))
            self._file.write(content)
        self._file.flush()
        self._held, self._size, self._map = [], 0, None

    def at(self, lines: Lines) -> pa.Table:
        """Return the keys at lines that are in the log, in this order: of a file, only their pages are read."""
        wanted, places = np.unique(lines, return_inverse=True)
        parts = np.searchsorted(self._first_lines, wanted, "right") - 1
        numbers, edges = np.unique(parts, return_index=True)
        found = list[pa.RecordBatch]()
        for part, some in zip(numbers.tolist(), np.split(wanted, edges[1:]), strict=True):
            batch = pa.ipc.read_record_batch(self._content(part), self._schema)
            found.append(batch.take(pa.array(np.searchsorted(batch["_line"].to_numpy(), some))))
            if self._map:  # the pages of the file are no longer ours
                self._map.madvise(mmap.MADV_DONTNEED)
        return pa.Table.from_batches(found, self._schema).take(pa.array(places))

    def _content(self, part: int) -> pa.Buffer:
        if part >= len(self._places):
            return self._held[part - len(self._places)]
        if self._map is None and self._file:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        place, size = self._places[part]
        return pa.py_buffer(self._map).slice(place, size)

    def close(self) -> None:
        """Remove the log."""
        if self._file:
            self._file.close()
