"""Infer which records of a file are none: titles above the header, units below it, totals and notes at the end."""

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.readers.cells.patterns import NUMBER

LAST = 10  # records at the end of a file that may be footers
BEFORE = 50  # records before them that they are compared with

_TOTAL = re.compile(
    r"(?:grand |sub-?)?totals?|sums?|summe|gesamt(?:summe)?|insgesamt|total général|totale|somme|suma", re.IGNORECASE
)
_UNIT = re.compile(r"[^\W\d_]|%")  # something in it
_VALUE = re.compile(rf"{NUMBER}|[0-9].*")  # a number, a date, a time


@dataclass(frozen=True)
class Record:
    """Record of a file: the line where it starts, and its cells as text."""

    line: int
    cells: Sequence[str]

    @property
    def filled(self) -> int:
        """Return how many of its cells have something in them."""
        return sum(bool(cell.strip()) for cell in self.cells)


def width_of(records: Sequence[Record]) -> int:
    """Return the most frequent number of cells; in a tie, the larger one."""
    counts = [len(record.cells) for record in records]
    return max(counts, key=lambda count: (counts.count(count), count), default=0)


def header_place(records: Sequence[Record]) -> int:
    """Return which record is the header: the first one that has most of the cells which the others have.

    A line above it is a title: it has at most half as many cells, or something in one of them alone.
    """
    width = width_of(records)
    even = [place for place, record in enumerate(records) if len(record.cells) == width]
    full = next((number for number, place in enumerate(even) if records[place].filled > 1), len(even))
    judged = even[full:] if len(even) >= full + 2 else even  # so that titles do not outnumber the records
    usual = statistics.median_low([records[place].filled for place in judged] or [0])
    if usual == 2 and 0 < full < len(even) and _names_stand_in(records, even[full]):
        return even[full]
    return next((place for place, record in enumerate(records) if not _is_title(record, width, usual)), 0)


def _is_title(record: Record, width: int, usual: int) -> bool:
    if len(record.cells) != width:
        return 2 * len(record.cells) <= width
    return record.filled <= 1 and usual > 2


def _names_stand_in(records: Sequence[Record], place: int) -> bool:
    """Return whether a record has the names of two columns, below a title in the first cell.

    One cell alone could be a name, too. So no cell of the record may be a value, and one must stand above values alone.
    """
    names, below = records[place].cells, [record.cells for record in records[place + 1 :]]
    if not records[0].cells[0].strip() or any(_VALUE.fullmatch(name.strip()) for name in names):
        return False
    columns = [[cells[at].strip() for cells in below if at < len(cells)] for at in range(len(names))]
    return any(any(cells) and all(_VALUE.fullmatch(cell) for cell in cells if cell) for cells in columns)


def has_units(records: Sequence[Record], header: int) -> bool:
    """Return whether the record below the header has the units of the columns.

    At least two of its cells are words where all other records have numbers, dates or times, and none of its cells is
    one of these.
    """
    if len(records) < header + 4:
        return False
    below, others = records[header + 1], records[header + 2 :]
    others = [record for record in others if len(record.cells) == len(below.cells)]
    if len(below.cells) != len(records[header].cells) or any(_VALUE.fullmatch(cell.strip()) for cell in below.cells):
        return False
    words = 0
    for place, cell in enumerate(below.cells):
        values = [record.cells[place].strip() for record in others]
        like = [bool(_VALUE.fullmatch(value)) for value in values if value]
        words += bool(_UNIT.search(cell)) and len(cell) <= 20 and sum(like) * 2 > len(values)
    return words >= 2


def count_footers(records: Sequence[Record], width: int) -> int:
    """Return how many records at the end of a file are totals or notes, of the last ones that are given.

    A footer has another number of cells, or the word for a total in a cell, or it is a note: see `_is_note`. A line
    with a wrong quote, which has no cells, counts if a footer is above it: else it may be a record that is cut short.
    """
    last = records[-LAST:]
    before = [record for record in records[-LAST - BEFORE : -LAST] if len(record.cells) == width]
    before = before or [record for record in records[: len(records) // 2] if len(record.cells) == width]
    count = 0
    for number, record in enumerate(reversed(last), 1):
        if not record.cells:
            continue
        total = any(_TOTAL.fullmatch(cell.strip().rstrip(":").strip()) for cell in record.cells)
        if len(record.cells) == width and not total and not _is_note(record, before):
            break
        count = number
    return 0 if count == len(last) else count


def _is_note(record: Record, before: Sequence[Record]) -> bool:
    """Return whether a record has less in it than any before, in one cell alone, or words in the place of values."""
    fewest = min((one.filled for one in before), default=0)
    if not 0 < record.filled < fewest or 2 * record.filled > len(record.cells):
        return False
    place = next(place for place, cell in enumerate(record.cells) if cell.strip())
    words = not _VALUE.fullmatch(record.cells[place].strip())
    values = all(_VALUE.fullmatch(one.cells[place].strip()) for one in before)
    alone = record.filled == 1 and place == 0 and " " in record.cells[0].strip() and fewest > 2 < len(before)
    return words and (alone or values)
