"""Files of one column for each type and form of a field; what must come of each cell is known by how it is made."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

Cell = tuple[str, Any]  # as it is written, and its value; of a bad one its rule

MONTHS = [date(2026, month, 1).strftime("%B") for month in range(1, 13)]


@dataclass(frozen=True)
class Family:
    """Kind of column: the field, and how good and bad cells of it are made."""

    field: dict[str, Any]
    good: Callable[[random.Random], Cell]
    bad: Callable[[random.Random], Cell]


def _bad(*texts: str, rule: str = "type") -> Callable[[random.Random], Cell]:
    return lambda chance: (chance.choice(texts), rule)


def _day(chance: random.Random) -> date:
    return date(1969, 1, 1) + timedelta(chance.randrange(36_000))


def _pounds(chance: random.Random) -> Cell:
    pence = chance.randrange(10**9)
    return f"{chance.choice(['£', 'GBP ', ''])}{pence // 100:,}.{pence % 100:02}", pence / 100


def _euros(chance: random.Random) -> Cell:
    cents, minus = chance.randrange(10**15), chance.choice(["", "-"])
    text = f"{cents // 100:,}".replace(",", ".") + f",{cents % 100:02}"
    return f"{minus}{text}{chance.choice([' €', '€', ' EUR', ''])}", Decimal(f"{minus}{cents}") / 100


def _percent(chance: random.Random) -> Cell:
    number = chance.randrange(-100, 101)
    return f"{number}{chance.choice([' %', '%', ' percent'])}", number


def _short_day(chance: random.Random) -> Cell:
    day = _day(chance)
    return f"{day.day}/{day.month}/{day.year % 100:02}", day


def _named_day(chance: random.Random) -> Cell:
    day = _day(chance)
    name = chance.choice([str.upper, str.lower, str.title])(MONTHS[day.month - 1])
    return f"{name} {day.day:02}, {day.year}", day


def _moment(chance: random.Random) -> Cell:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(10**6))
    hour = (moment.hour + 11) % 12 + 1
    return (
        f"{moment:%d-}{MONTHS[moment.month - 1][:3]}{moment:-%Y} {hour}:{moment:%M} {'ap'[moment.hour > 11]}m",
        moment,
    )


def _clock(chance: random.Random) -> Cell:
    value = time(chance.randrange(24), chance.randrange(60), chance.randrange(60), chance.choice([0, 500_000]))
    return value.isoformat(), value


def _same(write: Callable[[random.Random], str]) -> Callable[[random.Random], Cell]:
    return lambda chance: (text := write(chance), text)


YES = {"trueValues": ["ja", "X"], "falseValues": ["nein", "."], "missingValues": [{"value": "-", "label": "unknown"}]}
CENTS = {"type": "number", "decimal": {"precision": 18, "scale": 2}}
FAMILIES = {
    "words of booleans": Family(
        {"type": "boolean", **YES},
        lambda chance: chance.choice([("ja", True), ("X", True), ("nein", False), (".", False), ("-", None)]),
        _bad("true", "0", "JA", "nan"),
    ),
    "pounds": Family({"type": "number", "bareNumber": False, "groupChar": ","}, _pounds, _bad("(£5)", "5-", "£1 to 2")),
    "euros": Family(
        {**CENTS, "bareNumber": False, "groupChar": ".", "decimalChar": ","}, _euros, _bad("1,005 €", "5,- €", "€")
    ),
    "percent": Family({"type": "integer", "bareNumber": False}, _percent, _bad("1.5 %", "\u22125 %", "½ %", "%")),
    "thousands": Family(
        {"type": "integer", "groupChar": " "},
        lambda chance: (f"{(number := chance.randrange(10**12)):,}".replace(",", " "), number),
        _bad("1,000", "1  000", "9 223 372 036 854 775 808"),
    ),
    "cents": Family(
        {**CENTS, "constraints": {"minimum": "0.10"}},
        lambda chance: (f"{(cents := chance.randrange(10, 10**17))}e-2", Decimal(cents) / 100),
        _bad("0.09", "0.01", "-5", rule="minimum"),
    ),
    "short days": Family({"type": "date", "format": "%-d/%-m/%y"}, _short_day, _bad("31/2/25", "1/13/25", "1/1/2025")),
    "months by name": Family({"type": "date", "format": "%B %d, %Y"}, _named_day, _bad("Mai 01, 2026", "May 1, 2026")),
    "AM and PM": Family(
        {"type": "datetime", "format": "%d-%b-%Y %-I:%M %p"}, _moment, _bad("01-Jan-2026 13:00 PM", "01-Jan-2026 1:00")
    ),
    "times": Family({"type": "time"}, _clock, _bad("24:00", "12:00Z", "1:00", "12:00:60")),
    "years": Family(
        {"type": "year"},
        lambda chance: (f"{(year := chance.randrange(1, 10_000)):04}", year),
        _bad("0000", "99", "+999"),
    ),
    "months": Family(
        {"type": "yearmonth"},
        _same(lambda chance: f"{chance.randrange(1, 9999):04}-{chance.randrange(1, 13):02}"),
        _bad("2026-00", "2026-13", "2026-1", "2026"),
    ),
    "durations": Family(
        {"type": "duration"},
        _same(lambda chance: f"P{chance.randrange(9)}DT{chance.randrange(99)}M{chance.random():.3f}S"),
        _bad("P", "P1DT", "1D", "P1S", "PT1H2H"),
    ),
    "lists": Family(
        {"type": "list", "delimiter": "|", "itemType": "date", "constraints": {"maxLength": 3}},
        _same(lambda chance: "|".join(_day(chance).isoformat() for _ in range(chance.randint(1, 3)))),
        _bad("2026-02-30", "2026-01-01|", "a|b"),
    ),
    "objects": Family(
        {"type": "object", "constraints": {"minLength": 1}},
        _same(lambda chance: json.dumps({"a": chance.random(), "b, c": [chance.randrange(9)]})),
        _bad("{", "[1]", '{"a": NaN}', "{'a': 1}"),
    ),
    "points": Family(
        {"type": "geopoint"},
        _same(lambda chance: f"{chance.uniform(-180, 180):.4f}, {chance.uniform(-90, 90):.4f}"),
        _bad("181, 0", "0, 91", "0", "1, 2, 3"),
    ),
    "addresses": Family(
        {"format": "email"}, _same(lambda chance: f"a.{chance.randrange(99)}@example.org"), _bad("a", "a@b", "a@@b.org")
    ),
}
