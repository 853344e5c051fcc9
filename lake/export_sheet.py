"""Export rejected rows of a sheet: a workbook with the rows down to the header, and the rejected ones below."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, BinaryIO

from common.workbook.archive import Bounds
from common.workbook.cells import Block, Cell, unpack
from common.workbook.process import open_sheet
from common.workbook.unreadable import Unreadable
from common.workbook.write import SheetWriter, title_of
from lake.mending import MENDS, fixed_dialect, mark_of
from lake.rejects import CannotExport, RejectedRecords, check_complete, too_large

CELLS = 100  # characters of text that are copied while one cell is written
RATIO = 200  # times that a workbook may always grow

Row = tuple[int, list[Cell]]  # its number from 1, and its cells without the empty ones at its end


def export_sheet(
    stream: BinaryIO,
    key: str,
    dialect: Mapping[str, Any],
    fields: int,
    rejects: RejectedRecords,
    out: BinaryIO,
    memory: int,
    most: int | None,
) -> None:
    """Copy the rows down to the header in their places, and the rejected ones, each with its mark after the header.

    Args:
        stream: the source.
        key: its key.
        dialect: of the contract, by the names of the standard's Table Dialect.
        fields: the number of columns of a sheet without a header.
        rejects: the rows.
        out: receives the workbook.
        memory: bytes that reading the source may take.
        most: characters that are copied in the time that the export may take.
    """
    dialect = dialect if rejects.mends is None else fixed_dialect(dialect)
    try:
        number = dialect.get("sheetNumber")
        name, blocks = open_sheet(stream, dialect.get("sheetName"), number, Bounds(memory, RATIO))
        with closing(blocks):
            _copy(name, blocks, key, dialect, fields, rejects, out, most)
    except Unreadable as error:
        if error.rule == "size" and most is not None:
            raise too_large(key) from error
        raise CannotExport(f"{key} cannot be read: {error}") from error


def _copy(
    name: str,
    blocks: Iterator[Block],
    key: str,
    dialect: Mapping[str, Any],
    fields: int,
    rejects: RejectedRecords,
    out: BinaryIO,
    most: int | None,
) -> None:
    if dialect.get("sheetName") and title_of(name) != name:
        raise CannotExport(f"{key}: no sheet of an .xlsx file may have the name {name!r}: rename it in the file")
    block = next(blocks)
    rows = _rows(block, blocks)
    above, width = _header(rows, dialect) if dialect.get("header", True) else ([], fields)
    keep_marks = rejects.mends is not None
    if above and not keep_marks:
        above[-1] = [*above[-1], *above[-1][-1:] * (width - len(above[-1])), MENDS]
    if most is not None and len(rejects.open) * (width + 1) * CELLS > most:
        raise too_large(key)
    left = len(rejects.open)
    with SheetWriter(out, title_of(name), block[1]) as writer:
        for cells in above:
            writer.write(cells)
        for line, cells in rows:
            if line in rejects.open:
                mark = mark_of(line, rejects.version)
                writer.write(cells if keep_marks else _marked(cells, width, mark))
                left -= 1
            if not left:
                break
        check_complete(left)


def _rows(block: Block, later: Iterator[Block]) -> Iterator[Row]:
    """Yield all rows of a sheet, from the first one."""
    while True:
        first, _, height, columns = block
        cells = [*map(unpack, columns)]
        for place in range(height):
            row = [column[place] for column in cells]
            while row and row[-1] == "":
                row.pop()
            yield first + place, row
        if (following := next(later, None)) is None:
            return
        block = following


def _header(rows: Iterator[Row], dialect: Mapping[str, Any]) -> tuple[list[list[Cell]], int]:
    """Return the rows down to the last one of the header, and the width of the header."""
    numbers = list(dialect.get("headerRows") or (1,))
    numbers = [] if numbers == [1] else numbers  # then the first row is it that has cells, and is no comment
    comments = set(dialect.get("commentRows") or ())
    left_out = comments.difference(fixed_dialect(dialect)["commentRows"]) if not numbers else set[int]()
    above, width = list[list[Cell]](), 0
    for line, cells in rows:
        is_header = line in numbers if numbers else not (line in comments or _is_no_record(cells, dialect))
        width = max(width, len(cells)) if is_header else width
        above.append([] if line in left_out else cells)
        if is_header and line in (numbers[-1:] or [line]):
            break
    return above, width


def _is_no_record(cells: list[Cell], dialect: Mapping[str, Any]) -> bool:
    first = next((cell for cell in cells if cell != ""), "")
    comment = dialect.get("commentChar")
    return first == "" or bool(comment and isinstance(first, str) and first.startswith(comment))


def _marked(cells: list[Cell], width: int, mark: str) -> list[Cell]:
    """Return a row with its mark after the header; what stands there already is moved to the right."""
    return [*cells[:width], *[""] * (width - len(cells)), mark, *cells[width:]]
