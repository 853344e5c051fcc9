"""Workbooks whose outcome is worked out by hand: rows, lines, and what is rejected by which rule."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pandas as pd
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.chart import BarChart
from openpyxl.styles import PatternFill
from openpyxl.workbook.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from pipeline.model.contract import Contract
from pipeline.model.read_contract import read_contract

FILES = Path(__file__).parents[1] / "unit/pipeline/readers/workbook/files"

TABLE_XLS, TABLE_ODS = ((FILES / f"table.{kind}").read_bytes() for kind in ("xls", "ods"))

DAY, NOON = date(2026, 1, 31), datetime(2026, 1, 31, 12, 30, 15)

Reject = tuple[int | None, str | None, str]  # line, column, rule


@dataclass(frozen=True)
class Case:
    """Workbook, its contract, and what must come of it; `refused` is the rule, with words of the message."""

    name: str
    content: bytes
    fields: dict[str, Any]
    rows: Sequence[tuple] = ()
    rejects: Sequence[Reject] = ()
    refused: tuple[str, str] | None = None
    dialect: dict[str, Any] = field(default_factory=dict)
    match: str = "exact"

    @property
    def schema(self) -> dict[str, Any]:
        fields = [
            {"name": name, **({"type": spec} if isinstance(spec, str) else spec)} for name, spec in self.fields.items()
        ]
        return {"fields": fields, "fieldsMatch": self.match}

    @property
    def contract(self) -> Contract:
        with TemporaryDirectory() as folder:
            path = Path(folder, "made.json")
            path.write_text(json.dumps({"name": "made", "dialect": self.dialect, "schema": self.schema}))
            return read_contract(path)


def saved(book: Workbook) -> bytes:
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def of_rows(*rows: Sequence, first: str = "A1", change: Callable[[Worksheet], None] = lambda _: None) -> bytes:
    """Write a workbook of one sheet by openpyxl: its rows, from the cell `first` on."""
    book = openpyxl.Workbook()
    sheet = book.active
    start = sheet[first]
    for down, row in enumerate(rows):
        for right, value in enumerate(row):
            if value is not None:
                sheet.cell(start.row + down, start.column + right, value)
    change(sheet)
    return saved(book)


def by_pandas(frame: pd.DataFrame, **settings: Any) -> bytes:
    content = io.BytesIO()
    frame.to_excel(content, **settings)
    return content.getvalue()


def error(text: str) -> Callable[[Worksheet], None]:
    def change(sheet: Worksheet) -> None:
        sheet["A3"], sheet["B4"] = text, text
        sheet["A3"].data_type = sheet["B4"].data_type = "e"
        sheet["B5"] = text
        sheet["B5"].data_type = "s"

    return change


def edited(content: bytes, part: str, change: Callable[[bytes], bytes], **settings: Any) -> bytes:
    """Change one part of a zip."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name == part else data, **settings)
    return written.getvalue()


def error_at(sheet: Worksheet, place: str) -> None:
    sheet[place] = "#REF!"
    sheet[place].data_type = "e"


SHEET = "xl/worksheets/sheet1.xml"

ONE = of_rows(["a"], [1])


def books(*sheets: tuple[str, str, Sequence[Sequence]]) -> bytes:
    """Write a workbook of several sheets: name, state, rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, state, rows in sheets:
        if state == "chart":
            book.create_chartsheet(name).add_chart(BarChart())
            continue
        sheet = book.create_sheet(name)
        sheet.sheet_state = state
        for row in rows:
            sheet.append(row)
    return saved(book)


TABS = books(
    ("notes", "hidden", [["x"], [1]]),
    ("chart", "chart", []),
    ("first", "visible", [["a"], [1]]),
    ("second", "visible", [["a"], [2]]),
    ("vault", "veryHidden", [["a"], [3]]),
)


def of_1904() -> bytes:
    book = openpyxl.Workbook()
    book.epoch = datetime(1904, 1, 1)
    book.active.append(["a", "b"])
    book.active.append([DAY, NOON])
    return saved(book)


def lying_directory() -> bytes:
    """Pack a sheet that grows to 40 MB, and write into the directory that it has 100 bytes."""
    sheet = b"<row r='2'><c><v>1</v></c></row>"
    content = bytearray(
        edited(ONE, SHEET, lambda data: data.replace(b"</sheetData>", sheet * 1_250_000 + b"</sheetData>"))
    )
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as file:
        size = file.getinfo(SHEET).file_size
    old, new = size.to_bytes(4, "little"), (100).to_bytes(4, "little")
    assert content.count(old) == 2
    return bytes(content).replace(old, new)


def noisy() -> bytes:
    """Write sums with all their digits, as spreadsheets save them: openpyxl rounds them."""
    content = of_rows(["a", "b", "c", "d"], [1.5] * 4, [2.5] * 4, [3.5] * 4)
    sums = {b"1.5": b"0.30000000000000004", b"2.5": b"434.99999999999994", b"3.5": b"0.12500000000000003"}
    return edited(content, SHEET, lambda data: re.sub(b"(?<=<v>)[123].5(?=</v>)", lambda found: sums[found[0]], data))


def _formats(sheet: Worksheet) -> None:
    sheet["A2"].number_format, sheet["B2"].number_format = "0%", '#,##0.00 "€"'


def _blank_styles(sheet: Worksheet) -> None:
    for cell in ("B2", "F2", "A9", "Z99"):
        sheet[cell].fill = PatternFill("solid", "ffff00")


def _merged(sheet: Worksheet) -> None:
    sheet.merge_cells("A2:A3")
    sheet.merge_cells("B4:C4")


def _hidden(sheet: Worksheet) -> None:
    sheet.row_dimensions[2].hidden = True
    sheet.column_dimensions["B"].hidden = True


RICH = CellRichText("plain ", TextBlock(InlineFont(b=True), "bold"), " end")

FRAME = pd.DataFrame(
    {
        "id": [1, 2],
        "price": [2.5, None],
        "at": pd.to_datetime(["2026-01-31 12:30:15", None]),
        "ok": [True, False],
        "word": ["é", None],
    }
)
TYPES = {"id": "integer", "price": "number", "at": "datetime", "ok": "boolean", "word": "string"}

XML_2003 = b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook xmlns="urn:x"/>'

# What openpyxl writes.
WRITTEN = [
    Case("whole numbers", of_rows(["a"], [12.0], [12.5], [-3], [1e20]), {"a": "integer"}, [(2, 12), (4, -3)],
         [(3, "a", "type"), (5, "a", "type")]),
    Case("text that looks like numbers", of_rows(["a"], [" 7 "], ["+5"], ["x"], ["0x1F"]), {"a": "integer"},
         [(2, 7), (3, 5)], [(4, "a", "type"), (5, "a", "type")]),
    Case("numbers", of_rows(["a"], [0.1], [1e20], [-3], ["1,5"], [1e-9]), {"a": "number"},
         [(2, 0.1), (3, 1e20), (4, -3.0), (6, 1e-9)], [(5, "a", "type")]),
    Case("numbers with a decimal comma", of_rows(["a"], [2.5], ["1.234,5"], ["2.5e0"]),
         {"a": {"type": "number", "decimalChar": ",", "groupChar": "."}}, [(2, 2.5), (3, 1234.5), (4, 25.0)]),
    Case("a fraction is no group of digits", of_rows(["a"], [12.5], [1234], ["1.234"]),
         {"a": {"type": "integer", "groupChar": "."}}, [(3, 1234), (4, 1234)], [(2, "a", "type")]),
    Case("booleans by words", of_rows(["a"], [True], [False], ["ja"], [1]),
         {"a": {"type": "boolean", "trueValues": ["ja"], "falseValues": ["nein"]}},
         [(2, True), (3, False), (4, True)], [(5, "a", "type")]),
    Case("dates by a format of words", of_rows(["a"], [DAY], [date(1926, 1, 31)], ["1-Feb-26"]),
         {"a": {"type": "date", "format": "%-d-%b-%y"}}, [(2, DAY), (4, date(2026, 2, 1))], [(3, "a", "type")]),
    Case("booleans", of_rows(["a"], [True], [False], [1], [0], ["true"], [2], ["yes"]), {"a": "boolean"},
         [(2, True), (3, False), (4, True), (5, False), (6, True)], [(7, "a", "type"), (8, "a", "type")]),
    Case("a boolean is no number", of_rows(["a"], [True]), {"a": "integer"}, [], [(2, "a", "type")]),
    Case("dates", of_rows(["a"], [DAY], [datetime(2026, 2, 1)], [NOON], ["2026-02-02"], [46053], [time(7, 30)]),
         {"a": "date"}, [(2, DAY), (3, date(2026, 2, 1)), (5, date(2026, 2, 2))],
         [(4, "a", "type"), (6, "a", "type"), (7, "a", "type")]),
    Case("dates by a format", of_rows(["a"], [DAY], ["01.02.2026"], ["2026-02-02"], [NOON]),
         {"a": {"type": "date", "format": "%d.%m.%Y"}}, [(2, DAY), (3, date(2026, 2, 1))],
         [(4, "a", "type"), (5, "a", "type")]),
    Case("datetimes", of_rows(["a"], [DAY], [NOON], [NOON.replace(microsecond=123000)], ["2026-01-31T01:00:00+01:00"]),
         {"a": "datetime"}, [(2, datetime(2026, 1, 31)), (3, NOON), (4, NOON.replace(microsecond=123000)),
                             (5, datetime(2026, 1, 31))]),
    Case("datetimes by a format of minutes", of_rows(["a"], [NOON.replace(second=0)], [NOON], ["01/02/2026 07:05"]),
         {"a": {"type": "datetime", "format": "%d/%m/%Y %H:%M"}},
         [(2, NOON.replace(second=0)), (4, datetime(2026, 2, 1, 7, 5))], [(3, "a", "type")]),
    Case("anything as text",
         of_rows(["a"], [12.0], [0.1], [0.1 + 0.2], [True], [DAY], [NOON], [time(7, 30)], [timedelta(hours=30)],
                 [2**53], [123456789012345.0], [-5], [1e300]),
         {"a": "string"},
         [*enumerate(["12", "0.1", "0.3", "TRUE", "2026-01-31", "2026-01-31T12:30:15", "07:30:00", "30:00:00",
                      "9007199254740992", "123456789012345", "-5", "1e+300"], 2)]),
    Case("text", of_rows(["a"], ["  sp  "], ["line\nbreak"], ["'quoted"], ["=not"[1:]], ["tab\there"], ["😀"], ["<&>"]),
         {"a": "string"}, [*enumerate(["  sp  ", "line\nbreak", "'quoted", "not", "tab\there", "😀", "<&>"], 2)]),
    Case("characters by their numbers", of_rows(["a"], ["a_x000D_b"], ["_x005F_x0041_"], ["_x41_"]), {"a": "string"},
         [(2, "a\rb"), (3, "_x0041_"), (4, "_x41_")]),
    Case("a long text", of_rows(["a"], ["x" * 32_767]), {"a": "string"}, [(2, "x" * 32_767)]),
    Case("rich text", of_rows(["a"], [RICH]), {"a": "string"}, [(2, "plain bold end")]),
    Case("error cells", of_rows(["a", "b"], [1, "x"], [None, "y"], [2], [3], change=error("#N/A")),
         {"a": "integer", "b": "string"}, [(2, 1, "x"), (5, 3, "#N/A")], [(3, "a", "type"), (4, "b", "type")]),
    Case("an error cell and more", of_rows(["a", "b"], [1, "x"], [None, "yyy"], [2], change=error("#DIV/0!")),
         {"a": {"type": "integer", "constraints": {"required": True}}, "b": {"constraints": {"maxLength": 1}}},
         [(2, 1, "x")],
         [(3, "a", "type"), (3, "b", "maxLength"), (4, "b", "type"), (5, "a", "required"), (5, "b", "maxLength")]),
    Case("empty rows", of_rows(["a"], [], [1], [], [], [2]), {"a": "integer"}, [(3, 1), (6, 2)]),
    Case("a table further down and right", of_rows(["a", "b"], [1, "x"], [2, None], first="C4"),
         {"a": "integer", "b": "string"}, [(5, 1, "x"), (6, 2, None)]),
    Case("a value beyond the header", of_rows(["a", "b"], [1, 2], [3, 4, 5], [6, 7, None, "note"]),
         {"a": "integer", "b": "integer"}, [(2, 1, 2)], [(3, None, "fields"), (4, None, "fields")]),
    Case("a value before the header", of_rows([None, "a"], [None, 1], ["x", 2]), {"a": "integer"},
         refused=("header", "it has ''")),
    Case("a value before the header of a subset", of_rows([None, "a"], [None, 1], ["x", 2]), {"a": "integer"},
         [(2, 1), (3, 2)], match="subset"),
    Case("an error cell right of all others", of_rows(["a"], [1], [2], change=lambda sheet: error_at(sheet, "C3")),
         {"a": "integer"}, [(2, 1)], [(3, None, "fields")]),
    Case("blank cells with a colour", of_rows(["a"], [1], [2], change=_blank_styles), {"a": "integer"},
         [(2, 1), (3, 2)]),
    Case("a header that lacks a name", of_rows(["a"], [1]), {"a": "integer", "b": "string"},
         refused=("header", "it lacks b")),
    Case("a header with one more", of_rows(["a", "z"], [1, 2]), {"a": "integer"}, refused=("header", "it has 'z'")),
    Case("a subset of the columns", of_rows(["z", "a"], ["t", 1]), {"a": "integer"}, [(2, 1)], match="subset"),
    Case("another order", of_rows(["b", "a"], ["t", 1]), {"a": "integer", "b": "string"}, [(2, 1, "t")], match="equal"),
    Case("a number as a name", of_rows(["a", 2024], [1, 2]), {"a": "integer", "2024": "integer"}, [(2, 1, 2)]),
    Case("a date as a name", of_rows([DAY], [1]), {"2026-01-31": "integer"}, [(2, 1)]),
    Case("a name twice", of_rows(["a", "a"], [1, 2]), {"a": "integer", "b": {"type": "integer", "header": ["a", 2]}},
         [(2, 1, 2)]),
    Case("a column without a name", of_rows(["a", None, "c"], [1, 2, 3]),
         {"a": "integer", "b": {"type": "integer", "header": ""}, "c": "integer"}, [(2, 1, 2, 3)]),
    Case("required", of_rows(["a", "b"], [1, "x"], [None, "y"]),
         {"a": {"type": "integer", "constraints": {"required": True}}, "b": "string"}, [(2, 1, "x")],
         [(3, "a", "required")]),
    Case("constraints", of_rows(["a", "b"], [1, DAY], [9, date(2025, 1, 1)]),
         {"a": {"type": "integer", "constraints": {"maximum": 5}},
          "b": {"type": "date", "constraints": {"minimum": "2026-01-01"}}}, [(2, 1, DAY)],
         [(3, "a", "maximum"), (3, "b", "minimum")]),
    Case("merged cells", of_rows(["a", "b", "c"], ["x", 1, 1], [None, 2, 2], ["y", 3, None], change=_merged),
         {"a": "string", "b": "integer", "c": "integer"}, [(2, "x", 1, 1), (3, None, 2, 2), (4, "y", 3, None)]),
    Case("a hidden row and column", of_rows(["a", "b"], [1, 2], [3, 4], change=_hidden),
         {"a": "integer", "b": "integer"}, [(2, 1, 2), (3, 3, 4)]),
    Case("the first sheet that is seen", TABS, {"a": "integer"}, [(2, 1)]),
    Case("the second sheet that is seen", TABS, {"a": "integer"}, [(2, 2)], dialect={"sheetNumber": 2}),
    Case("a sheet by name", TABS, {"a": "integer"}, [(2, 2)], dialect={"sheetName": "second"}),
    Case("a hidden sheet by name", TABS, {"x": "integer"}, [(2, 1)], dialect={"sheetName": "notes"}),
    Case("a very hidden sheet by name", TABS, {"a": "integer"}, [(2, 3)], dialect={"sheetName": "vault"}),
    Case("no sheet of this name", TABS, {"a": "integer"}, dialect={"sheetName": "Second"},
         refused=("workbook", "no sheet named 'Second': its sheets with cells are 'notes', 'first', 'second'")),
    Case("a chart has no cells", TABS, {"a": "integer"}, dialect={"sheetName": "chart"},
         refused=("workbook", "no sheet")),
    Case("no sheet of this number", TABS, {"a": "integer"}, dialect={"sheetNumber": 3},
         refused=("workbook", "no sheet number 3")),
    Case("formulas that were never computed", of_rows(["a"], ["=1+1"], [2]), {"a": "integer"}, [(3, 2)]),
    Case("sums with noise behind their 15 digits", noisy(),
         {"a": "number", "b": {"type": "number", "decimal": {"precision": 18, "scale": 2}}, "c": "string",
          "d": {"type": "number", "decimal": {"precision": 18, "scale": 3}}},
         [(2, 0.1 + 0.2, Decimal("0.30"), "0.3", Decimal("0.300")),
          (3, 4.35 * 100, Decimal("435.00"), "435", Decimal("435.000"))],
         [(4, "b", "type")]),
    Case("times and durations", of_rows(["a", "b"], [time(7, 30), timedelta(hours=26.5)], [timedelta(hours=7), time(8)],
                                        [timedelta(hours=24), timedelta(seconds=1.25)]),
         {"a": "time", "b": "duration"}, [(2, time(7, 30), "PT26H30M"), (3, time(7), "PT8H")], [(4, "a", "type")]),
    Case("the calendar of 1904", of_1904(), {"a": "date", "b": "datetime"}, [(2, DAY, NOON)]),
    Case("percent and currency", of_rows(["a", "b"], [0.25, 1234.5], change=_formats), {"a": "number", "b": "string"},
         [(2, 0.25, "1234.5")]),
    Case("a title, a header of two rows and totals",
         of_rows(["Sales"], ["2026"], ["a", "b"], [None, "net"], [1, "x"], ["# note", 2],
                 [2, "y"], ["Total", 3], ["all"]),
         {"a": "integer", "b net": "string"}, [(5, 1, "x"), (7, 2, "y")],
         dialect={"headerRows": [3, 4], "commentChar": "#", "footerRows": 2}),
    Case("a header that is not in its row", of_rows(["a"], [], [1]), {"a": "integer"}, dialect={"headerRows": [2]},
         refused=("header", "no record begins in line 2")),
    Case("no header", of_rows([1, "x"], [2, "y", "z"]), {"a": "integer", "b": "string"}, [(1, 1, "x")],
         [(2, None, "fields")], dialect={"header": False}),
    Case("comments by their rows, and a word for null", of_rows(["a"], [1], ["note"], ["-"]), {"a": "integer"},
         [(2, 1), (4, None)], dialect={"commentRows": [3], "nullSequence": "-"}),
    Case("more totals than rows", of_rows(["a"], [1]), {"a": "integer"}, dialect={"footerRows": 2}),
    Case("a header alone", of_rows(["a"]), {"a": "integer"}),
    Case("an empty sheet", of_rows(), {"a": "integer"}, refused=("header", "found an empty file")),
]  # fmt: skip

# What pandas writes.
FRAMES = [
    Case("a frame", by_pandas(FRAME, index=False), TYPES,
         [(2, 1, 2.5, NOON, True, "é"), (3, 2, None, None, False, None)]),
    Case("a frame with its index", by_pandas(FRAME), {"row": {"type": "integer", "header": ""}, **TYPES},
         [(2, 0, 1, 2.5, NOON, True, "é"), (3, 1, 2, None, None, False, None)]),
    Case("a frame further down", by_pandas(FRAME[["id"]], index=False, startrow=5, startcol=2), {"id": "integer"},
         [(7, 1), (8, 2)]),
]  # fmt: skip

# What is no workbook, or was damaged.
DAMAGED = [
    Case("an empty file", b"", {"a": "integer"}, refused=("workbook", "the file is empty")),
    Case("CSV", b"a,b\n1,2\n", {"a": "integer"}, refused=("workbook", "it is text: if it is CSV, name it .csv")),
    Case("a web page", b"\xef\xbb\xbf <html><table><tr><td>1</table>", {"a": "integer"},
         refused=("workbook", "a web page (HTML)")),
    Case("the XML of 2003", XML_2003, {"a": "integer"}, refused=("workbook", "a spreadsheet as XML")),
    Case("an Excel file of 1992", bytes.fromhex("0904060000001000"), {"a": "integer"},
         refused=("workbook", "an Excel file from before 1997")),
    Case("no file of a kind", bytes.fromhex("89504e470d0a1a0a"), {"a": "integer"},
         refused=("workbook", "it begins with 89 50 4e 47")),
    Case("a zip of something else", edited(ONE, SHEET, bytes).replace(b"xl/workbook", b"xx/workbook"), {"a": "integer"},
         refused=("workbook", "a zip, but not a workbook")),
    Case("a binary workbook", edited(ONE, SHEET, bytes).replace(b"xl/workbook.xml", b"xl/workbook.bin"),
         {"a": "integer"}, refused=("workbook", "a binary workbook (.xlsb): save it as .xlsx")),
    Case("cut short", ONE[:-30], {"a": "integer"}, refused=("workbook", "was not sent whole")),
    Case("the half of it", ONE[: len(ONE) // 2], {"a": "integer"}, refused=("workbook", "was not sent whole")),
    Case("a sheet that ends too early", edited(ONE, SHEET, lambda data: data[:-40]), {"a": "integer"},
         refused=("workbook", "damaged")),
    Case("a sheet that is not there", edited(
        ONE, "xl/workbook.xml", lambda data: data.replace(b'r:id="rId1"', b'r:id="x"')),
         {"a": "integer"}, refused=("workbook", "damaged")),
    Case("a directory that lies", lying_directory(), {"a": "integer"}, refused=("size", "grow to more than")),
    Case("a bomb", edited(ONE, "xl/styles.xml", lambda data: data + b" " * 40_000_000), {"a": "integer"},
         refused=("size", "grow to more than 1,048,576, and more than 200 times")),
    Case("a cell far away", edited(of_rows(["a"], [1]), SHEET, lambda data: data.replace(b'"A2"', b'"XFD1048576"')),
         {"a": "integer"}, refused=("size", "takes more than 1 MiB of memory")),
    Case("macros", edited(ONE, "[Content_Types].xml", lambda data: data.replace(
        b"openxmlformats-officedocument.spreadsheetml.sheet.main+xml", b"ms-excel.sheet.macroEnabled.main+xml")),
         {"a": "integer"}, [(2, 1)]),
]  # fmt: skip

_OFFICE = {"id": "integer", "day": "date", "at": "datetime", "ok": "boolean", "price": "number", "note": "string"}
_ROWS = [
    (3, 1, DAY, NOON, True, 2.5, "line\nbreak"),
    (4, 2, date(2026, 2, 28), datetime(2026, 2, 28), False, -0.25, "  é "),
]
_REJECTS = [(6, "id", "type"), (6, "note", "type"), (7, "price", "type"), (8, "day", "type"), (8, "at", "type")]


_EXCEL_ODS = (FILES / "excel.xml").read_text()


def excel_ods() -> bytes:
    """Pack an .ods in Excel's style: no marks of LibreOffice, and each row and the sheet are filled to their ends."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        file.writestr("META-INF/manifest.xml", "<manifest/>")
        file.writestr("content.xml", _EXCEL_ODS)
    return content.getvalue()


def office(name: str, **settings: Any) -> Case:
    """Return the case of a file that LibreOffice wrote: see `make.py` beside it."""
    return Case(name, (FILES / name).read_bytes(), **settings)


def renamed_stream(name: str) -> bytes:
    """Rename the one stream of an .xls: that of a protected .xlsx is `EncryptedPackage`."""
    content, old = TABLE_XLS, "Workbook".encode("utf-16-le")
    assert content.count(old) == 1
    at = content.index(old)
    entry = name.encode("utf-16-le").ljust(64, b"\0") + (2 * len(name) + 2).to_bytes(2, "little")
    return content[:at] + entry + content[at + len(entry) :]


OFFICE = [
    *(office(f"table.{kind}", fields=_OFFICE, rows=_ROWS, rejects=_REJECTS) for kind in ("xls", "ods", "xlsx")),
    *(
        office(f"password.{kind}", fields=_OFFICE, refused=("workbook", "protected by a password"))
        for kind in ("xls", "ods")
    ),
    *(
        office(f"formulas.{kind}", fields={"sum": "integer", "text": "string", "time": "string", "long": "string"},
               rows=[(2, 3, "xy", "07:30:00", "30:00:00"), (4, 5, "z", None, None)], rejects=[(3, "sum", "type")])
        for kind in ("xls", "ods", "xlsx")
    ),
    *(
        office(f"tabs.{kind}", fields={"a": "integer"}, rows=[(2, 2)], dialect={"sheetNumber": 2})
        for kind in ("xls", "ods", "xlsx")
    ),
    Case("an .ods in Excel's style", excel_ods(),
         {"id": "integer", "day": "datetime", "share": {"type": "number", "decimal": {"precision": 9, "scale": 2}},
          "took": "duration", "ok": "boolean"},
         [(2, 1, datetime(2026, 1, 31), Decimal("0.25"), "PT7H30M", True),
          (3, 2, NOON, Decimal("0.30"), "PT26H30M", False), (7, 3, None, None, None, None),
          (8, 3, None, None, None, None)]),
    Case("an OpenDocument text", TABLE_ODS.replace(b"document.spreadsheet", b"document.textual-doc"),
         {"a": "integer"}, refused=("workbook", "an OpenDocument file, but not a spreadsheet")),
    Case("an old Word document", renamed_stream("WordDocument"), {"a": "integer"},
         refused=("workbook", "an old Office document, but not a workbook")),
    Case("a protected .xlsx", renamed_stream("EncryptedPackage"), {"a": "integer"},
         refused=("workbook", "protected by a password")),
    Case("an .xls cut short", TABLE_XLS[:3000], {"a": "integer"}, refused=("workbook", "damaged")),
    Case("an .ods cut short", TABLE_ODS[:-9], {"a": "integer"}, refused=("workbook", "damaged")),
]  # fmt: skip

CASES = [*WRITTEN, *FRAMES, *DAMAGED, *OFFICE]
