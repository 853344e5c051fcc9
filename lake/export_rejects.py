"""Export rejected records: write them as a file of the same format, for a person to correct and put back."""

import codecs
import io
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from lake.mending import fixed_key, mark_of, suffix_of
from lake.record_forms import Cells, Objects
from lake.rejects import CannotExport, RejectedRecords, next_number, read_rejected_records
from lake.stores.base import ObjectStore

MAX_LINE = 64 << 20  # characters of a physical line: of a longer one no part would be of use
CODECS = {".gz": "gzip", ".zst": "zstd"}
BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before that of UTF-16, with which it begins
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_CELLS, _OBJECTS = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson")  # suffixes by the form of their records


@dataclass(frozen=True)
class Export:
    """Outcome of an export: how many records it has, how many are mended already, and the key of the fixed file."""

    key: str
    records: int
    mended: int


def export_rejects(
    store: ObjectStore, key: str, encoding: str, dialect: Mapping[str, Any], out: BinaryIO, most: int | None = None
) -> Export:
    """Write the open rejected records of a source, each as it is there with a mark, below the lines of its header.

    Args:
        store: the lake.
        key: the source, whose present version must be the one that was loaded.
        encoding: of the contract.
        dialect: of the contract, by the names of the standard's Table Dialect.
        out: receives the file, which has the encoding of the source, and is not packed.
        most: characters of the source that are read.

    Raises:
        CannotExport: the message says why, and what to do.
    """
    suffix = re.sub(r"\.(gz|zst)$", "", suffix_of(key).lower())
    if suffix not in _CELLS + _OBJECTS:
        reason = f"rejected records of a {suffix or 'nameless'} file cannot be exported"
        raise CannotExport(f"{reason}: correct the file itself, and put it under the same name ({key})")
    rejects = read_rejected_records(store, key)
    with store.open(key) as (info, stream):
        if info.etag != rejects.etag:
            raise CannotExport(f"{key} was changed after it was loaded: export again once its new version is loaded")
        try:
            end = "\n" if suffix in _OBJECTS else ""
            with closing(_Lines(stream, key, encoding, most, end)) as lines:
                _copy(lines, rejects, dialect, suffix, out)
        except (pa.ArrowException, UnicodeError, LookupError) as error:
            raise CannotExport(f"{key} cannot be read as text: {error}") from error
    return Export(fixed_key(key, next_number(store, key)), len(rejects.open), rejects.mended)


class _Lines:
    """The physical lines of a source with their line ends, counted from 1; bytes that are no text pass unchanged."""

    def __init__(self, stream: BinaryIO, key: str, encoding: str, most: int | None, end: str) -> None:
        """Read lines of a source that end with `end`; "" is a line end of any kind."""
        codec = CODECS.get(key.lower()[key.rfind(".") :])
        plain = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream), codec) if codec else stream)  # type: ignore[type-var]
        bom = next((name for mark, name in BOMS.items() if plain.peek(4).startswith(mark)), None)
        self.encoding, self.number, self._key, self._left = bom or encoding, 0, key, most
        self._text = io.TextIOWrapper(plain, self.encoding, errors="surrogateescape", newline=end)

    def close(self) -> None:
        """Close the stream."""
        self._text.close()

    def __iter__(self) -> Iterator[str]:
        """Return the lines that were not read yet."""
        return self

    def __next__(self) -> str:
        """Return the next line; `number` is its number."""
        line = self._text.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == MAX_LINE:
            raise CannotExport(f"line {self.number:,} of {self._key} is too long: correct the file itself")
        if self._left is not None:
            self._left -= len(line)
            if self._left < 0:
                command = f"python -m pipeline rejects export {shlex.quote(self._key)}"
                raise CannotExport(f"{self._key} is too large for a page: run `{command}`")
        return line


def _copy(lines: _Lines, rejects: RejectedRecords, dialect: Mapping[str, Any], suffix: str, out: BinaryIO) -> None:
    """Copy the rejected records, each with its mark, below what stands above the records."""
    encoder, left = codecs.getincrementalencoder(lines.encoding)("surrogateescape"), len(rejects.open)
    form = Objects() if suffix in _OBJECTS else Cells(dialect, suffix, marked=rejects.mends is not None)
    out.write(encoder.encode(form.header(lines)))
    for line in lines:
        number = lines.number
        if number in rejects.open:
            record = line if rejects.open[number] else form.whole(line, lines)
            out.write(encoder.encode(form.marked(record, mark_of(number, rejects.version))))
            left -= 1
        if not left:
            break
    if left:
        raise CannotExport("the file does not have the lines that were rejected: verify it, or load it again")
