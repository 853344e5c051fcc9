"""Workbooks (`.xlsx`), written part by part: sound ones, some with bad cells, and files that are none."""

import zipfile
from collections.abc import Mapping
from io import BytesIO
from xml.sax.saxutils import escape

from simulator.exam.case import SHAPES, Answer, Draw, File, Kind, Sheet, good

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
    '<sheets><sheet name="data" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}

DATASETS = ("companydata", "orders")  # what a person keeps in a workbook
ERRORS = ("#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!")


def packed(rows: bytes) -> bytes:
    """Pack rows, as XML, to a workbook; its bytes depend on nothing else."""
    content = BytesIO()
    sheet = f'<worksheet xmlns="{_MAIN}"><sheetData>{rows.decode()}</sheetData></worksheet>'
    with zipfile.ZipFile(content, "w") as file:
        for name, part in {**PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            file.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _cell(place: str, text: str, *, number: bool) -> str:
    if not text:
        return ""
    if text in ERRORS:
        return f'<c r="{place}" t="e"><v>{text}</v></c>'
    if number:
        return f'<c r="{place}"><v>{text}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


def _row(row: Mapping[str, str], line: int, column: int, numbers: bool = True) -> str:
    sums = {name for shape in SHAPES.values() for name in shape.sums} if numbers else set()
    cells = [
        _cell(f"{chr(ord('A') + column + place)}{line}", text, number=name in sums)
        for place, (name, text) in enumerate(row.items())
    ]
    return f'<row r="{line}">{"".join(cells)}</row>'


def _begun(draw: Draw, line: int = 1, column: int = 0) -> Sheet:
    page = Sheet(draw, line=line)
    header = SHAPES[draw.dataset].header
    page.write(_row(dict(zip(header, header, strict=True)), line, column, numbers=False))
    return page


def _sound(draw: Draw, line: int = 1, column: int = 0) -> File:
    """Write a table that begins anywhere, with empty rows in it."""
    page = _begun(draw, line, column)
    for row in draw.rows:
        page.line += draw.chance.choice([0, 0, 3])
        page.keep(row, _row(row, page.line, column))
    return page.file(".xlsx", packed(bytes(page.data)))


def _moved(draw: Draw) -> File:
    return _sound(draw, draw.chance.randrange(2, 99), draw.chance.randrange(1, 9))


def _spoiled(draw: Draw) -> File:
    """Put an error, or text, where a number stands; or a value beyond the header."""
    page, bad = _begun(draw), draw.picked()
    for number, row in enumerate(draw.rows):
        if number not in bad:
            page.keep(row, _row(row, page.line, 0))
        elif draw.chance.random() < 0.25:
            page.reject(_row(row | {"beyond": "note"}, page.line, 0), (None, "fields"))
        else:
            name = draw.chance.choice(SHAPES[draw.dataset].sums)
            text = draw.chance.choice([*ERRORS, "many"])
            page.reject(_row(row | {name: text}, page.line, 0, numbers=text != "many"), (name, "type"))
    return page.file(".xlsx", packed(bytes(page.data)))


def _damaged(draw: Draw) -> File:
    data = _sound(draw).versions[0]
    change = draw.chance.choice([_cut, _of_text, _of_web])
    return File(draw.dataset, ".xlsx", [change(data, draw)], Answer("refused", "workbook"))


def _cut(data: bytes, draw: Draw) -> bytes:
    return data[: draw.chance.randrange(4, len(data) - 22)]


def _of_text(_: bytes, draw: Draw) -> bytes:
    return bytes(good(draw).data)


def _of_web(_: bytes, draw: Draw) -> bytes:
    return b"<html><body><table><tr><td>" + bytes(good(draw).data) + b"</table>"


WORKBOOKS: dict[str, Kind] = {
    "workbook": Kind(_sound, DATASETS),
    "workbook, further down and right": Kind(_moved, DATASETS),
    "workbook with bad cells": Kind(_spoiled, DATASETS),
    "workbook that is none": Kind(_damaged, DATASETS),
}
