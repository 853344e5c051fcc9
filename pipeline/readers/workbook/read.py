"""Read a workbook to batches: a sheet's cells as text, which goes through the same checks as that of a CSV file."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa

from common.messages import shortened
from common.workbook.cells import Cell, CellError, Column, column_letters, unpack
from pipeline.model.contract import Contract
from pipeline.model.field import FieldSpec
from pipeline.model.problem import Problem
from pipeline.readers.base import LIMITS, Batch, Limits
from pipeline.readers.cells.batch import Records, check_plainly, check_records
from pipeline.readers.cells.more import more_column
from pipeline.readers.cells.write import write_column, write_floats, write_text
from pipeline.readers.csv.header import Header, map_header
from pipeline.readers.workbook.sheet import Rows, as_text, has_value, read_sheet


def read_workbook(
    stream: BinaryIO,
    key: str,  # noqa: ARG001 (what the file is decides)
    contract: Contract,
    limits: Limits = LIMITS,
) -> Iterator[Batch]:
    """Yield a sheet's rows in batches; `Refused` if the file as a whole cannot be loaded."""
    yield from _batches(stream, contract, limits, check_records)


def read_workbook_plainly(
    stream: BinaryIO,
    key: str,  # noqa: ARG001 (what the file is decides)
    contract: Contract,
    limits: Limits = LIMITS,
) -> Iterator[Batch]:
    """Do as `read_workbook`, cell by cell: the reference for tests and `verify`."""
    yield from _batches(stream, contract, limits, check_plainly)


def _batches(
    stream: BinaryIO, contract: Contract, limits: Limits, check: Callable[[Records, Contract], Batch]
) -> Iterator[Batch]:
    sheet = read_sheet(stream, contract.dialect, limits)
    fields = [field.name for field in contract.fields]
    header = map_header(sheet.names, contract) if contract.dialect.header else Header(fields, [*range(len(fields))])
    for rows in sheet.parts:
        yield replace(check(_records(rows, sheet.column, header, contract), contract), drift=header.drift)


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
        beyond |= has_value(cells)
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


def raw_text(row: list[Cell]) -> str:
    """Return a row as one text: its cells with tabs between them, quoted where need be, as spreadsheets copy them."""
    text = io.StringIO()
    csv.writer(text, "excel-tab", lineterminator="").writerow([as_text(cell) for cell in row])
    return text.getvalue()
