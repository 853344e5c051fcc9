"""Recognise files by their first bytes: what a file is that has the name of a workbook."""

import re

ARCHIVE = (b"PK\x03\x04", b"PK\x05\x06")
COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_OTHERS = (
    (re.compile(rb"\x09[\x00\x02\x04\x08]"), "an Excel file from before 1997: save it as .xlsx"),
    (re.compile(rb"\x1f\x8b"), "gzip: a workbook is packed already, so put it without gzip"),
    (re.compile(rb"%PDF-"), "a PDF"),
    (re.compile(rb"PAR1"), "Parquet: name it .parquet"),
    (
        re.compile(rb"\s*<\?xml.{0,400}?(?:Excel\.Sheet|:spreadsheet)", re.DOTALL),
        "a spreadsheet as XML: save it as .xlsx",
    ),
    (
        re.compile(rb"\s*<", re.DOTALL),
        "a web page (HTML) or other XML: open it in a spreadsheet program and save it as .xlsx",
    ),
)
_TEXT = re.compile(rb"[^\x00-\x08\x0e-\x1a\x1c-\x1f]*")
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def is_archive(content: bytes) -> bool:
    """Return whether a file begins like a zip, as .xlsx and .ods do."""
    return content.startswith(ARCHIVE)


def is_compound_file(content: bytes) -> bool:
    """Return whether a file begins like an old Office document, as .xls does."""
    return content.startswith(COMPOUND_FILE)


def described(content: bytes) -> str:
    """Return what a file is that is no workbook, and what to do."""
    begin = content[:1000]
    if not begin:
        return "the file is empty"
    text = next((begin.removeprefix(bom) for bom in _BOMS if begin.startswith(bom)), begin)
    for pattern, what in _OTHERS:
        if pattern.match(text):
            return f"the file is no workbook, it begins like {what}"
    if begin.startswith(_BOMS) or _TEXT.fullmatch(begin):
        return "the file is no workbook, it is text: if it is CSV, name it .csv"
    return f"the file is no workbook, it begins with {begin[:8].hex(' ')}: expected .xlsx, .xls or .ods"
