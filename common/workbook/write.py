"""Write a sheet as an `.xlsx` workbook whose cells are read again as they were."""

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from types import TracebackType
from typing import Any, BinaryIO

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.rich_text import CellRichText

from common.workbook.cells import Cell, CellError, clock_text
from common.workbook.compound_file import ERRORS

MAX_TITLE = 31  # characters of a sheet's name

_NO_TITLE = re.compile(r"[\\*?:/\[\]]")
_FIRST_DAY = date(1900, 1, 1)
_AS_CODE = re.compile(  # what XML has no form for, and no more: calamine takes a code above 00FF for text
    r"_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ufffe\uffff]|\A[\t\n ]+\Z"
)


def title_of(name: str) -> str:
    """Return the name of a sheet as an `.xlsx` file may have it."""
    return _NO_TITLE.sub("_", name)[:MAX_TITLE]


class SheetWriter:
    """Writer of a workbook with one sheet, row by row; the workbook is whole after the `with` block."""

    def __init__(self, out: BinaryIO, title: str, column: int) -> None:
        """Begin a sheet; the first cell of each row is in a column, from 0."""
        self._out, self._column, self._anchored = out, column, False
        self._book = Workbook(write_only=True)
        self._sheet = self._book.create_sheet(title)

    def __enter__(self) -> "SheetWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            self._book.save(self._out)
        elif self._sheet._writer:
            self._sheet.close()
            self._sheet._writer.cleanup()  # its file, which would stay until the process ends

    def write(self, cells: Sequence[Cell]) -> None:
        """Write the next row."""
        row = [*map(self._cell, cells)]
        if row and not self._anchored:
            self._anchored = True  # a sheet begins in the first column that has a cell
            row[0] = row[0] or self._typed(CellRichText([""]), "s")
        self._sheet.append([*[None] * self._column, *row])

    def _cell(self, cell: Cell) -> Any:
        if cell == "":
            return None
        if isinstance(cell, CellError):
            return self._typed(cell.text if cell.text in ERRORS.values() else "#VALUE!", "e")
        if isinstance(cell, bool):
            return self._typed(int(cell), "b")
        if isinstance(cell, int | float):
            return self._typed(repr(cell), "n")  # all its digits, of which openpyxl writes 16
        if not isinstance(cell, str) and _is_held(cell):
            return WriteOnlyCell(self._sheet, cell)
        return self._typed(_escaped(_text(cell)), "s")

    def _typed(self, value: object, kind: str) -> Any:
        """Return a cell with a value as it is: openpyxl takes text for a formula or an error by its first character."""
        written = WriteOnlyCell(self._sheet)
        written._value, written.data_type = value, kind
        return written


def _is_held(cell: date | datetime | time | timedelta) -> bool:
    """Return whether a cell of `.xlsx` holds a time: it counts milliseconds from 1900 on."""
    micros = cell.microseconds if isinstance(cell, timedelta) else getattr(cell, "microsecond", 0)
    day = cell.date() if isinstance(cell, datetime) else cell
    return micros % 1000 == 0 and not (isinstance(day, date) and day < _FIRST_DAY)


def _text(cell: str | date | datetime | time | timedelta) -> str:
    if isinstance(cell, str):
        return cell
    return clock_text(cell) if isinstance(cell, timedelta) else cell.isoformat()


def _escaped(text: str) -> str:
    return _AS_CODE.sub(lambda match: "".join(f"_x{ord(character):04X}_" for character in match[0]), text)
