"""Parse one cell in the simplest way; the fast path must give the same results."""

import functools
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from common.messages import shortened
from pipeline.model.field import SPACED, FieldSpec, as_cell
from pipeline.readers.cells.exact_numbers import exact_number
from pipeline.readers.cells.expected import expected
from pipeline.readers.cells.patterns import (
    CLOCK,
    DATE,
    DURATION,
    TEXTS,
    TIME,
    YEAR,
    YEAR_MONTH,
    ZONE,
    embedded_number,
    number_pattern,
)
from pipeline.readers.cells.structured import is_structured
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


def _number(text: str, field: FieldSpec) -> float | Decimal | None:
    number = _number_text(text, field)
    if field.decimal:
        return exact_number(number, field.decimal) if number else None
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


def _time(text: str, field: FieldSpec) -> time | None:
    iso = _iso(text, field)
    return time.fromisoformat(iso) if re.fullmatch(CLOCK, iso) else None


def _year(text: str, _: FieldSpec) -> int | None:
    return int(text) if re.fullmatch(YEAR, text) else None


def _yearmonth(text: str, _: FieldSpec) -> str | None:
    return text if re.fullmatch(YEAR_MONTH, text) else None


def _duration(text: str, _: FieldSpec) -> str | None:
    return text if re.fullmatch(DURATION, text) else None


def _string(text: str, field: FieldSpec) -> str | None:
    return text if field.format == "default" or re.fullmatch(TEXTS[field.format], text) else None


def _any(text: str, _: FieldSpec) -> str:
    return text


def _list(text: str, field: FieldSpec) -> str | None:
    item = FieldSpec(name=field.name, type=field.itemType)
    parser = PARSERS[field.itemType]
    parts = text.split(field.delimiter)
    items = parts if field.itemType == "string" else [part.strip(" \t") for part in parts]
    return text if all(parser(one, item) is not None for one in items) else None


def _structured(text: str, field: FieldSpec) -> str | None:
    return text if is_structured(text, field) else None


PARSERS: dict[str, Callable[[str, FieldSpec], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "time": _time,
    "year": _year,
    "yearmonth": _yearmonth,
    "duration": _duration,
    "list": _list,
    "object": _structured,
    "array": _structured,
    "geopoint": _structured,
    "any": _any,
}


def parse(text: str | None, field: FieldSpec, missing: frozenset[str]) -> Any:
    """Return the value of a cell, None for null; `ValueError` if the cell is not of the field's type."""
    if text is None:
        return None
    cell = text if field.type in SPACED else text.strip(" \t")
    if cell in missing:
        return None
    if (value := PARSERS[field.type](cell, field)) is None:
        raise ValueError(f"expected {expected(field)}, found {shortened(text)!r}")
    return value


@functools.lru_cache(4096, typed=True)
def literal(bound: Any, field: FieldSpec) -> Any:
    """Return a constraint's bound or option as a value of the field's type; it is written in the default format."""
    return parse(as_cell(bound), field.plain, frozenset())
