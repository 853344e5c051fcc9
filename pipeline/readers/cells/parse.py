"""Parse one cell in the simplest way; the fast path must give the same results."""

import functools
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from pipeline.model.field import FieldSpec, as_cell
from pipeline.model.problem import shortened
from pipeline.readers.cells.patterns import DATE, FALSE, INTEGER, TIME, TRUE, ZONE, format_pattern, grouped_number


def _integer(text: str, _: FieldSpec) -> int | None:
    digits = text.lstrip("+-").lstrip("0")
    if not re.fullmatch(INTEGER, text) or len(digits) > 19:  # Python reads no more than 4,300 of them
        return None
    value = int(digits or "0") * (-1 if text.startswith("-") else 1)
    return value if -(2**63) <= value < 2**63 else None


def _number(text: str, field: FieldSpec) -> float | None:
    if not re.fullmatch(grouped_number(field), text):
        return None
    value = float(text.replace(field.groupChar or "", "").replace(field.decimalChar, "."))
    return value if math.isfinite(value) else None


def _boolean(text: str, _: FieldSpec) -> bool | None:
    return True if text in TRUE else False if text in FALSE else None


def _iso(text: str, field: FieldSpec) -> str:
    if field.format == "default":
        return text
    pattern, iso = format_pattern(field)
    return re.sub(pattern, iso, text) if re.fullmatch(pattern, text) else ""


def _date(text: str, field: FieldSpec) -> date | None:
    iso = _iso(text, field)
    try:
        return date.fromisoformat(iso) if re.fullmatch(DATE, iso) else None
    except ValueError:
        return None


def _datetime(text: str, field: FieldSpec) -> datetime | None:
    iso = _iso(text, field)
    try:
        value = datetime.fromisoformat(iso) if re.fullmatch(f"{TIME}{ZONE}?", iso) else None
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def _string(text: str, _: FieldSpec) -> str:
    return text


PARSERS: dict[str, tuple[Callable[[str, FieldSpec], Any], str]] = {
    "string": (_string, "text"),
    "integer": (_integer, "an integer within 64 bits, such as -12"),
    "number": (_number, "a finite number, such as 12.5"),
    "boolean": (_boolean, "true or false"),
    "date": (_date, "a date that exists, as YYYY-MM-DD"),
    "datetime": (_datetime, "a time that exists, as YYYY-MM-DDThh:mm:ssZ"),
}


def parse(text: str | None, field: FieldSpec, missing: frozenset[str]) -> Any:
    """Return the value of a cell, None for null; `ValueError` if the cell is not of the field's type."""
    if text is None:
        return None
    cell = text if field.type == "string" else text.strip(" \t")
    if cell in missing:
        return None
    parser, expected = PARSERS[field.type]
    if (value := parser(cell, field)) is None:
        shape = expected if field.format == "default" else f"a {field.type} that exists, as {shortened(field.format)}"
        raise ValueError(f"expected {shape}, found {shortened(text)!r}")
    return value


@functools.lru_cache(4096, typed=True)
def literal(bound: Any, field: FieldSpec) -> Any:
    """Return a constraint's bound or option as a value of the field's type; it is written in the default format."""
    return parse(as_cell(bound), FieldSpec(name="bound", type=field.type), frozenset())
