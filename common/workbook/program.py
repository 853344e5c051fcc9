"""Program that reads one sheet of a workbook: `python -m common.workbook.program`.

It runs in a process of its own, because calamine takes as much memory as a file makes it take, and ends the process
where it gets none: a file of 5 KB can ask for 500 GB. It talks by pickled objects: a `Request` and the file's bytes
come in, the sheet's name and its rows go out. It ends when the process that started it ends.
"""

import gc
import os
import pickle
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from itertools import islice, zip_longest
from typing import cast

import python_calamine as calamine

from common.messages import listed
from common.workbook.archive import Archive, Bounds
from common.workbook.cells import Block, Cell, CellError, Column, join_columns, pack
from common.workbook.compound_file import Errors, binary_errors, read_binary_workbook
from common.workbook.signature import described, is_archive, is_compound_file
from common.workbook.unreadable import Unreadable

FindErrors = Callable[[str, int], Errors]  # of a sheet, by its name and its place among all sheets

PIECE = 1 << 11  # cells that are packed at a time: a processor has so many of them at hand
BLOCK = 64  # pieces that are sent at a time
MAX_COLUMNS = 1 << 14  # of a sheet
OWN_MEMORY = 64 << 20  # bytes that the program has beside those of the workbook
NO_MEMORY = 12  # its exit code where there was too little, for a message may have broken off
_NO_ROOM = {"can't start new thread", "PyObject pointer is null"}  # as Python and calamine tell of it


@dataclass(frozen=True)
class Request:
    """The sheet to read, by name or number, and what the file may grow to and take of memory, in bytes."""

    name: str | None
    number: int | None
    bounds: Bounds
    memory: int


def main() -> None:
    """Serve one request."""
    gc.disable()  # cells make no cycles, and to look for some takes a third of the time
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are sent to a group: the one that reads the rows decides
    request = pickle.load(sys.stdin.buffer)  # noqa: S301 (from the process that started this one)
    _limit_memory(request.memory)
    try:
        content = b"".join(iter(lambda: pickle.load(sys.stdin.buffer), b""))  # noqa: S301
        threading.Thread(target=_end_with_parent, daemon=True).start()
        for message in read_sheet(content, request):
            _send(message)
        _send(None)
    except BaseException as error:  # a panic of Rust is no Exception
        _limit_memory(request.memory + OWN_MEMORY)  # the cells are still held, and the words need room
        outcome = _outcome(error)
        _send(outcome)
        if isinstance(outcome, MemoryError):
            sys.exit(NO_MEMORY)


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # there is none on Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = size + OWN_MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def _end_with_parent() -> None:
    """Wait until the other end of the pipe is closed: nobody will read what this program has to say."""
    os.read(0, 1)
    os._exit(1)


def _send(message: object) -> None:
    pickler = pickle.Pickler(sys.stdout.buffer, 5)
    pickler.fast = True  # no text is looked for among those that were sent before
    pickler.dump(message)
    sys.stdout.buffer.flush()


def _outcome(error: BaseException) -> Unreadable | MemoryError | RuntimeError:
    """Return why a workbook cannot be read; a `RuntimeError` is a mistake of ours."""
    if isinstance(error, Unreadable):
        return error
    if isinstance(error, MemoryError) or str(error) in _NO_ROOM:
        return MemoryError()
    if isinstance(error, (calamine.CalamineError, OSError)) or type(error).__name__ == "PanicException":
        return Unreadable("workbook", f"the workbook is damaged, or has what cannot be read: {str(error)[:200]}")
    return RuntimeError("".join(traceback.format_exception(error)))


def read_sheet(content: bytes, request: Request) -> Iterator[str | Block]:
    """Yield the name of a sheet, then its rows in blocks."""
    find: FindErrors
    if is_archive(content):
        archive = Archive(content, request.bounds)
        find, with_durations = lambda name, _: archive.errors(name), archive.kind == "ods"
    elif is_compound_file(content):
        records = read_binary_workbook(content)
        find, with_durations = lambda _, place: binary_errors(records, place), False
    else:
        raise Unreadable("workbook", described(content))
    book = calamine.load_workbook(BytesIO(content))
    place = _choose(book.sheets_metadata, request)
    name = book.sheets_metadata[place].name
    sheet, errors = _parse(book, place, lambda: find(name, place))
    column = min(
        [sheet.start[1] if sheet.start else MAX_COLUMNS, *(first for row in errors.values() for first, _, _ in row)]
    )
    rows = _rows(sheet, errors, column)
    yield name
    yield from _blocks(map(_with_durations, rows) if with_durations else rows, column, sheet.width)


def _parse(
    book: calamine.CalamineWorkbook, place: int, find: Callable[[], Errors]
) -> tuple[calamine.CalamineSheet, Errors]:
    """Return a sheet, which calamine parses without the lock of Python, and its error cells, which are found meanwhile.

    A sheet that grows too far is refused at once, whatever calamine would say of it: nothing waits for its thread.
    """
    sheet = ThreadPoolExecutor(1).submit(book.get_sheet_by_index, place)
    errors = find()
    return sheet.result(), errors


def _choose(sheets: list[calamine.SheetMetadata], request: Request) -> int:
    """Return the place of a sheet among all sheets; a hidden one is found by its name alone."""
    with_cells = [sheet for sheet in sheets if sheet.typ == calamine.SheetTypeEnum.WorkSheet]
    visible = [sheet for sheet in with_cells if sheet.visible == calamine.SheetVisibleEnum.Visible] or with_cells
    if request.name is not None:
        wanted, found = f"named {request.name!r}", [sheet for sheet in with_cells if sheet.name == request.name]
    else:
        number = request.number or 1
        wanted, found = f"number {number}", visible[number - 1 : number]
    if not found:
        names = listed([repr(sheet.name) for sheet in with_cells]) or "none"
        raise Unreadable("workbook", f"the workbook has no sheet {wanted}: its sheets with cells are {names}")
    return next(place for place, sheet in enumerate(sheets) if sheet.name == found[0].name)


def _rows(sheet: calamine.CalamineSheet, errors: Errors, column: int) -> Iterator[list[Cell]]:
    """Yield all rows from the first one, and their cells from `column` on."""
    before: list[Cell] = [""] * (sheet.start[1] - column if sheet.start else 0)
    count = 0
    for row in sheet.iter_rows() if sheet.start else ():  # with the empty rows above
        cells: list[Cell] = [*before, *row] if before else cast(list[Cell], row)
        yield _with_errors(cells, errors[count], column) if count in errors else cells
        count += 1
    for place in range(count, max(errors, default=-1) + 1):  # calamine takes rows of errors alone for empty
        yield _with_errors([], errors.get(place, []), column)


def _with_errors(row: list[Cell], errors: list[tuple[int, int, str]], column: int) -> list[Cell]:
    """Put the errors of a row in their places."""
    for first, last, text in errors:
        start, stop = first - column, min(last, MAX_COLUMNS - 1) - column + 1
        row += [""] * (stop - len(row))
        row[start:stop] = [CellError(text)] * (stop - start)
    return row


def _with_durations(row: list[Cell]) -> list[Cell]:
    """Parse the durations of a day and more, which calamine leaves as OpenDocument writes them."""
    for place, cell in enumerate(row):
        if isinstance(cell, str) and (parts := _DURATION.fullmatch(cell)):
            row[place] = timedelta(hours=int(parts[1]), minutes=int(parts[2]), seconds=float(parts[3]))
    return row


_DURATION = re.compile(r"PT([0-9]{1,9})H([0-9]{1,2})M([0-9]{1,2}(?:\.[0-9]+)?)S")


def _blocks(rows: Iterator[list[Cell]], column: int, width: int) -> Iterator[Block]:
    """Yield blocks of rows, of about the same number of cells."""
    height, first = max(1, PIECE // max(1, width)), 1
    pieces, count = list[tuple[int, list[Column]]](), 0
    while piece := [*islice(rows, height)]:
        pieces.append((len(piece), [*map(pack, zip_longest(*piece, fillvalue=""))]))
        count += len(piece)
        if len(pieces) == BLOCK:
            yield first, column, count, join_columns(pieces)
            first, count = first + count, 0
            pieces.clear()
    yield first, column, count, join_columns(pieces)


if __name__ == "__main__":
    main()
