"""Files of the dataset payments: values as people write them, in fields of every type, and keys that must be unique."""

import re
from collections.abc import Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from functools import partial
from random import Random

from simulator.exam.case import PAYMENTS, Draw, File, Kept, Kind, Row, Sheet, Verdict, digest, quoted

Cell = tuple[str, object]  # how it is written, and what it means
Record = dict[str, Cell]  # by field, in the order of the header

UNITS = ";;;dd/mm/yy;hh:mm;in £ or €;yes/no"  # the line below the header

_MONEY = [
    ("£63,124.71", Decimal("63124.71")),
    ("54,422.9 €", Decimal("54422.90")),
    ("EUR 1,000", Decimal("1000.00")),
    ("80 %", Decimal("80.00")),
    ("-0.10", Decimal("-0.10")),
]
_TIMES = [("12:00 AM", time(0)), ("12:30 PM", time(12, 30)), ("01:05 pm", time(13, 5))]


def _as_it_is(*texts: str) -> list[Cell]:
    return [(text, text) for text in texts]


def _record(row: Row, number: int, chance: Random) -> Record:
    """Return a record of a good payment."""
    day, at = date(2025, 1, 1) + timedelta(chance.randrange(365)), time(chance.randrange(24), chance.randrange(60))
    amount, year = Decimal(chance.randrange(10**10)).scaleb(-2), chance.randrange(1000, 3000)
    plain = {"payment": f"P-{number}", "payee": row["Dept"], "bill": f"{number:05}"}
    texts = {"month": f"{day:%Y-%m}", "term": "P30D", "marks": "a,b", "parts": "[1, 2]", "more": "{}", "place": "0, 51"}
    return {
        **{name: (text, text) for name, text in plain.items()},
        "day paid": (f"{day:%d/%m/%y}", day),
        "time paid": (f"{at:%I:%M %p}", at),
        "amount": (f"{amount:,}", amount),
        "open": chance.choice([("yes", True), ("no", False)]),
        "year": (str(year), year),
        **{name: (text, text) for name, text in texts.items()},
        "units": (row["Sold"], int(row["Sold"])),
    }


def _text(record: Record) -> str:
    return ";".join(quoted(text) if re.search(r'[;"\r\n]', text) else text for text, _ in record.values())


def _keep(page: Sheet, record: Record) -> None:
    """Write a record that must be kept."""
    *texts, units = (meaning for _, meaning in record.values())
    assert isinstance(units, int)
    page.kept.append(Kept(page.line, str(record["month"][1]), digest(texts), (units,)))
    page.write(_text(record))


def _page(draw: Draw) -> Sheet:
    """Start a file: a header of two rows, whose cells are joined by column, and a row of units."""
    page, names = Sheet(draw), [name.rpartition(" ") for name in PAYMENTS]
    page.write(";".join(above for above, _, _ in names))
    page.write(";".join(below for _, _, below in names))
    page.write(UNITS)
    return page


def _values(good: dict[str, Sequence[Cell]], bad: dict[str, Sequence[str]], draw: Draw) -> File:
    """Write some records with other good values, each followed by one with a bad value."""
    page, picked, chance = _page(draw), draw.picked(), draw.chance
    for number, row in enumerate(draw.rows):
        record = _record(row, number, chance)
        if number not in picked:
            _keep(page, record)
            continue
        _keep(page, record | {name: chance.choice(cells) for name, cells in good.items()})
        name = chance.choice(sorted(bad))
        spoilt = _record(row, number + len(draw.rows), chance) | {name: (chance.choice(bad[name]), None)}
        page.reject(_text(spoilt), (name, "type"))
    return page.file()


def _twice(names: Sequence[str], problem: Verdict, draw: Draw) -> File:
    """Repeat the key of some records in the next one."""
    page, picked = _page(draw), draw.picked()
    for number, row in enumerate(draw.rows):
        record = _record(row, number, draw.chance)
        _keep(page, record)
        if number in picked:
            another = _record(row, number + len(draw.rows), draw.chance)
            page.reject(_text(another | {name: record[name] for name in names}), problem)
    return page.file()


def _kind(good: dict[str, Sequence[Cell]], bad: dict[str, Sequence[str]]) -> Kind:
    return Kind(partial(_values, good, bad), ("payments",))


PAYMENT_KINDS: dict[str, Kind] = {
    "money with its currency": _kind({"amount": _MONEY}, {"amount": ["(5.00)", "5-", "1.005", "ten"]}),
    "words for true and false": _kind({"open": [("-", None)]}, {"open": ["true", "1", "Yes"]}),
    "stars for nothing": _kind({"payee": [("*****", None), ("", None), ("-", "-")]}, {"units": ["*****"]}),
    "days and times as people write them": _kind(
        {"time paid": _TIMES}, {"day paid": ["31/02/25", "2025-01-02"], "time paid": ["13:30 PM", "24:00"]}
    ),
    "years, months and durations": _kind(
        {"year": [("0001", 1), ("9999", 9999)], "term": _as_it_is("P3W", "PT36H", "P1Y2M")},
        {"year": ["25.5", "MMXXV"], "month": ["2025-13", "2025"], "term": ["36 hours", "P", "PT"]},
    ),
    "lists, objects and points": _kind(
        {
            "marks": _as_it_is("a", "a,b,,c", 'x"y'),
            "parts": _as_it_is('[1, {"a": null}]', "[]"),
            "more": _as_it_is('{"a": {"b": [1]}}'),
            "place": _as_it_is("-3.7, 40.4", "180,-90"),
        },
        {"parts": ['{"a": 1}', "[1,"], "more": ["[1]", '{"a": 1', "a"], "place": ["181, 10", "north", "1"]},
    ),
    "value that is there twice": Kind(partial(_twice, ["payment"], ("payment", "unique")), ("payments",)),
    "pair of values that is there twice": Kind(partial(_twice, ["payee", "bill"], (None, "uniqueKeys")), ("payments",)),
}
