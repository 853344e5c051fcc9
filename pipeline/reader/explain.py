"""One value against its field, plainly: the words of a problem, and the truth that the fast way is held to."""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contract import FieldSpec
from pipeline.reader.problem import VALUE_LIMIT

INTEGER = r"[+-]?[0-9]+"
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
YEAR = r"(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"  # there is no year 0, but Arrow has one
DATE = YEAR + r"-[0-9]{2}-[0-9]{2}"
TIME = DATE + r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
ZONE = r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
TRUE, FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")  # the standard's words


def _integer(text: str) -> int | None:
    value = int(text) if re.fullmatch(INTEGER, text) else None
    return value if value is not None and -(2**63) <= value < 2**63 else None


def _number(text: str) -> float | None:
    value = float(text) if re.fullmatch(NUMBER, text) else None
    return value if value is not None and math.isfinite(value) else None


def _boolean(text: str) -> bool | None:
    return True if text in TRUE else False if text in FALSE else None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if re.fullmatch(DATE, text) else None
    except ValueError:
        return None


def _datetime(text: str) -> datetime | None:
    try:
        value = datetime.fromisoformat(text) if re.fullmatch(f"{TIME}{ZONE}?", text) else None
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "string": (str, "text"),
    "integer": (_integer, "an integer within 64 bits, such as -12"),
    "number": (_number, "a finite number, such as 12.5"),
    "boolean": (_boolean, "true or false"),
    "date": (_date, "a date that exists, as YYYY-MM-DD"),
    "datetime": (_datetime, "a time that exists, as YYYY-MM-DDThh:mm:ssZ"),
}


def parse(text: str, field: FieldSpec, missing: frozenset[str]) -> Any:
    """Give the value of a cell, None for null; `ValueError` if it is not of the field's type."""
    cell = text if field.type == "string" else text.strip(" \t")
    if cell in missing:
        return None
    parser, expected = PARSERS[field.type]
    if (value := parser(cell)) is None:
        raise ValueError(f"expected {expected}, found {text[:VALUE_LIMIT]!r}")
    return value


def literal(value: Any, field: FieldSpec) -> Any:
    """Give a constraint's bound or option as a value of the field's type."""
    return parse(str(value) if not isinstance(value, bool) else str(value).lower(), field, frozenset())


def explain(text: str, field: FieldSpec, missing: frozenset[str]) -> list[tuple[str, str]]:
    """Give every `(rule, message)` that a cell breaks."""
    try:
        value = parse(text, field, missing)
    except ValueError as error:
        return [("type", str(error))]
    checks = field.constraints
    if value is None:
        return [("required", "a value is required, found none")] if checks.required else []
    found = f"found {text[:VALUE_LIMIT]!r}"
    faults = {
        "minimum": (checks.minimum is not None and value < literal(checks.minimum, field), "at least"),
        "maximum": (checks.maximum is not None and value > literal(checks.maximum, field), "at most"),
        "minLength": (checks.minLength is not None and len(text) < checks.minLength, "a length of at least"),
        "maxLength": (checks.maxLength is not None and len(text) > checks.maxLength, "a length of at most"),
        "pattern": (checks.pattern is not None and not _matches(text, checks.pattern), "all of it to match"),
        "enum": (checks.enum is not None and value not in [literal(one, field) for one in checks.enum], "one of"),
    }
    return [
        (rule, f"expected {words} {_shown(getattr(checks, rule))}, {found}")
        for rule, (broken, words) in faults.items()
        if broken
    ]


def full_match(pattern: str) -> str:
    """Give the regular expression that matches a whole value; RE2 judges it in every path."""
    return rf"\A(?:{pattern})\z"


def _matches(text: str, pattern: str) -> bool:
    return bool(pc.match_substring_regex(pa.scalar(text), pattern=full_match(pattern)).as_py())


def _shown(bound: Any) -> str:
    return ", ".join(map(str, bound)) if isinstance(bound, tuple) else str(bound)
