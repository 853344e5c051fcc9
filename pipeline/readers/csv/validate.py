"""A column of text to a typed column and a mask of the cells that break its field."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.contract import TYPES, FieldSpec
from pipeline.readers.csv.explain import PARSERS, literal
from pipeline.readers.csv.fast_parse import Mask, has_plain_form, odd_numbers, plain_times
from pipeline.readers.csv.patterns import (
    DATE,
    FALSE,
    INTEGER,
    TIME,
    TRUE,
    ZONE,
    format_pattern,
    full_match,
    grouped_number,
)

Check = Callable[[pa.Array], pa.Array]


def check_column(text: pa.Array, field: FieldSpec, missing: frozenset[str]) -> tuple[pa.Array, pa.Array]:
    """Cast and check a column of text without nulls.

    Returns:
        The values in the field's Arrow type, and a boolean array that is true where a cell breaks a rule.
    """
    values, masks = check_cells(_nulled(text, bare(missing)), field, missing)
    return values, functools.reduce(pc.or_, masks, pa.repeat(pa.scalar(False), len(text)))


def bare(missing: frozenset[str]) -> frozenset[str]:
    """Give the missing values that count in every type: a typed cell loses the blanks around it, so it is no other."""
    return frozenset(one for one in missing if one == one.strip(" \t"))


def check_cells(text: pa.Array, field: FieldSpec, missing: frozenset[str]) -> tuple[pa.Array, list[pa.Array]]:
    """Do as `check_column`, where every cell that is one of the `bare` missing values is null already.

    Returns:
        The values, and the masks of the cells that break a rule, of those rules alone that are broken.
    """
    values, masks = text, list[pa.Array]()
    if field.type != "string":
        values, masks = _typed(text, field, missing)
    elif missing != bare(missing):
        values = _nulled(text, missing)
    if field.constraints.rules:
        masks += [check(values) for check in _constraints(field)]
    if field.constraints.required and values.null_count:
        masks += [pc.is_null(values)]
    return values, [pc.fill_null(mask, False) for mask in masks if mask.true_count]


def _nulled(text: pa.Array, missing: frozenset[str]) -> pa.Array:
    null = pc.is_in(text, value_set=pa.array(sorted(missing), pa.string()))
    return pc.if_else(null, pa.scalar(None, pa.string()), text)


def _typed(text: pa.Array, field: FieldSpec, missing: frozenset[str]) -> tuple[pa.Array, list[pa.Array]]:
    """Cast what is plain as it stands, judge the rest by patterns, and mark what is not of the type."""
    values, odd = _plain(text, field)
    if not odd.any():
        return values, []
    mask = pa.array(odd)
    cells = _nulled(pc.ascii_trim(text.filter(mask), " \t"), missing)
    judged = _CASTS[field.type](cells, field)
    wrong = np.zeros(len(text), bool)
    wrong[odd] = pc.and_(pc.is_null(judged), pc.is_valid(cells))
    return pc.replace_with_mask(values, mask, judged), [pa.array(wrong)]


def _plain(text: pa.Array, field: FieldSpec) -> tuple[pa.Array, Mask]:
    """Read the cells that are plain, and mark the odd ones: all, where Arrow refuses one that looks plain."""
    if has_plain_form(field):
        if field.type in ("date", "datetime"):
            return plain_times(text, field.type)
        odd = odd_numbers(text, field.type)
        plain = pc.if_else(pa.array(odd), pa.scalar(None, pa.string()), text) if odd.any() else text
        if (values := _exactly(plain, field)) is not None:
            return values, odd
    values = _booleans(text, field) if field.type == "boolean" else pa.nulls(len(text), TYPES[field.type])
    return values, pc.and_(pc.is_null(values), pc.is_valid(text)).to_numpy(zero_copy_only=False)


def _exactly(cells: pa.Array, field: FieldSpec) -> pa.Array | None:
    """Cast plain numbers; None if Arrow refuses one, or takes one that is not finite."""
    try:
        values = pc.cast(cells, TYPES[field.type])
    except pa.ArrowInvalid:
        return None
    finite = field.type == "integer" or pc.all(pc.is_finite(values)).as_py() is not False
    return values if finite else None


@functools.lru_cache(4096)
def _constraints(field: FieldSpec) -> list[Check]:
    """Give a function for each constraint, which marks the values that break it."""
    checks, found = field.constraints, list[Check]()
    if checks.minimum is not None:
        low = _scalar(checks.minimum, field)
        found.append(lambda values: pc.less(values, low))
    if checks.maximum is not None:
        high = _scalar(checks.maximum, field)
        found.append(lambda values: pc.greater(values, high))
    if checks.minLength is not None:
        found.append(lambda values: pc.less(pc.utf8_length(values), checks.minLength))
    if checks.maxLength is not None:
        found.append(lambda values: pc.greater(pc.utf8_length(values), checks.maxLength))
    if (pattern := checks.pattern) is not None:
        found.append(lambda values: pc.invert(pc.match_substring_regex(values, pattern=full_match(pattern))))
    if (enum := checks.enum) is not None:
        options = pa.array([literal(one, field) for one in enum], TYPES[field.type])
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
    return pc.less(pc.index_in(cells, value_set=pa.array(TRUE + FALSE)), len(TRUE))


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
    low, high = (pa.scalar(one.replace(tzinfo=UTC), TYPES["datetime"]) for one in (datetime.min, datetime.max))
    # A zone may lead out of the years.
    exists = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    return pc.if_else(exists, values, pa.scalar(None, TYPES["datetime"]))


_CASTS: dict[str, Callable[[pa.Array, FieldSpec], pa.Array]] = {
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "date": _dates,
    "datetime": _datetimes,
}
