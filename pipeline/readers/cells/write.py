"""Write values as text in a field's own form, so that cells which have a type go through the same checks as text."""

import functools
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from common.workbook.cells import clock_text
from pipeline.model.field import FieldSpec
from pipeline.readers.cells.parse import parse
from pipeline.readers.cells.time_formats import write_time

_MIDNIGHT, _NO_TIME, _DAY = time(), timedelta(), timedelta(days=1)
_DIGITS = 1e15  # from here on a number has more than 15 digits before its point
_PLAIN = (1e-4, 1e10)  # between them Arrow writes a float64 without an exponent, with the same digits as Python


def as_written(value: Any, field: FieldSpec) -> str | None:
    """Return a value as a file would have it in the field's own form; text as it is, and None for the empty text.

    A value that the field's form cannot hold is written in the default form, which then is wrong for the field.
    """
    return (_WRITERS.get(type(value)) or _text)(value, field)


def write_column(values: Sequence[Any], field: FieldSpec) -> pa.Array:
    """Return `as_written` of all values, as text."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return write_floats(np.array(values), field)
    if kinds == {str}:
        return write_text(values)
    if kinds == {bool}:
        words = [pa.scalar(as_written(value, field), pa.string()) for value in (True, False)]
        return pc.if_else(pa.array(values), *words)
    return pa.array([as_written(value, field) for value in values], pa.string())


def write_text(values: Sequence[str]) -> pa.Array:
    """Return text as it is, with null for the empty text."""
    return pa.array([text or None for text in values] if "" in values else values, pa.string())


def write_floats(numbers: NDArray[np.float64], field: FieldSpec) -> pa.Array:
    """Return `as_written` of all numbers: Arrow writes most of them at once."""
    fractions = numbers != np.floor(numbers)
    if not _keeps_floats(field) and fractions.any():
        numbers = numbers.copy()
        numbers[fractions] = [_rounded(number) for number in numbers[fractions].tolist()]
    sizes = np.abs(numbers)
    plain = (sizes == 0) | ((sizes >= _PLAIN[0]) & (sizes < _PLAIN[1]))
    shown = np.where(plain, numbers, 0) + 0.0  # no -0
    whole = shown.astype(np.int64)
    text = pc.cast(pa.array(whole if np.all(whole == shown) else shown), pa.string())
    if not plain.all():
        others = pa.array([number_text(number) for number in numbers[~plain].tolist()], pa.string())
        text = pc.replace_with_mask(text, pa.array(~plain), others)
    return _with_decimal_char(text, field)


def _with_decimal_char(text: pa.Array, field: FieldSpec) -> pa.Array:
    point = decimal_char(field)
    return text if point == "." else pc.replace_substring(text, ".", point)


def decimal_char(field: FieldSpec) -> str:
    """Return the decimal point of a number that is written for a field, which its reader takes for one."""
    if field.type == "integer" and field.groupChar == ".":
        return ","  # so that 12.5 is not read as 125, but is wrong
    return field.decimalChar if field.type == "number" else "."


def _text(value: Any, _: FieldSpec) -> str | None:
    return str(value) if value is not None and value != "" else None


def _boolean(value: bool, field: FieldSpec) -> str:
    if field.type == "boolean":
        return next(iter(field.trueValues if value else field.falseValues), str(value))
    return "TRUE" if value else "FALSE"  # as a spreadsheet shows it, and saves it as CSV


def _number(value: float, field: FieldSpec) -> str:
    number = value if _keeps_floats(field) or value % 1 == 0 else _rounded(value)
    return number_text(number).replace(".", decimal_char(field))


def _keeps_floats(field: FieldSpec) -> bool:
    return field.type == "number" and not field.decimal


def _rounded(fraction: float) -> float:
    """Return a fraction as a spreadsheet shows it at most, with 15 digits: what is beyond is noise of its sums.

    A number with more digits before its point stays as it is: to round those would make another number of it.
    """
    return fraction if abs(fraction) >= _DIGITS else float(f"{fraction:.15g}")


def number_text(value: float) -> str:
    """Return the shortest text of a number that is exactly it: 12.0 as `12`, 0.1 as `0.1`."""
    if -(2.0**63) < value < 2.0**63 and value == int(value):
        return str(int(value))
    return repr(value)


def _date(value: date, field: FieldSpec) -> str:
    if field.type == "datetime":
        return _formatted(datetime.combine(value, _MIDNIGHT), field)
    if field.type == "yearmonth" and value.day == 1:  # so spreadsheets keep `Jan 2026` when it is typed
        return value.isoformat()[:7]
    return _formatted(value, field) if field.type == "date" else value.isoformat()


def _datetime(value: datetime, field: FieldSpec) -> str:
    if field.type in ("date", "yearmonth") and value.timetz() == _MIDNIGHT:
        return _date(value.date(), field)
    return _formatted(value, field) if field.type == "datetime" else value.isoformat()


def _time(value: time, field: FieldSpec) -> str:
    if field.type == "duration":  # OpenDocument does not tell it from a time
        return _duration(datetime.combine(date.min, value) - datetime.min, field)
    return _formatted(value, field) if field.type == "time" else value.isoformat()


def _duration(value: timedelta, field: FieldSpec) -> str:
    """Return hours, minutes and seconds, as a spreadsheet shows them: `30:00:00`; for a duration field `PT30H`."""
    if field.type == "time" and _NO_TIME <= value < _DAY:
        return _time((datetime.min + value).time(), field)
    if field.type != "duration":
        return clock_text(value)
    minutes, rest = divmod(abs(value) // timedelta(microseconds=1), 60_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds, fraction = divmod(rest, 1_000_000)
    sign, decimals = "-" * (value < _NO_TIME), f".{fraction:06}".rstrip("0") if fraction else ""
    parts = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes) + f"{seconds}{decimals}S" * bool(rest)
    return f"{sign}PT{parts or '0S'}"


def _formatted(value: date | time, field: FieldSpec) -> str:
    return value.isoformat() if field.format == "default" else _by_format(value, field)


@functools.lru_cache(1 << 16)
def _by_format(value: date | time, field: FieldSpec) -> str:
    text = write_time(value, field)
    try:
        exact = parse(text, field, frozenset()) == parse(value.isoformat(), field.plain, frozenset())
    except ValueError:
        exact = False
    return text if exact else value.isoformat()


_WRITERS: dict[type, Callable[[Any, FieldSpec], str | None]] = {
    bool: _boolean,
    int: _number,
    float: _number,
    date: _date,
    datetime: _datetime,
    time: _time,
    timedelta: _duration,
}
