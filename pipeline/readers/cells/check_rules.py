"""Check the rules of a field: its format, bounds, pattern and options, and whether any value can pass them all."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from common.messages import LIST_LIMIT, shortened
from pipeline.model.field import FieldSpec, as_cell
from pipeline.readers.cells.explain import broken_rules
from pipeline.readers.cells.parse import literal, parse
from pipeline.readers.cells.patterns import TEXTS, full_match
from pipeline.readers.cells.structured import GEOPOINTS
from pipeline.readers.cells.time_formats import time_format

_LENGTHS = ("minLength", "maxLength")
_RANGES = (
    ("minimum", "maximum"),
    ("minimum", "exclusiveMaximum"),
    ("exclusiveMinimum", "maximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
    _LENGTHS,
)
_FIX = ": correct one of the two"


def rule_problems(field: FieldSpec, missing: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong with the rules of a field, whose words for null are `missing`: what, why, and the way out."""
    if field.format != "default":
        yield from _format_problems(field)
    if wrong := [*_pattern_problems(field), *_bound_problems(field)]:
        yield from wrong
    else:
        yield from _range_problems(field)
        yield from _option_problems(field, missing)


def _format_problems(field: FieldSpec) -> Iterator[str]:
    formats = {"string": [*TEXTS], "geopoint": [*GEOPOINTS]}.get(field.type)
    if formats is None:
        try:
            time_format(field)
        except ValueError as error:
            yield shortened(str(error), LIST_LIMIT)
    elif field.format not in formats:
        found = shortened(field.format)
        yield f"format {found!r} is not supported for a {field.type}: it takes {', '.join(formats)}"


def _pattern_problems(field: FieldSpec) -> Iterator[str]:
    if (pattern := field.constraints.pattern) is None:
        return
    try:
        pc.match_substring_regex(pa.scalar(""), pattern=full_match(pattern))
    except pa.ArrowInvalid as error:
        reason = f"which has no look-around ({shortened(str(error), LIST_LIMIT)})"
        yield f"constraints.pattern: {shortened(pattern)!r} is no pattern of RE2, {reason}"


def _bound_problems(field: FieldSpec) -> Iterator[str]:
    """Yield each bound or option that is no value of the field's type."""
    for rule, bound in field.constraints.rules:
        if rule in (*_LENGTHS, "pattern"):
            continue
        try:
            for option in bound if rule == "enum" else (bound,):
                literal(option, field)
        except ValueError as error:
            yield f"constraints.{rule}: {error}"


def _range_problems(field: FieldSpec) -> Iterator[str]:
    """Yield each two bounds between which there is no value."""
    bounds = dict(field.constraints.rules)
    for lower, upper in _RANGES:
        if lower not in bounds or upper not in bounds:
            continue
        least, most = bounds[lower], bounds[upper]
        if (lower, upper) != _LENGTHS:
            least, most = literal(least, field), literal(most, field)
        outside = [rule.startswith("exclusive") for rule in (lower, upper)]
        if isinstance(least, int):  # of whole numbers there is none between 3 and 4
            least, most, outside = least + outside[0], most - outside[1], [False]
        if least > most or (least == most and any(outside)):
            reason = f"it is {bounds[upper]} and {lower} is {bounds[lower]}, so no value can pass"
            yield f"constraints.{upper}: {reason}{_FIX}"


def _option_problems(field: FieldSpec, missing: frozenset[str]) -> Iterator[str]:
    """Yield each value of `enum` that another rule of the field rejects; a word for null is none."""
    others = [rule for rule in field.constraints.rules if rule[0] != "enum"]
    for option in map(as_cell, field.constraints.enum or ()):
        if option in missing:
            continue
        try:
            value = parse(option, field, missing) if field.type == "string" else literal(option, field)
        except ValueError as error:
            yield f"constraints.enum: {error}{_FIX}"
            continue
        for rule, bound in broken_rules(value, field, others):
            reason = f"{shortened(option)!r} can never pass, for {rule} is {shortened(str(bound))}"
            yield f"constraints.enum: {reason}{_FIX}"
