"""A column of text to a typed column and a mask of the cells that break its field."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contract import TYPES, FieldSpec
from pipeline.reader.explain import PARSERS, literal
from pipeline.reader.values import DATE, FALSE, INTEGER, TIME, TRUE, ZONE, format_pattern, full_match, grouped_number


def check_column(text: pa.Array, field: FieldSpec, missing: frozenset[str]) -> tuple[pa.Array, pa.Array]:
    """Cast and check a column of text without nulls.

    Returns:
        The values in the field's Arrow type, and a boolean array that is true where a cell breaks a rule.
    """
    cells = text if field.type == "string" else pc.ascii_trim(text, " \t")
    null = pc.is_in(cells, value_set=pa.array(sorted(missing), pa.string()))
    cells = pc.if_else(null, pa.scalar(None, pa.string()), cells)
    values = _CASTS[field.type](cells, field)
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


def _cast(cells: pa.Array, field: FieldSpec) -> pa.Array:
    """Cast text of the default form; where one value is out of range Arrow gives up on all, so each is parsed alone."""
    try:
        return pc.cast(cells, TYPES[field.type])
    except pa.ArrowInvalid:
        parser = PARSERS[field.type][0]
        plain = FieldSpec(name=field.name, type=field.type)
        parsed = [None if cell is None else parser(cell, plain) for cell in cells.to_pylist()]
        return pa.array(parsed, TYPES[field.type])


def _without_plus(cells: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(cells, pattern=r"\A\+", replacement="")


def _strings(cells: pa.Array, _: FieldSpec) -> pa.Array:
    return cells


def _integers(cells: pa.Array, field: FieldSpec) -> pa.Array:
    return _cast(_without_plus(_only(cells, INTEGER)), field)


def _numbers(cells: pa.Array, field: FieldSpec) -> pa.Array:
    cells = _without_plus(_only(cells, grouped_number(field)))
    if field.groupChar:
        cells = pc.replace_substring(cells, field.groupChar, "")
    if field.decimalChar != ".":
        cells = pc.replace_substring(cells, field.decimalChar, ".")
    values = _cast(cells, field)
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


def _booleans(cells: pa.Array, _: FieldSpec) -> pa.Array:
    is_true = pc.is_in(cells, value_set=pa.array(TRUE))
    known = pc.or_(is_true, pc.is_in(cells, value_set=pa.array(FALSE)))
    return pc.if_else(known, is_true, pa.scalar(None, pa.bool_()))


def _iso(cells: pa.Array, field: FieldSpec) -> pa.Array:
    if field.format == "default":
        return cells
    pattern, iso = format_pattern(field)
    return pc.replace_substring_regex(_only(cells, pattern), pattern=full_match(pattern), replacement=iso)


def _dates(cells: pa.Array, field: FieldSpec) -> pa.Array:
    return _cast(_only(_iso(cells, field), DATE), field)


def _datetimes(cells: pa.Array, field: FieldSpec) -> pa.Array:
    cells = _only(_iso(cells, field), f"{TIME}{ZONE}?")
    has_zone = pc.match_substring_regex(cells, pattern=rf"{ZONE}\z")
    values = _cast(pc.if_else(has_zone, cells, pc.binary_join_element_wise(cells, "Z", "")), field)
    exists = pc.and_(pc.greater_equal(values, _FIRST), pc.less_equal(values, _LAST))  # a zone may lead out of the years
    return pc.if_else(exists, values, pa.scalar(None, TYPES["datetime"]))


_FIRST = pa.scalar(datetime.min.replace(tzinfo=UTC), TYPES["datetime"])
_LAST = pa.scalar(datetime.max.replace(tzinfo=UTC), TYPES["datetime"])

_CASTS: dict[str, Callable[[pa.Array, FieldSpec], pa.Array]] = {
    "string": _strings,
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "date": _dates,
    "datetime": _datetimes,
}
