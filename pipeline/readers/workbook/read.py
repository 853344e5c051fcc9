"""Read a workbook to batches: a sheet's cells as text, which goes through the same checks as that of a CSV file."""

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.model.contract import Contract
from pipeline.model.dialect import Dialect
from pipeline.model.field import FieldSpec
from pipeline.model.problem import Problem, Refused, shortened
from pipeline.readers.base import Batch, Limits, read_each
from pipeline.readers.cells.batch import Records, check_plainly, check_records
from pipeline.readers.cells.more import more_column
from pipeline.readers.cells.write import as_written, write_column, write_floats, write_text
from pipeline.readers.csv.header import Header, join_rows, map_header
from pipeline.readers.workbook.cells import Block, Cell, CellError, Column, column_letters, unpack
from pipeline.readers.workbook.process import sheet_rows

_TEXT = FieldSpec(name="text")


def read_workbook(
    stream: BinaryIO,
    key: str,  # noqa: ARG001 (what the file is decides)
    contract: Contract,
    limits: Limits = Limits(),  # noqa: B008 (it never changes)
) -> Iterator[Batch]:
    """Yield a sheet's rows in batches; `Refused` if the file as a whole cannot be loaded."""
    yield from _batches(stream, contract, limits, check_records)


def read_workbook_plainly(
    stream: BinaryIO,
    key: str,  # noqa: ARG001 (what the file is decides)
    contract: Contract,
    limits: Limits = Limits(),  # noqa: B008 (it never changes)
) -> Iterator[Batch]:
    """Do as `read_workbook`, cell by cell: the reference for tests and `verify`."""
    yield from _batches(stream, contract, limits, check_plainly)


def read_small_workbooks(
    files: Sequence[tuple[str, bytes]],
    contract: Contract,
    limits: Limits = Limits(),  # noqa: B008 (it never changes)
) -> list[Batch | Refused]:
    """Read small workbooks, each a key and its content. Return for each its one batch, or why it is refused."""
    return read_each(read_workbook, files, contract, limits)


def _batches(
    stream: BinaryIO, contract: Contract, limits: Limits, check: Callable[[Records, Contract], Batch]
) -> Iterator[Batch]:
    sheet = read_sheet(stream, contract.dialect, limits)
    fields = [field.name for field in contract.fields]
    header = map_header(sheet.names, contract) if contract.dialect.header else Header(fields, [*range(len(fields))])
    for rows in sheet.parts:
        yield replace(check(_records(rows, sheet.column, header, contract), contract), drift=header.drift)


@dataclass(frozen=True)
class Rows:
    """Rows of a sheet that are not empty: the numbers of them, from 1, and their cells by column."""

    lines: NDArray[np.int64]
    columns: list[Column]

    @cached_property
    def _cells(self) -> list[list[Cell]]:
        return [*map(unpack, self.columns)]

    def row(self, place: int) -> list[Cell]:
        """Return the cells of a row, without the empty ones at its end."""
        cells = [column[place] for column in self._cells]
        while cells and cells[-1] == "":
            cells.pop()
        return cells


@dataclass(frozen=True)
class Sheet:
    """Table of a sheet: the names in its header, the place of its first column, and the rows below, in parts."""

    names: list[str]
    column: int
    parts: Iterator[Rows]


def read_sheet(stream: BinaryIO, dialect: Dialect, limits: Limits) -> Sheet:
    """Read a sheet, as far as a dialect concerns one. `Refused` if the file cannot be read."""
    received = sheet_rows(stream, dialect.sheetName, dialect.sheetNumber, limits)
    block = next(received)
    parts = (_without_comments(_filled(block), dialect) for block in chain([block], received))
    names = _header_rows(parts, dialect) if dialect.header else ([], parts)
    return Sheet(names[0], block[1], hold_back(names[1], dialect.footerRows))


def _without_comments(rows: Rows, dialect: Dialect) -> Rows:
    if not dialect.has_comments:
        return rows
    records = [place for place, line in enumerate(rows.lines.tolist()) if not _is_comment(rows, place, line, dialect)]
    return _selected(rows, np.array(records, np.int64))


def _is_comment(rows: Rows, place: int, line: int, dialect: Dialect) -> bool:
    if dialect.is_comment_row(line):
        return True
    begin = next((cell for cell in rows.row(place) if cell != ""), "")
    return bool(dialect.commentChar) and isinstance(begin, str) and begin.startswith(dialect.commentChar or "")


def _header_rows(parts: Iterator[Rows], dialect: Dialect) -> tuple[list[str], Iterator[Rows]]:
    """Return the names in the header, none of an empty sheet, and the rows below it."""
    header = list[list[str]]()
    for rows in parts:
        count = min(len(dialect.headerRows) - len(header), len(rows.lines))
        for place in range(count):
            if dialect.first_lines and rows.lines[place] != (expected := dialect.headerRows[len(header)]):
                raise _no_row(expected)
            header.append([as_text(cell) or "" for cell in rows.row(place)])
        if len(header) == len(dialect.headerRows):
            below = _selected(rows, np.arange(count, len(rows.lines)))
            return join_rows(header, dialect.headerJoin), chain([below], parts)
    if dialect.first_lines:
        raise _no_row(dialect.headerRows[len(header)])
    return [], parts


def _no_row(line: int) -> Refused:
    message = f"no record begins in line {line:,}, where the header is by headerRows in the contract"
    return Refused(Problem("header", message))


def hold_back(parts: Iterator[Rows], footer: int) -> Iterator[Rows]:
    """Yield the rows without the last ones, so many that `footer` says, and without empty parts."""
    waiting = deque[Rows]()
    for rows in parts:
        waiting.append(rows)
        while waiting and sum(len(later.lines) for later in islice(waiting, 1, None)) >= footer:
            if len((ready := waiting.popleft()).lines):
                yield ready
    rest = sum(len(rows.lines) for rows in waiting) - footer
    for rows in waiting:
        if rest > 0:
            yield _selected(rows, np.arange(min(rest, len(rows.lines))))
        rest -= len(rows.lines)


def _filled(block: Block) -> Rows:
    """Return the rows of a block that are not empty."""
    first, _, height, columns = block
    rows = Rows(np.arange(first, first + height), columns)
    if any(column.kind == "float" for column in columns):
        return rows
    filled = np.zeros(height, bool)
    for column in columns:
        filled |= _has_value(column)
    return _selected(rows, np.flatnonzero(filled))


def _has_value(column: Column) -> NDArray[np.bool_]:
    """Return which cells are not empty (`bool[n]`)."""
    if column.kind == "float":
        return np.ones(len(column.values) // 8, bool)
    return np.fromiter((cell != "" for cell in column.values), bool, len(column.values))


def _selected(rows: Rows, places: NDArray[np.int64]) -> Rows:
    if len(places) == len(rows.lines):
        return rows
    columns = list[Column]()
    for column in rows.columns:
        if isinstance(column.values, bytes):
            values: Any = np.frombuffer(column.values)[places].tobytes()
        else:
            values = [column.values[place] for place in places.tolist()]
        columns.append(Column(column.kind, values))
    return Rows(rows.lines[places], columns)


def _records(rows: Rows, column: int, header: Header, contract: Contract) -> Records:
    """Return rows as records: of each field its cells, and what is wrong whatever their text is."""
    columns, wrong, height = list[pa.Array](), dict[tuple[int, int], str](), len(rows.lines)
    for number, (field, place) in enumerate(zip(contract.fields, header.places, strict=True)):
        if place is not None and place < len(rows.columns):
            cells, errors = _without_errors(rows.columns[place])
            wrong |= {(record, number): reason for record, reason in errors.items()}
            columns.append(_written(cells, field))
        else:
            columns.append(pa.nulls(height, pa.string()))
    size = len(header.names)
    beyond = np.zeros(height, bool)
    for cells in rows.columns[size:]:
        beyond |= _has_value(cells)
    malformed = {place: [_beyond(rows, place, column, size)] for place in np.flatnonzero(beyond).tolist()}
    more = _more(rows, header) if contract.more else None
    return Records(columns, rows.lines, lambda number: raw_text(rows.row(number)), malformed, more, wrong)


def _more(rows: Rows, header: Header) -> pa.Array:
    """Return what the contract does not know of each row, as text."""
    empty = Column("text", [""] * len(rows.lines))
    columns = [rows.columns[place] if place < len(rows.columns) else empty for place in header.more]
    return more_column(header.more_names, [pa.array(map(as_text, unpack(cells)), pa.string()) for cells in columns])


def _without_errors(column: Column) -> tuple[Column, dict[int, str]]:
    """Return a column with the text of its errors in their place, and why they are wrong, by their places."""
    if column.kind != "mixed" or CellError not in set(map(type, column.values)):
        return column, {}
    cells, reasons = unpack(column), dict[int, str]()
    for place, cell in enumerate(cells):
        if isinstance(cell, CellError):
            cells[place] = cell.text
            reasons[place] = f"the cell has the error {cell.text}: correct its formula, or what it reads"
    return Column("mixed", cells), reasons


def _written(column: Column, field: FieldSpec) -> pa.Array:
    """Return a column as text in the field's own form."""
    if isinstance(column.values, bytes):
        return write_floats(np.frombuffer(column.values), field)
    as_it_is = column.kind == "text" or (field.format == "default" and field.type in ("string", column.kind))
    if column.kind != "mixed" and as_it_is:
        return write_text(cast(list[str], column.values))
    return write_column(unpack(column), field)


def _beyond(rows: Rows, place: int, column: int, size: int) -> Problem:
    """Return the problem of a row that has a cell where the header has none."""
    row = rows.row(place)
    at = next(at for at in range(size, len(row)) if row[at] != "")
    value, last = as_text(row[at]) or "", column_letters(column + size - 1)
    message = (
        f"expected no value to the right of the header, which ends in column {last}, found {shortened(value)!r} in "
        f"column {column_letters(column + at)}: give the column a name, or remove the value"
    )
    return Problem("fields", message, int(rows.lines[place]), None, value, raw_text(row))


def as_text(cell: Cell) -> str | None:
    """Return a cell as a person reads it; None for an empty one."""
    return cell.text if isinstance(cell, CellError) else as_written(cell, _TEXT)


def raw_text(row: list[Cell]) -> str:
    """Return a row as one text: its cells with tabs between them, quoted where need be, as spreadsheets copy them."""
    text = io.StringIO()
    csv.writer(text, "excel-tab", lineterminator="").writerow([as_text(cell) for cell in row])
    return text.getvalue()
