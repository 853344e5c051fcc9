"""Numbers, sizes and ages as people read them."""

import math
import re
from datetime import datetime

NONE = "–"  # noqa: RUF001 - the typographic sign for no value

_UNITS = ("kB", "MB", "GB", "TB")
_AGES = ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h"), (float("inf"), 86400, "days"))
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def number(value: int) -> str:
    """Write 1234567 as `1,234,567`."""
    return f"{value:,}"


def count(value: int, noun: str) -> str:
    """Write a number with its noun: `1 file`, `1,200 files`."""
    return f"{value:,} {noun}" + ("" if value == 1 else "s")


def size(value: float) -> str:
    """Write a number of bytes as `1.2 MB`."""
    if value < 1000:
        return f"{value:.0f} B"
    # What would be written as 1,000.0 is the next unit's.
    power = min(len(_UNITS), int(math.log(value * 1.00005, 1000)))
    return f"{value / 1000**power:,.1f} {_UNITS[power - 1]}"


def milliseconds(value: float | None) -> str:
    """Write a duration as `11 ms` or, from ten seconds on, `12.3 s`."""
    if value is None:
        return NONE
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def age(then: datetime, now: datetime) -> str:
    """Write how long ago something was, as `4 s` or `3 min`; clocks that disagree give `0 s`."""
    seconds = max(0.0, (now - then).total_seconds())
    step, unit = next((step, unit) for limit, step, unit in _AGES if seconds < limit)
    return f"{seconds // step:,.0f} {unit}"


def between(before: datetime | None, after: datetime | None) -> str:
    """Write the time from one moment to another as `milliseconds` does."""
    if before is None or after is None:
        return NONE
    return milliseconds(max(0.0, (after - before).total_seconds() * 1000))


def plain(value: str) -> str:
    """Escape what Markdown would take for markup."""
    return _PUNCTUATION.sub(r"\\\1", value)
