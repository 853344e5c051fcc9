"""Faults in records: each is put into a good file, and it is known which line must be rejected for which reason."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from simulator.exam.bad_values import VALUES, Value
from simulator.exam.case import ORDINARY, Draw, File, Kind, Row, Verdict, cells, record, sheet

Bad = tuple[str | bytes, Sequence[Verdict]]  # a physical line as it is written, and what is wrong with it
Spoil = Callable[[Row, Random], list[Bad]]

LONG = 60_000  # bytes of one long value: with all rows of a file, more than a record may have
LARGE = 500_000  # bytes, about, of the largest value in a file of many blocks
LIMIT = 1 << 20  # bytes that a record may have


def _written(row: Row, values: Sequence[Value]) -> Bad:
    spoiled = cells(row) | {column: text for column, text, _ in values}
    return record(spoiled).encode("utf-8", "surrogateescape"), [(column, rule) for column, _, rule in values]


def _value(kind: str, row: Row, chance: Random) -> list[Bad]:
    return [_written(row, [chance.choice(VALUES[kind][_dataset(row)])])]


def _several(row: Row, chance: Random) -> list[Bad]:
    """Write a record that is wrong in two to four columns."""
    known = [value for kind in VALUES.values() for value in kind.get(_dataset(row), [])]
    by_column = {value[0]: value for value in chance.sample(known, len(known))}
    return [_written(row, chance.sample(list(by_column.values()), chance.randint(2, 4)))]


def _dataset(row: Row) -> str:
    return "companydata" if "Sold" in row else "orders"


def _too_few(row: Row, chance: Random) -> list[Bad]:
    return [(record(list(cells(row).values())[: chance.randrange(1, len(row))]), [(None, "fields")])]


def _too_many(row: Row, chance: Random) -> list[Bad]:
    more = chance.choice([[""], ["7"], ["a", "b"], ['"x,y"']])
    return [(record([*cells(row).values(), *more]), [(None, "fields")])]


def _no_record(_: Row, chance: Random) -> list[Bad]:
    return [(chance.choice(["   ", '""', "\t", "# a comment", "TOTAL", ";;;"]), [(None, "fields")])]


def _with_cell(row: Row, chance: Random, texts: Sequence[str]) -> str:
    column = chance.choice([name for name in ("Month", "Store", "customer", "product") if name in row])
    return record(cells(row) | {column: chance.choice(texts)})


def _misquoted(texts: Sequence[str], row: Row, chance: Random) -> list[Bad]:
    return [(_with_cell(row, chance, texts), [(None, "quote")])]


_stray_quote: Spoil = partial(_misquoted, ['5" pipe', 'North"', 'a""b', ' "x"', 'x"y"z'])
_after_quote: Spoil = partial(_misquoted, ['"a"b', '"North" ', '"a" "b"', '"a"""b'])
# A letter follows the quote, so that it can never close the one of a line before.
_unclosed: Spoil = partial(_misquoted, ['"open', '"North'])


def _torn(row: Row, chance: Random) -> list[Bad]:
    """Write a record of two lines with a wrong quote in the second: each line is rejected by itself."""
    first, second = _with_cell(row, chance, ['"two\nli"nes"']).split("\n")
    return [(first, [(None, "quote")]), (second, [(None, "quote")])]


SPOILS: dict[str, Spoil] = {
    **{kind: partial(_value, kind) for kind in VALUES},
    "several problems": _several,
    "too few fields": _too_few,
    "too many fields": _too_many,
    "no record": _no_record,
    "stray quote": _stray_quote,
    "text after a quote": _after_quote,
    "torn record": _torn,
}


def kinds_of(dataset: str) -> tuple[str, ...]:
    """Return the kinds of fault that a record of a dataset can have."""
    return tuple(kind for kind in SPOILS if dataset in VALUES.get(kind, ORDINARY))


def one_of(kinds: Sequence[str], row: Row, chance: Random) -> list[Bad]:
    """Spoil a record in one of these ways."""
    return SPOILS[chance.choice(kinds)](row, chance)


def _any(row: Row, chance: Random) -> list[Bad]:
    return one_of(kinds_of(_dataset(row)), row, chance)


def spoiled(spoil: Spoil, draw: Draw) -> File:
    """Write a file in which a share of the records has a fault."""
    page, picked = sheet(draw), draw.picked()
    for number, row in enumerate(draw.rows):
        if number not in picked:
            page.keep(row)
            continue
        for raw, problems in spoil(row, draw.chance):
            page.reject(raw, *problems)
    return page.file()


def _beyond_limit(draw: Draw) -> File:
    """Open a quote near the start that no later one closes: only the line it stands in is lost."""
    page, at = sheet(draw), draw.chance.randrange(4)
    for number, row in enumerate(draw.rows):
        if number == at:
            page.reject(record(cells(row) | {"Month": '"1-Jan'}), (None, "size"))
        else:
            page.keep(row | {"Store": row["Store"] + "x" * LONG})
    return page.file()


def _long_line(draw: Draw) -> File:
    page, at = sheet(draw), draw.chance.randrange(len(draw.rows))
    for number, row in enumerate(draw.rows):
        page.keep(row)
        if number == at:
            page.reject(record(cells(row) | {"Store": "x" * (LIMIT + LONG)}), (None, "size"))
    return page.file()


def _long_record(draw: Draw) -> File:
    """Write a sound record above the limit: it falls apart into its lines."""
    page, at = sheet(draw), draw.chance.randrange(len(draw.rows))
    for number, row in enumerate(draw.rows):
        page.keep(row)
        if number == at:
            page.reject('1-Jan,"Bakery', (None, "size"))
            for _ in range(LIMIT // LONG + 1):
                page.reject("x" * LONG, (None, "fields"))
            page.reject('end",North,1,2,3', (None, "quote"))
    return page.file()


def _large(draw: Draw) -> File:
    """Write several MiB of quoted line ends and quotes, and stray quotes between: a border of blocks is anywhere."""
    page, picked = sheet(draw), draw.picked()
    for number, row in enumerate(draw.rows):
        many = draw.chance.randrange(LARGE // 2, LARGE) // 20
        page.keep(row | {"Store": '\r\nby the "lake",\n"\r' * many + row["Store"]})
        for raw, problems in draw.chance.choice([_stray_quote, _torn])(row, draw.chance) if number in picked else ():
            page.reject(raw, *problems)
    return page.file()


FAULTS: dict[str, Kind] = {
    **{kind: Kind(partial(spoiled, spoil), tuple(VALUES.get(kind, ORDINARY)))
       for kind, spoil in SPOILS.items()},
    "a bit of all": Kind(partial(spoiled, _any)),
    "large with quoted line ends": Kind(_large, ("companydata",)),
    "quote never closed": Kind(partial(spoiled, _unclosed)),
    "quote open beyond the limit": Kind(_beyond_limit, ("companydata",)),
    "line beyond the limit": Kind(_long_line, ("companydata",)),
    "record beyond the limit": Kind(_long_record, ("companydata",)),
}  # fmt: skip
