"""Find the cells of a sheet's XML that have an error, such as `#N/A`: calamine shows them as empty cells."""

import re
from collections.abc import Callable, Iterable
from xml.parsers import expat

from common.workbook.compound_file import Errors
from common.workbook.unreadable import Unreadable

MAX_ROWS = 1 << 20  # of a sheet

Pieces = Callable[[], Iterable[bytes]]

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # its marks look different there


def sheet_errors(pieces: Pieces) -> Errors:
    """Return the error cells of a worksheet of an `.xlsx` file; `pieces` gives its XML from the start at each call."""
    return _find(pieces, (b'"e"', b"'e'"), _Worksheet())


def open_document_errors(pieces: Pieces, sheet: str) -> Errors:
    """Return the error cells of a sheet in the content of an `.ods` file."""
    return _find(pieces, (b'"error"', b"'error'"), _OpenDocument(sheet))


def _find(pieces: Pieces, marks: tuple[bytes, bytes], cells: "_Cells") -> Errors:
    """Parse the XML if it may have an error cell: most sheets have none, and to look for one is 20 times faster."""
    last, marked, first = b"", False, True
    for piece in pieces():  # all of it: so its size is known
        border = last + piece[:8]
        marked |= any(mark in piece or mark in border for mark in marks) or (first and border.startswith(_UTF_16))
        last, first = piece[-8:], False
    if marked:
        _parse(pieces(), cells)
    return cells.errors


def _parse(pieces: Iterable[bytes], cells: "_Cells") -> None:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = cells.start, cells.end
    cells.listen = lambda handler: setattr(parser, "CharacterDataHandler", handler)
    try:
        for piece in pieces:
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Unreadable("workbook", f"the workbook is damaged: its sheet is no XML ({error})") from error


class _Cells:
    """Handlers of an XML parser that find error cells; rows and columns count from 0."""

    def __init__(self) -> None:
        self.errors: Errors = {}
        self.listen: Callable[[Callable[[str], None] | None], None] = lambda _: None
        self._row, self._column, self._rows, self._columns = -1, -1, 1, 1
        self._text: list[str] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def end(self, tag: str) -> None:
        raise NotImplementedError

    def _begin(self) -> None:
        self._text = []
        self.listen(self._text.append)

    def _finish(self) -> None:
        if self._text is None:
            return
        text = "".join(self._text).strip()[:20] or "#ERROR!"
        for row in range(self._row, min(self._row + self._rows, MAX_ROWS)):
            self.errors.setdefault(row, []).append((self._column, self._column + self._columns - 1, text))
        self._text = None
        self.listen(None)


class _Worksheet(_Cells):
    _error = False  # of the cell that is open

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name == "row":
            at = attributes.get("r", "")
            self._row, self._column = int(at) - 1 if at.isdecimal() and len(at) < 8 else self._row + 1, -1
        elif name == "c":
            self._column, self._error = self._column + 1, attributes.get("t") == "e"
            if place := re.fullmatch(r"([A-Za-z]{1,3})([0-9]{1,7})", attributes.get("r", "")):
                self._row, self._column = int(place[2]) - 1, _column_number(place[1])
        elif name == "v" and self._error:
            self._begin()

    def end(self, tag: str) -> None:
        if tag.rpartition(":")[2] == "v":
            self._finish()


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


class _OpenDocument(_Cells):
    def __init__(self, sheet: str) -> None:
        super().__init__()
        self._sheet, self._here = sheet, False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name == "table":
            self._here = attributes.get("table:name") == self._sheet
        elif not self._here:
            return
        elif name == "table-row":
            self._row, self._rows = self._row + self._rows, _repeated(attributes, "rows")
            self._column, self._columns = 0, 0
        elif name in ("table-cell", "covered-table-cell"):
            self._column += self._columns
            self._columns = _repeated(attributes, "columns")
            if attributes.get("calcext:value-type") == "error":
                self._begin()

    def end(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name == "table":
            self._here = False
        elif name == "table-cell":
            self._finish()


def _repeated(attributes: dict[str, str], what: str) -> int:
    text = attributes.get(f"table:number-{what}-repeated", "1")
    return int(text) if text.isdecimal() and len(text) < 8 else 1
