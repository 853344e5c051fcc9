"""Export rejected records of a text file: its lines as they are, each record with its mark."""

import codecs
import gzip
import io
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, BinaryIO

import pyarrow as pa

from lake.mending import mark_of
from lake.record_forms import Cells, Objects
from lake.rejects import CannotExport, RejectedRecords, check_complete, too_large

MAX_LINE = 64 << 20  # characters of a physical line: of a longer one no part would be of use
BOM = "\ufeff"
BOMS = {  # those that go before the encoding of the contract
    codecs.BOM_UTF32_LE: "utf-32-le",  # before that of UTF-16, with which it begins
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def export_lines(
    stream: BinaryIO,
    key: str,
    form: Cells | Objects,
    encoding: str,
    rejects: RejectedRecords,
    out: BinaryIO,
    most: int | None,
) -> None:
    """Copy the rejected records, each with its mark, below what stands above the records.

    Args:
        stream: the source.
        key: its key.
        form: of its records.
        encoding: of the contract; a byte order mark of UTF-16 or UTF-32 goes before it.
        rejects: the records.
        out: receives the file, which has the encoding of the source, and is not packed.
        most: characters of the source that are read.
    """
    end = "\n" if isinstance(form, Objects) else ""
    try:
        with closing(_Lines(stream, key, encoding, most, end)) as lines:
            _copy(lines, rejects, form, out)
    except (pa.ArrowException, UnicodeError, LookupError) as error:
        raise CannotExport(f"{key} cannot be read as text: {error}") from error


def form_of(suffix: str, dialect: Mapping[str, Any], *, marked: bool) -> Cells | Objects:
    """Return the form of the records in a text file; `marked`: the file has its marks already."""
    return Objects() if suffix in (".jsonl", ".ndjson") else Cells(dialect, suffix, marked=marked)


def _unpacked(stream: BinaryIO, key: str) -> Any:
    if key.lower().endswith(".gz"):
        return gzip.GzipFile(fileobj=stream)  # Arrow's stream takes zeros after the end, as a tape has them, for damage
    return pa.CompressedInputStream(pa.PythonFile(stream), "zstd") if key.lower().endswith(".zst") else stream


class _Lines:
    """The physical lines of a source with their line ends, counted from 1; bytes that are no text pass unchanged."""

    def __init__(self, stream: BinaryIO, key: str, encoding: str, most: int | None, end: str) -> None:
        """Read lines of a source that end with `end`; "" is a line end of any kind."""
        plain = io.BufferedReader(_unpacked(stream, key))
        bom = next((name for mark, name in BOMS.items() if plain.peek(4).startswith(mark)), None)
        self.encoding, self.has_bom, self.number, self._key, self._left = bom or encoding, bool(bom), 0, key, most
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
                raise too_large(self._key)
        return line


def _copy(lines: _Lines, rejects: RejectedRecords, form: Cells | Objects, out: BinaryIO) -> None:
    encoder, left = codecs.getincrementalencoder(lines.encoding)("surrogateescape"), len(rejects.open)
    header = form.header(lines)
    if lines.has_bom and not header.startswith(BOM) and 1 not in rejects.open:
        out.write(encoder.encode(BOM))  # it stands before the first line, which is left out
    out.write(encoder.encode(header))
    for line in lines:
        number = lines.number
        if number in rejects.open:
            record = line if rejects.open[number] else form.whole(line, lines)
            out.write(encoder.encode(form.marked(record, mark_of(number, rejects.version))))
            left -= 1
        if not left:
            break
    check_complete(left)
