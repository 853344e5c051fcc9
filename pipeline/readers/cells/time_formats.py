"""Formats of dates and times, such as `%-d/%-m/%y %-I:%M %p`: how a cell is read by one, and written in one.

A directive means what it means for Python's `strptime`, but for three things. All its digits must be there, unless it
has a hyphen (`%-d`), as for the C library's `strftime`. Names of months are English. White space stands for itself.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

from common.messages import shortened
from pipeline.model.field import FieldSpec

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
SHORT = tuple(name[:3] for name in MONTHS)
LATE_CENTURY = "69"  # and later years of two digits are of the 20th century, as in POSIX

_TWO, _FEW = "[0-9]{2}", "[0-9]{1,2}"


def _any_of(words: tuple[str, ...]) -> str:
    """Return the pattern of words in any case: of ASCII letters alone, for a pattern's own `(?i)` takes more."""
    return "|".join("".join(f"[{letter.upper()}{letter.lower()}]" for letter in word) for word in words)


# By directive: which part of a time it is, and its pattern.
_DIRECTIVES = {
    "Y": ("year", "[0-9]{4}"),
    "y": ("year", _TWO),
    "m": ("month", _TWO),
    "-m": ("month", _FEW),
    "b": ("month", _any_of(SHORT)),
    "B": ("month", _any_of(MONTHS)),
    "d": ("day", _TWO),
    "-d": ("day", _FEW),
    "H": ("hour", _TWO),
    "-H": ("hour", _FEW),
    "I": ("hour", _TWO),
    "-I": ("hour", _FEW),
    "p": ("half of the day", _any_of(("AM", "PM"))),
    "M": ("minute", _TWO),
    "-M": ("minute", _FEW),
    "S": ("second", _TWO),
    "-S": ("second", _FEW),
    "f": ("fraction", "[0-9]{1,6}"),
    "z": ("zone", "Z|[+-][0-9]{2}:?[0-9]{2}"),
}
_DAY, _TIME = ("year", "month", "day"), ("hour", "minute")
_NEEDED = {"date": _DAY, "datetime": _DAY + _TIME, "time": _TIME}
_OPTIONAL = {"date": (), "datetime": ("half of the day", "second", "fraction", "zone")}
_OPTIONAL["time"] = _OPTIONAL["datetime"][:3]
_PLAIN = set("YmdHMS")  # whose digits need no change


@dataclass(frozen=True)
class TimeFormat:
    """Format of dates or times.

    Attributes:
        pieces: its directives and the texts between them, in turns, a text first.
        pattern: of a whole cell, with a group for each directive.
        iso: the replacement that makes ISO 8601 of a match; empty if digits alone do not make it.
    """

    pieces: tuple[str, ...]
    pattern: str
    iso: str

    @property
    def directives(self) -> tuple[str, ...]:
        """The directives in order, without their percent signs."""
        return self.pieces[1::2]


def time_format(field: FieldSpec) -> TimeFormat:
    """Return the format of a field of dates or times, which is not the default format.

    Raises:
        ValueError: the format has an unknown directive, a part twice, or lacks one that the type needs.
    """
    return _time_format(field.format, field.type)


@functools.cache
def _time_format(format_: str, type_: str) -> TimeFormat:
    pieces = _pieces(format_)
    directives = pieces[1::2]
    if wrong := _problem(format_, pieces, type_):
        raise ValueError(f"format {shortened(format_)!r}: {wrong}")
    parts = list(map(part_of, directives))
    groups = [f"(?P<g{number}>{_DIRECTIVES[one][1]})" for number, one in enumerate(directives)]
    texts = [re.escape(text) for text in pieces[::2]]
    pattern = "".join(text + group for text, group in zip(texts, [*groups, ""], strict=True))
    places = {part: rf"\{number}" for number, part in enumerate(parts, 1)}
    return TimeFormat(pieces, pattern, iso_text(places, type_) if set(directives) <= _PLAIN else "")


def _pieces(format_: str) -> tuple[str, ...]:
    """Split a format into texts and directives, in turns; `%%` is a percent sign."""
    pieces = [""]
    for directive, text in re.findall(r"(?s)%(-?.)|([^%]+|%\Z)", format_):
        if directive and directive != "%":
            pieces += [directive, ""]
        else:
            pieces[-1] += text or "%"
    return tuple(pieces)


def _problem(format_: str, pieces: tuple[str, ...], type_: str) -> str:
    """Return what is wrong with a format; empty if nothing is."""
    directives = pieces[1::2]
    if format_ == "any":
        return "it guesses: write the form that the cells have, such as %-d/%-m/%Y"
    if unknown := [one for one in directives if one not in _DIRECTIVES]:
        return f"{_listed(unknown[:3])} is not supported: it takes {_listed(_DIRECTIVES)}"
    parts = list(map(part_of, directives))
    if repeated := next((part for part in parts if parts.count(part) > 1), None):
        return f"the {repeated} is there twice"
    if lacking := [f"{part} ({_listed(_of(part))})" for part in _NEEDED[type_] if part not in parts]:
        return f"a {type_} takes also {', '.join(lacking)}"
    known = (*_NEEDED[type_], *_OPTIONAL[type_])
    if beyond := [one for one in directives if part_of(one) not in known]:
        return f"{_listed(beyond)} does not go with a {type_}: it takes {_listed(_of(*known))}"
    return _odd_pair(pieces, parts)


def _odd_pair(pieces: tuple[str, ...], parts: list[str]) -> str:
    """Return which directives do not go together, or next to each other."""
    directives = pieces[1::2]
    if ("half of the day" in parts) != any(one.endswith("I") for one in directives):
        return "%I and %p go together"
    if "fraction" in parts and "second" not in parts:
        return "%f goes with %S"
    for text, one, following in zip(pieces[2:-1:2], directives, directives[1:], strict=False):
        if not text and (one[0] in "-f") and following not in ("b", "B", "p", "z"):
            return f"%{one} has one digit or more, so something must stand between it and %{following}"
    return ""


def part_of(directive: str) -> str:
    """Return which part of a time a directive is."""
    return _DIRECTIVES[directive][0]


def _of(*parts: str) -> list[str]:
    return [directive for directive, (part, _) in _DIRECTIVES.items() if part in parts]


def _listed(directives: Iterable[str]) -> str:
    return " ".join(f"%{one}" for one in directives)


def iso_text(parts: Mapping[str, str], type_: str) -> str:
    """Return ISO 8601 of the parts of a time, which have all their digits."""
    day = "-".join(parts[part] for part in _DAY) if type_ != "time" else ""
    if type_ == "date":
        return day
    fraction = f".{parts['fraction']}" if "fraction" in parts else ""
    clock = f"{parts['hour']}:{parts['minute']}:{parts.get('second', '00')}{fraction}{parts.get('zone', '')}"
    return f"{day}T{clock}" if day else clock


def read_time(text: str, field: FieldSpec) -> str:
    """Return ISO 8601 of a cell in the format of its field; empty if the cell does not have that form."""
    form = time_format(field)
    if not (match := re.fullmatch(form.pattern, text)):
        return ""
    parts = dict(zip(map(part_of, form.directives), match.groups(), strict=True))
    for directive in form.directives:
        part = part_of(directive)
        parts[part] = _WHOLE[directive](parts[part]) if directive in _WHOLE else parts[part]
    if half := parts.get("half of the day"):
        hour = int(parts["hour"])
        if not 1 <= hour <= 12:
            return ""
        parts["hour"] = f"{hour % 12 + 12 * (half.upper() == 'PM'):02}"
    return iso_text(parts, field.type)


def _month(name: str) -> str:
    return f"{SHORT.index(name[:3].title()) + 1:02}"


# How the text of a directive becomes one with all its digits.
_WHOLE: dict[str, Callable[[str], str]] = {
    "y": lambda text: f"{19 if text >= LATE_CENTURY else 20}{text}",
    "b": _month,
    "B": _month,
    **{directive: lambda text: text.zfill(2) for directive in _DIRECTIVES if directive.startswith("-")},
    "z": lambda text: text if text == "Z" else f"{text[:3]}:{text[-2:]}",
}


def write_time(value: date | time, field: FieldSpec) -> str:
    """Return a date, datetime or time as a cell in the format of its field, which reads it back.

    Parts that the value lacks are zero, and those that the format lacks are left out. A datetime without a zone is UTC.
    """
    if field.format == "default":
        return value.isoformat()
    pieces = list(time_format(field).pieces)
    at = value if isinstance(value, datetime | time) else datetime.combine(value, time())
    day = value if isinstance(value, date) else date(1, 1, 1)
    for place in range(1, len(pieces), 2):
        pieces[place] = _written(pieces[place], day, at)
    return "".join(pieces)


def _written(directive: str, day: date, at: datetime | time) -> str:
    offset = at.utcoffset()
    minutes = int(offset.total_seconds()) // 60 if offset else 0
    number = {
        "Y": f"{day.year:04}",
        "y": f"{day.year % 100:02}",
        "m": f"{day.month:02}",
        "d": f"{day.day:02}",
        "b": SHORT[day.month - 1],
        "B": MONTHS[day.month - 1],
        "H": f"{at.hour:02}",
        "M": f"{at.minute:02}",
        "S": f"{at.second:02}",
        "f": f"{at.microsecond:06}",
        "I": f"{(at.hour - 1) % 12 + 1:02}",
        "p": "PM" if at.hour > 11 else "AM",
        "z": f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else "Z",
    }
    return number[directive.removeprefix("-")].removeprefix("0" if directive[0] == "-" else "")
