"""A column of text to a typed column and a mask of the cells that break its field."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contract import TYPES, FieldSpec
from pipeline.reader.explain import DATE, FALSE, INTEGER, NUMBER, PARSERS, TIME, TRUE, ZONE, full_match, literal


def check_column(text: pa.Array, field: FieldSpec, missing: frozenset[str]) -> tuple[pa.Array, pa.Array]:
    """Cast and check a column of text without nulls.

    Returns:
        The values in the field's Arrow type, and a boolean array that is true where a cell breaks a rule.
    """
    cells = text if field.type == "string" else pc.ascii_trim(text, " \t")
    null = pc.is_in(cells, value_set=pa.array(sorted(missing), pa.string()))
    cells = pc.if_else(null, pa.scalar(None, pa.string()), cells)
    values = _CASTS[field.type](cells)
    bad = pc.and_(pc.is_null(values), pc.invert(null))
    if field.constraints.required:
        bad = pc.or_(bad, null)
    broken = [check(values) for check in _constraints(field)]
    return values, functools.reduce(pc.or_, [pc.fill_null(one, False) for one in broken], bad)


def _constraints(field: FieldSpec) -> list[Callable[[pa.Array], pa.Array]]:
    """Give a function for each constraint, which marks the values that break it."""
    checks, type_ = field.constraints, TYPES[field.type]
    found: list[Callable[[pa.Array], pa.Array]] = []
    if checks.minimum is not None:
        found.append(lambda values: pc.less(values, _scalar(checks.minimum, field)))
    if checks.maximum is not None:
        found.append(lambda values: pc.greater(values, _scalar(checks.maximum, field)))
    if checks.minLength is not None:
        found.append(lambda values: pc.less(pc.utf8_length(values), checks.minLength))
    if checks.maxLength is not None:
        found.append(lambda values: pc.greater(pc.utf8_length(values), checks.maxLength))
    if (pattern := checks.pattern) is not None:
        found.append(lambda values: pc.invert(pc.match_substring_regex(values, pattern=full_match(pattern))))
    if (enum := checks.enum) is not None:
        options = pa.array([literal(one, field) for one in enum], type_)
        found.append(lambda values: pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, value_set=options))))
    return found


def _scalar(bound: Any, field: FieldSpec) -> pa.Scalar:
    return pa.scalar(literal(bound, field), TYPES[field.type])


def _only(cells: pa.Array, pattern: str) -> pa.Array:
    """Null what does not match: Arrow's own casts take more than the contract (`0x1F`, `inf`)."""
    return pc.if_else(pc.match_substring_regex(cells, pattern=full_match(pattern)), cells, pa.scalar(None, pa.string()))


def _cast(cells: pa.Array, kind: str) -> pa.Array:
    """Cast text of the right form; where one value is out of range Arrow gives up on all, so each is parsed alone."""
    try:
        return pc.cast(cells, TYPES[kind])
    except pa.ArrowInvalid:
        parser = PARSERS[kind][0]
        return pa.array([None if cell is None else parser(cell) for cell in cells.to_pylist()], TYPES[kind])


def _integers(cells: pa.Array) -> pa.Array:
    return _cast(pc.replace_substring_regex(_only(cells, INTEGER), pattern=r"\A\+", replacement=""), "integer")


def _numbers(cells: pa.Array) -> pa.Array:
    values = _cast(pc.replace_substring_regex(_only(cells, NUMBER), pattern=r"\A\+", replacement=""), "number")
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


def _booleans(cells: pa.Array) -> pa.Array:
    is_true = pc.is_in(cells, value_set=pa.array(TRUE))
    known = pc.or_(is_true, pc.is_in(cells, value_set=pa.array(FALSE)))
    return pc.if_else(known, is_true, pa.scalar(None, pa.bool_()))


def _dates(cells: pa.Array) -> pa.Array:
    return _cast(_only(cells, DATE), "date")


def _datetimes(cells: pa.Array) -> pa.Array:
    cells = _only(cells, f"{TIME}{ZONE}?")
    has_zone = pc.match_substring_regex(cells, pattern=rf"{ZONE}\z")
    values = _cast(pc.if_else(has_zone, cells, pc.binary_join_element_wise(cells, "Z", "")), "datetime")
    exists = pc.and_(pc.greater_equal(values, _FIRST), pc.less_equal(values, _LAST))  # a zone may lead out of the years
    return pc.if_else(exists, values, pa.scalar(None, TYPES["datetime"]))


_FIRST = pa.scalar(datetime.min.replace(tzinfo=UTC), TYPES["datetime"])
_LAST = pa.scalar(datetime.max.replace(tzinfo=UTC), TYPES["datetime"])

_CASTS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "string": lambda cells: cells,
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "date": _dates,
    "datetime": _datetimes,
}
