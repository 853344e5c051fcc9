"""Make the workbooks beside this file: by LibreOffice, from what openpyxl writes.

They are made by hand and committed, so that no test needs LibreOffice: on Debian `apt-get install libreoffice-calc
python3-uno`, then `.venv/bin/python tests/unit/pipeline/readers/workbook/files/make.py`.
"""

import subprocess
import sys
import tempfile
from datetime import date, datetime, time, timedelta
from pathlib import Path

import openpyxl

HERE = Path(__file__).parent
FILTERS = {"xls": "MS Excel 97", "ods": "calc8", "xlsx": "Calc MS Excel 2007 XML"}

# It runs in the Python of the system, which has LibreOffice's own module.
STORE = """
import sys, time, uno
from com.sun.star.beans import PropertyValue
source, target, filter_, password = sys.argv[1:]
resolver = uno.getComponentContext().ServiceManager.createInstance("com.sun.star.bridge.UnoUrlResolver")
for _ in range(100):
    try:
        context = resolver.resolve("uno:socket,host=127.0.0.1,port=2002;urp;StarOffice.ComponentContext")
        break
    except Exception:
        time.sleep(0.2)
desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
def value(name, of):
    made = PropertyValue()
    made.Name, made.Value = name, of
    return made
document = desktop.loadComponentFromURL("file://" + source, "_blank", 0, (value("Hidden", True),))
document.calculateAll()
settings = [value("FilterName", filter_)] + ([value("Password", password)] if password else [])
document.storeToURL("file://" + target, tuple(settings))
document.close(True)
import os; os._exit(0)  # this Python may break down where it ends
"""


def table() -> openpyxl.Workbook:
    """Write values of each type, below an empty row, and some that do not fit."""
    book = openpyxl.Workbook()
    sheet = book.active
    rows = [
        ["id", "day", "at", "ok", "price", "note"],
        [1, date(2026, 1, 31), datetime(2026, 1, 31, 12, 30, 15), True, 2.5, "line\nbreak"],
        [2, date(2026, 2, 28), datetime(2026, 2, 28), False, -0.25, "  é "],
        [],
        ["=1/0", None, None, None, None, "=NA()"],
        [4, None, None, None, "many", None],
        [5, datetime(2026, 2, 28, 7), "noon", None, None, None],
    ]
    for number, row in enumerate(rows, 2):
        for place, value in enumerate(row, 1):
            if value is not None:
                sheet.cell(number, place, value)
    return book


def formulas() -> openpyxl.Workbook:
    """Write formulas, whose results LibreOffice computes; a time, and a duration of more than a day."""
    book = openpyxl.Workbook()
    for row in (
        ["sum", "text", "time", "long"],
        ["=1+2", '="x"&"y"', time(7, 30), timedelta(hours=30)],
        ['=VLOOKUP("z",A1:B1,2,0)', "y", None, None],
        ["=A2+2", "z", None, None],
    ):
        book.active.append(row)
    return book


def tabs() -> openpyxl.Workbook:
    """Write a hidden sheet, and two that are seen."""
    book = openpyxl.Workbook()
    book.active.title, book.active.sheet_state = "hidden", "hidden"
    for name, value in (("first", 1), ("second", 2)):
        sheet = book.create_sheet(name)
        sheet.append(["a"])
        sheet.append([value])
    book.active = 1
    return book


def main() -> None:
    """Make all files."""
    socket = "--accept=socket,host=127.0.0.1,port=2002;urp;"
    office = subprocess.Popen(["soffice", "--headless", "--norestore", socket])
    try:
        with tempfile.TemporaryDirectory() as folder:
            for make in (table, formulas, tabs):
                source = Path(folder, f"{make.__name__}.xlsx")
                make().save(source)
                for kind, name in FILTERS.items():
                    store(source, HERE / f"{make.__name__}.{kind}", name, "")
                    if make is table and kind != "xlsx":  # LibreOffice 7.4 leaves it unprotected
                        store(source, HERE / f"password.{kind}", name, "secret")
    finally:
        office.terminate()
        office.wait()


def store(source: Path, target: Path, name: str, password: str) -> None:
    """Open a workbook and save it in another form."""
    python = "/usr/bin/python3"
    subprocess.run([python, "-c", STORE, source, target, name, password], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
