"""Records that look odd and are valid: all of them must be kept."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from random import Random

from simulator.exam.case import Draw, File, Kind, Row, cells, quoted, record, sheet

Odd = Callable[[Row, Random], tuple[Row, str]]  # a row to what it says, and how that is written

NUMBERS = ("Sold", "Returned", "Ordered", "quantity", "unit_price", "total")
TEXTS = ("Month", "Store", "customer", "product")


def _renumbered(row: Row, write: Callable[[str], str]) -> tuple[Row, str]:
    """Write all numbers of a row in another way."""
    return row, record(cells(row) | {name: write(row[name]) for name in NUMBERS if name in row})


def _retold(row: Row, write: Callable[[str], str]) -> tuple[Row, str]:
    """Replace the texts of a row."""
    changed = row | {name: write(row[name]) for name in TEXTS if name in row}
    return changed, record(cells(changed))


def _plus(row: Row, _: Random) -> tuple[Row, str]:
    return _renumbered(row, "+{}".format)


def _zeros(row: Row, chance: Random) -> tuple[Row, str]:
    return _renumbered(row, lambda text: "0" * chance.choice([1, 3, 30]) + text)


def _spaces(row: Row, chance: Random) -> tuple[Row, str]:
    return _renumbered(row, lambda text: chance.choice([" {}", "{}\t", "\t {}  ", '" {} "', '"{}\t"']).format(text))


def _exponent(row: Row, _: Random) -> tuple[Row, str]:
    written = {name: f"{Decimal(row[name]):E}" for name in ("unit_price", "total")}
    return row, record(cells(row) | written)


def _big(row: Row, chance: Random) -> tuple[Row, str]:
    """Write an integer that a float cannot hold."""
    big = row | {"Sold": str(2**53 + 1 + 2 * chance.randrange(1000))}
    return big, record(cells(big))


def _all_quoted(row: Row, _: Random) -> tuple[Row, str]:
    return row, record(map(quoted, row.values()))


def _newlines(row: Row, chance: Random) -> tuple[Row, str]:
    return _retold(row, lambda text: chance.choice(["{}\nnear the lake", "\r\n{}", "{}\r", "{}\n\n\n,"]).format(text))


def _doubled(row: Row, chance: Random) -> tuple[Row, str]:
    return _retold(row, lambda text: chance.choice(['say "{}"', '"{}"', '"', '{}, 27"', '""{}']).format(text))


def _other_breaks(row: Row, chance: Random) -> tuple[Row, str]:
    """Put characters into a text that end a line for some tools and are data here."""
    return _retold(row, lambda text: text + chance.choice(["\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\x1c"]) + "x")


def _spaced_text(row: Row, chance: Random) -> tuple[Row, str]:
    return _retold(row, lambda text: chance.choice([" {}", "{}  ", "\t{}", "#{}", "\ufeff{}", "\u00a0{}"]).format(text))


def _longest(row: Row, chance: Random) -> tuple[Row, str]:
    """Write a text with the largest number of characters, and more bytes."""
    longest = row | {"order_id": chance.choice("éλ日🦆") * 20}
    return longest, record(cells(longest))


def _odd(write: Odd, draw: Draw) -> File:
    page, picked = sheet(draw), draw.picked()
    for number, row in enumerate(draw.rows):
        page.keep(*(write(row, draw.chance) if number in picked else (row,)))
    return page.file()


ODDITIES: dict[str, Kind] = {
    "plus sign": Kind(partial(_odd, _plus)),
    "leading zeros": Kind(partial(_odd, _zeros)),
    "spaces around numbers": Kind(partial(_odd, _spaces)),
    "exponent": Kind(partial(_odd, _exponent), ("orders",)),
    "big integers": Kind(partial(_odd, _big), ("companydata",)),
    "all quoted": Kind(partial(_odd, _all_quoted)),
    "quoted line ends": Kind(partial(_odd, _newlines)),
    "doubled quotes": Kind(partial(_odd, _doubled)),
    "other line breaks": Kind(partial(_odd, _other_breaks)),
    "text kept exactly": Kind(partial(_odd, _spaced_text)),
    "longest text": Kind(partial(_odd, _longest), ("orders",)),
}
