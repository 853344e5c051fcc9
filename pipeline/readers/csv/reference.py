"""Read a CSV stream to batches by the rules as they are written: the reference for people, tests and `verify`.

It returns what `read.py` returns, row by row and word by word, without its shortcuts: quotes and line ends are read one
after the other, and each cell is parsed alone. It is some twenty times slower.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from pipeline.model.contract import Contract
from pipeline.model.problem import VALUE_LIMIT
from pipeline.readers.base import Batch, Limits, batch_schema
from pipeline.readers.cells.parse import parse
from pipeline.readers.csv.explain import explain_fault, explain_record
from pipeline.readers.csv.header import Header, map_header, read_header
from pipeline.readers.csv.record import split_record
from pipeline.readers.decode import BLOCK_SIZE, mark_last, text_chunks

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """The text and first line of a record; with a `fault` (`quote` or `size`), of a line that is not a record."""

    line: int
    text: bytes
    fault: str | None = None


def read_csv_plainly(
    stream: BinaryIO,
    key: str,
    contract: Contract,
    block_size: int = BLOCK_SIZE,
    limits: Limits = Limits(),  # noqa: B008 (it never changes)
) -> Iterator[Batch]:
    """Yield a file's records, a batch for each block; `Refused` if the file as a whole cannot be loaded."""
    header = None
    chunks = text_chunks(stream, key, contract.encoding, block_size, limits)
    for pieces in cut_plainly(chunks, contract.dialect.delimiter, contract.dialect.quoteChar, limits.record):
        if header is None and pieces:
            first, *pieces = pieces
            header = read_header(first.text, first.fault, contract)
        if header is not None and pieces:
            yield _batch(pieces, header, contract)
    if header is None:
        map_header([], contract)


def _batch(pieces: list[Piece], header: Header, contract: Contract) -> Batch:
    rows, problems, rejected = [], [], 0
    columns = header.columns(contract.fields)
    for piece in pieces:
        if piece.fault:
            broken = [explain_fault(piece.fault, piece.line, piece.text)]
        else:
            broken = explain_record(piece.text, piece.line, columns, contract)
        if broken:
            problems += broken
            rejected += 1
        else:
            rows.append(_row(piece, header, contract))
    return Batch(pa.Table.from_pylist(rows, batch_schema(contract)), problems, rejected)


def _row(piece: Piece, header: Header, contract: Contract) -> dict[str, Any]:
    cells = split_record(piece.text, contract.dialect)
    placed = zip(contract.fields, header.places, strict=True)
    values = {field.name: parse(cells[place].decode(), field, contract.missing_of(field)) for field, place in placed}
    return {**values, "_line": piece.line}


def cut_plainly(chunks: Iterable[bytes], delimiter: str, quote: str, record_limit: int) -> Iterator[list[Piece]]:
    """Yield for each chunk the records that are whole with it, and the lines that are not records; no empty lines."""
    cutter = _Cutter(delimiter.encode(), quote.encode(), record_limit)
    for chunk, last in mark_last(chunks):
        yield cutter.feed(chunk, last=last)


class _Cutter:
    """Splits chunk by chunk; keeps an unfinished record, or skips the rest of a line that is too long."""

    def __init__(self, delimiter: bytes, quote: bytes, limit: int) -> None:
        self.quote, self.limit = quote, limit
        self.ahead = (b"", delimiter)  # of an opening quote, nothing being the record's start
        self.behind = (b"", delimiter, b"\r", b"\n")  # a closing one
        self.mark = re.compile(b"[\r\n" + re.escape(quote) + b"]")
        self.text, self.line, self.passing, self.last = b"", 1, False, False

    def feed(self, chunk: bytes, *, last: bool) -> list[Piece]:
        """Return the pieces that are whole with this chunk."""
        text = self.text + chunk
        held = b"\r" if text.endswith(b"\r") and not last else b""  # it may be half of a line end
        self.text, self.last = text.removesuffix(held), last
        pieces, start = [], self._pass_line() if self.passing else 0
        while start < len(self.text):
            stop, fault = self._record(start)
            if fault:
                stop = self._first_line(start)
            if stop is None:
                break
            if fault or stop > start:  # empty lines are skipped
                pieces.append(Piece(self.line, self.text[start:stop], fault))
            start = self._next_line(start, stop)
        self.text = self.text[start:] + held
        return pieces

    def _record(self, start: int) -> tuple[int | None, str | None]:
        """Return where a record ends, or the first rule that it breaks; neither if the next chunk decides."""
        quoted, at = False, start
        while mark := self.mark.search(self.text, at):
            at = mark.start()
            if mark[0] != self.quote and not quoted:
                return at, "size" if at - start > self.limit else None
            if at - start >= self.limit:
                return None, "size"
            if mark[0] == self.quote:
                before, after = self.text[max(start, at - 1) : at], self.text[at + 1 : at + 2]
                if quoted and after == self.quote:
                    at += 1
                elif (after not in self.behind) if quoted else (before not in self.ahead):
                    return None, "quote"
                else:
                    quoted = not quoted
            at += 1
        if len(self.text) - start > self.limit:
            return None, "size"
        return (len(self.text), "quote" if quoted else None) if self.last else (None, None)

    def _first_line(self, start: int) -> int | None:
        """Return where the physical line at `start` ends; the rest of a line beyond the limit is skipped."""
        if end := _LINE_END.search(self.text, start):
            return end.start()
        self.passing = not self.last and len(self.text) - start > max(self.limit, VALUE_LIMIT)
        return len(self.text) if self.last or self.passing else None

    def _pass_line(self) -> int:
        end = _LINE_END.search(self.text)
        self.passing = end is None
        return self._next_line(0, end.start() if end else len(self.text))

    def _next_line(self, start: int, stop: int) -> int:
        """Return the start of the line after `stop`, and count the lines up to there."""
        end = _LINE_END.match(self.text, stop)
        after = end.end() if end else stop
        self.line += len(_LINE_END.findall(self.text, start, after))
        return after
