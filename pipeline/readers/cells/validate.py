"""Cast and check a column of text: typed values, and a mask of the cells that break a rule."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.field import SPACED, TYPES, FieldSpec
from pipeline.readers.cells.cast import CASTS
from pipeline.readers.cells.fast_parse import Mask, has_plain_form, odd_numbers, plain_times
from pipeline.readers.cells.parse import literal
from pipeline.readers.cells.patterns import full_match
from pipeline.readers.cells.structured import size

Check = Callable[[pa.Array], pa.Array]


def check_column(text: pa.Array, field: FieldSpec, missing: frozenset[str]) -> tuple[pa.Array, pa.Array]:
    """Cast and check a column of text without nulls.

    Returns:
        The values in the field's Arrow type, and a boolean array that is true where a cell breaks a rule.
    """
    values, masks = check_cells(nulled(text, bare(missing)), field, missing)
    return values, functools.reduce(pc.or_, masks, pa.repeat(pa.scalar(False), len(text)))


def bare(missing: frozenset[str]) -> frozenset[str]:
    """Return the missing values without blanks around them: a typed cell is stripped, so it can equal no other."""
    return frozenset(word for word in missing if word == word.strip(" \t"))


def check_cells(text: pa.Array, field: FieldSpec, missing: frozenset[str]) -> tuple[pa.Array, list[pa.Array]]:
    """Cast and check a column of text in which every cell that is one of the `bare` missing values is null.

    Returns:
        The values, and a mask of the cells that break it for each broken rule.
    """
    values, masks = text, list[pa.Array]()
    if field.type not in SPACED:
        values, masks = _typed(text, field, missing)
    elif missing != bare(missing):
        values = nulled(text, missing)
    if field.type == "string" and field.format != "default":
        values, masks = _formatted(values, field)
    for check in _constraints(field):
        masks.append(check(values))
    if field.constraints.required and values.null_count:
        masks += [pc.is_null(values)]
    return values, [pc.fill_null(mask, False) for mask in masks if mask.true_count]


def nulled(text: pa.Array, missing: frozenset[str]) -> pa.Array:
    """Return a column of text with null for each cell that is one of the missing values."""
    null = pc.is_in(text, value_set=pa.array(sorted(missing), pa.string()))
    return pc.if_else(null, pa.scalar(None, pa.string()), text)


def _formatted(text: pa.Array, field: FieldSpec) -> tuple[pa.Array, list[pa.Array]]:
    """Return texts, null where they do not have the format of their field, and a mask of these."""
    values = CASTS["string"](text, field)
    return values, [pc.and_(pc.is_null(values), pc.is_valid(text))]


def _typed(text: pa.Array, field: FieldSpec, missing: frozenset[str]) -> tuple[pa.Array, list[pa.Array]]:
    """Cast canonical cells at once and the others by pattern. Return the values and a mask of those not of the type."""
    values, odd = _plain(text, field)
    if not odd.any():
        return values, []
    mask = pa.array(odd)
    cells = nulled(pc.ascii_trim(text.filter(mask), " \t"), missing)
    cast = CASTS[field.type](cells, field)
    invalid = np.zeros(len(text), bool)
    invalid[odd] = pc.and_(pc.is_null(cast), pc.is_valid(cells))
    return pc.replace_with_mask(values, mask, cast), [pa.array(invalid)]


def _plain(text: pa.Array, field: FieldSpec) -> tuple[pa.Array, Mask]:
    """Cast the canonical cells and mark the odd ones; all are odd if Arrow refuses a cell that looks canonical."""
    if has_plain_form(field):
        if field.type in ("date", "datetime"):
            return plain_times(text, field.type)
        odd = odd_numbers(text, field.type)
        plain = pc.if_else(pa.array(odd), pa.scalar(None, pa.string()), text) if odd.any() else text
        if (values := _exactly(plain, field)) is not None:
            return values, odd
    values = CASTS["boolean"](text, field) if field.type == "boolean" else pa.nulls(len(text), field.arrow_type)
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
    """Return a function for each constraint, which marks the values that break it."""
    rules, checks = field.constraints, list[Check]()
    for rule, is_outside in _OUTSIDE.items():
        if (bound := getattr(rules, rule)) is not None:
            checks.append(functools.partial(_compared, is_outside, _scalar(bound, field)))
    if rules.minLength is not None:
        checks.append(lambda values: pc.less(_lengths(values, field), rules.minLength))
    if rules.maxLength is not None:
        checks.append(lambda values: pc.greater(_lengths(values, field), rules.maxLength))
    if (pattern := rules.pattern) is not None:
        checks.append(lambda values: pc.invert(pc.match_substring_regex(values, pattern=full_match(pattern))))
    if (enum := rules.enum) is not None:
        options = pa.array([literal(option, field) for option in enum], field.arrow_type)
        checks.append(lambda values: pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, value_set=options))))
    return checks


_OUTSIDE = {
    "minimum": pc.less,
    "maximum": pc.greater,
    "exclusiveMinimum": pc.less_equal,
    "exclusiveMaximum": pc.greater_equal,
}


def _compared(is_outside: Callable[[pa.Array, pa.Scalar], pa.Array], bound: pa.Scalar, values: pa.Array) -> pa.Array:
    return is_outside(values, bound)


def _scalar(bound: Any, field: FieldSpec) -> pa.Scalar:
    return pa.scalar(literal(bound, field), field.arrow_type)


def _lengths(values: pa.Array, field: FieldSpec) -> pa.Array:
    if field.type == "string":
        return pc.utf8_length(values)
    return pa.array([None if value is None else size(value, field) for value in values.to_pylist()], pa.int64())
