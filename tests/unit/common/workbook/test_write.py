"""Workbooks that are written: what their cells are when they are read again."""

import io
from datetime import timedelta

from common.workbook.archive import Bounds
from common.workbook.cells import unpack
from common.workbook.process import open_sheet
from common.workbook.write import SheetWriter


def test_a_duration_with_microseconds_is_text_as_a_spreadsheet_shows_it():
    """As a text field has it of the source; LibreOffice has microseconds, a cell of .xlsx has not."""
    micro, out = timedelta(microseconds=1), io.BytesIO()
    with SheetWriter(out, "a", 0) as sheet:
        for cell in (timedelta(hours=30) + micro, timedelta(hours=-1) - micro):
            sheet.write([cell])
    _, blocks = open_sheet(io.BytesIO(out.getvalue()), None, None, Bounds(1 << 28, 200))
    assert [cell for *_, [column] in blocks for cell in unpack(column)] == ["30:00:00.000001", "-1:00:00.000001"]
