"""Read a sheet of a workbook: the names in its header, and the rows below it that are not empty."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from common.workbook.archive import Bounds
from common.workbook.cells import Block, Cell, CellError, Column, unpack
from common.workbook.process import open_sheet
from common.workbook.unreadable import Unreadable
from pipeline.model.dialect import Dialect
from pipeline.model.field import FieldSpec
from pipeline.model.problem import Problem, Refused
from pipeline.readers.base import Limits
from pipeline.readers.cells.write import as_written
from pipeline.readers.csv.header import join_rows

_TEXT = FieldSpec(name="text")


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
    received = _blocks(stream, dialect, limits)
    block = next(received)
    parts = (_without_comments(_filled(block), dialect) for block in chain([block], received))
    names = _header_rows(parts, dialect) if dialect.header else ([], parts)
    return Sheet(names[0], block[1], hold_back(names[1], dialect.footerRows))


def _blocks(stream: BinaryIO, dialect: Dialect, limits: Limits) -> Iterator[Block]:
    try:
        yield from open_sheet(stream, dialect.sheetName, dialect.sheetNumber, Bounds(limits.grown, limits.ratio))[1]
    except Unreadable as error:
        raise Refused(Problem(error.rule, error.message)) from error


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
        filled |= has_value(column)
    return _selected(rows, np.flatnonzero(filled))


def has_value(column: Column) -> NDArray[np.bool_]:
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


def as_text(cell: Cell) -> str | None:
    """Return a cell as a person reads it; None for an empty one."""
    return cell.text if isinstance(cell, CellError) else as_written(cell, _TEXT)
