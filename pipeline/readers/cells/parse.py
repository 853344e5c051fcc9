"""Parse one cell in the simplest way; the fast path must give the same results."""

import functools
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from pipeline.model.field import FieldSpec, as_cell
from pipeline.model.problem import shortened
from pipeline.readers.cells.expected import expected
from pipeline.readers.cells.patterns import DATE, TIME, ZONE, embedded_number, number_pattern
from pipeline.readers.cells.time_formats import read_time


def _number_text(text: str, field: FieldSpec) -> str | None:
    """Return the number of a cell as Python writes it; None if the cell has another form."""
    if not field.bareNumber:
        pattern, number = embedded_number(field, r"\d")
        if not (match := re.fullmatch(pattern, text)):
            return None
        text = match.expand(number)
    if not re.fullmatch(number_pattern(field), text):
        return None
    return text.replace(field.groupChar or "", "").replace(field.decimalChar, ".")


def _integer(cell: str, field: FieldSpec) -> int | None:
    text = _number_text(cell, field)
    digits = text.lstrip("+-").lstrip("0") if text else ""
    if not text or len(digits) > 19:  # Python reads no more than 4,300 of them
        return None
    value = int(digits or "0") * (-1 if text.startswith("-") else 1)
    return value if -(2**63) <= value < 2**63 else None


def _number(text: str, field: FieldSpec) -> float | None:
    number = _number_text(text, field)
    value = float(number) if number else math.nan
    return value if math.isfinite(value) else None


def _boolean(text: str, field: FieldSpec) -> bool | None:
    return True if text in field.trueValues else False if text in field.falseValues else None


def _iso(text: str, field: FieldSpec) -> str:
    return text if field.format == "default" else read_time(text, field)


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


PARSERS: dict[str, Callable[[str, FieldSpec], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
}


def parse(text: str | None, field: FieldSpec, missing: frozenset[str]) -> Any:
    """Return the value of a cell, None for null; `ValueError` if the cell is not of the field's type."""
    if text is None:
        return None
    cell = text if field.type == "string" else text.strip(" \t")
    if cell in missing:
        return None
    if (value := PARSERS[field.type](cell, field)) is None:
        raise ValueError(f"expected {expected(field)}, found {shortened(text)!r}")
    return value


@functools.lru_cache(4096, typed=True)
def literal(bound: Any, field: FieldSpec) -> Any:
    """Return a constraint's bound or option as a value of the field's type; it is written in the default format."""
    return parse(as_cell(bound), field.plain, frozenset())
