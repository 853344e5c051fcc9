"""openpyxl judges what is taken from a sheet: each cell of every workbook, made by hand or generated, is the same."""

import io
import warnings
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.utils.escape import unescape

from common.workbook.archive import Bounds
from common.workbook.cells import CellError, unpack
from common.workbook.program import Request, read_sheet
from pipeline.readers.base import Limits
from tests.support.workbooks import CASES, Case, saved

LIMITS = Limits()
Cells = dict[tuple[int, int], Any]  # by row and column, from 1; empty ones are left out


def ours(content: bytes, name: str | None = None, number: int | None = None) -> Cells:
    request = Request(name, number, Bounds(LIMITS.grown, LIMITS.ratio), LIMITS.grown)
    cells = Cells()
    for block in read_sheet(content, request):
        if isinstance(block, str):
            continue  # the name of the sheet
        first, left, _, columns = block
        for column, packed in enumerate(columns, left + 1):
            cells |= {(row, column): same(cell) for row, cell in enumerate(unpack(packed), first) if cell != ""}
    return cells


def theirs(content: bytes, name: str | None = None, number: int | None = None) -> Cells:
    with warnings.catch_warnings(action="ignore"):
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    seen = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    sheet = seen[(number or 1) - 1] if name is None else book[name]
    sheet.reset_dimensions()
    return dict(_cells(sheet))


def _cells(sheet: Any) -> Iterator[tuple[tuple[int, int], Any]]:
    for row in sheet.iter_rows():
        for cell in row:
            if cell.value is not None:
                value = CellError(cell.value) if cell.data_type == "e" else same(cell.value)
                if isinstance(value, str):
                    value = unescape(value)  # `_x0041_` is an A, by the standard and in Excel
                yield (cell.row, cell.column), value


def same(value: Any) -> Any:
    """Return a cell in one form: a number is a float, a day a time at midnight; times are exact to the millisecond."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    if isinstance(value, timedelta):
        return timedelta(milliseconds=round(value / timedelta(milliseconds=1)))
    return value


MADE = [
    case
    for case in CASES
    if not case.refused and case.content.startswith(b"PK") and b"opendocument" not in case.content
]


@pytest.mark.parametrize("case", MADE, ids=lambda case: case.name)
def test_each_workbook_made_by_hand(case: Case):
    sheet = (case.dialect.get("sheetName"), case.dialect.get("sheetNumber"))
    assert ours(case.content, *sheet) == theirs(case.content, *sheet)


LETTERS = st.characters(exclude_categories=["Cs", "Cc", "Cn"]) | st.sampled_from("\n\t ")
DAYS = st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31))
TIMES = st.times().map(lambda one: one.replace(microsecond=one.microsecond // 1000 * 1000))
CELL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(LETTERS, max_size=8),
    st.sampled_from(
        ["#N/A", "#DIV/0!", "#REF!", "=1+1", "12", "TRUE", "2026-01-31", "#n/a", "'x", "a_x0041_b", "_x005F_x000D_"]
    ),
    DAYS.map(datetime.date),
    DAYS.map(lambda one: one.replace(microsecond=one.microsecond // 1000 * 1000)),
    TIMES,
    st.integers(1, 10**9).map(lambda number: timedelta(milliseconds=number)),
)
FORMATS = st.sampled_from([None, None, None, "0%", '#,##0.00 "€"', "@", "[Red]0", "0.00E+00", '"day" 0', "[$€-407] 0"])
ROWS = st.lists(st.lists(st.tuples(CELL, FORMATS), max_size=4), max_size=6)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(1, 5), st.integers(1, 30), st.booleans())
@example([[("#N/A", None)], [], [("x", None), ("#N/A", None)]], 3, 27, False)
def test_generated_sheets(rows, top, left, mac):
    book = openpyxl.Workbook()
    if mac:
        book.epoch = CALENDAR_MAC_1904
    for row, cells in enumerate(rows, top):
        for column, (value, form) in enumerate(cells, left):
            if mac and isinstance(value, date) and value.year < 1904:
                continue  # it has no such days
            cell = book.active.cell(row, column, value)
            if form and isinstance(value, int | float | str):
                cell.number_format = form
    content = saved(book)
    assert ours(content) == theirs(content)
