"""Numbers, sizes, ages and names as text for people."""

import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd

NONE = "–"  # noqa: RUF001 - the typographic sign for no value
NULL = "null"  # in tables of data, whose text may be any sign, also a dash

_UNITS = ("kB", "MB", "GB", "TB")
_AGES = ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h"), (float("inf"), 86400, "days"))
LONGEST = 80  # characters of a name in a label
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # control and direction
# What Streamlit replaces even where it is escaped: arrows, dashes, its logo, and addresses, which become links.
_REPLACED = re.compile(r"(?<=[-<>~])(?=[->=])|(?<=:)(?=streamlit:|//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def is_number(column: "pd.Series[Any]") -> bool:
    """Return whether a column has numbers; booleans are not numbers."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def number(value: int) -> str:
    """Return 1234567 as `1,234,567`."""
    return f"{value:,}"


def exact(value: Any, *, separated: bool = False) -> str | None:
    """Return an int, float or Decimal with all its digits, infinity as `∞`; None for a missing value."""
    if value is None or value is pd.NA:
        return None
    if isinstance(value, Decimal):
        return f"{value:{',' if separated else ''}f}"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    return (f"{value:,}" if separated else str(value)).removesuffix(".0")


def count(value: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 file`, `1,200 files`."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def size(value: float) -> str:
    """Return a number of bytes as `1.2 MB`."""
    if value < 1000:
        return f"{value:.0f} B"
    # A number that would round to 1,000.0 takes the next unit.
    power = min(len(_UNITS), int(math.log(value * 1.00005, 1000)))
    return f"{value / 1000**power:,.1f} {_UNITS[power - 1]}"


def milliseconds(value: float | None) -> str:
    """Return a duration as `11 ms` or, from ten seconds on, `12.3 s`."""
    if value is None:
        return NONE
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def age(then: datetime, now: datetime) -> str:
    """Return the age of a time as `4 s` or `3 min`; `0 s` if clocks disagree and it is in the future."""
    seconds = max(0.0, (now - then).total_seconds())
    step, unit = next((step, unit) for limit, step, unit in _AGES if seconds < limit)
    return f"{seconds // step:,.0f} {unit}"


def between(before: datetime | None, after: datetime | None) -> str:
    """Return the time between two moments, as `milliseconds` does."""
    if before is None or after is None:
        return NONE
    return milliseconds(max(0.0, (after - before).total_seconds() * 1000))


def shortened(value: str) -> str:
    """Return a name of any length and content in one line of at most `LONGEST` characters."""
    line = _line(value)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 20]}…{line[-19:]}"


def plain(value: str) -> str:
    """Return Markdown that shows a text literally, in one line."""
    return _PUNCTUATION.sub(r"\\\1", _REPLACED.sub("\N{WORD JOINER}", _line(value)))


def _line(value: str) -> str:
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(value.split()))
