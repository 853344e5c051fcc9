"""Explain why a cell is wrong: every rule that it breaks."""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from common.messages import listed, shortened
from pipeline.model.field import FieldSpec
from pipeline.readers.cells.parse import literal, parse
from pipeline.readers.cells.patterns import full_match
from pipeline.readers.cells.structured import size


def explain(text: str | None, field: FieldSpec, missing: frozenset[str]) -> list[tuple[str, str]]:
    """Return `(rule, message)` for every rule that a cell breaks; one that is None is null in its file."""
    try:
        value = parse(text, field, missing)
    except ValueError as error:
        return [("type", str(error))]
    if text is None or value is None:
        return [("required", "a value is required, found none")] if field.constraints.required else []
    return [
        (rule, f"expected {_RULES[rule][0]} {_shown(bound)}, found {shortened(text)!r}")
        for rule, bound in broken_rules(value, field, field.constraints.rules)
    ]


def broken_rules(value: Any, field: FieldSpec, rules: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the rules, with their bounds, that a value of a field breaks."""
    for rule, bound in rules:
        if _RULES[rule][1](value, bound, field):
            yield rule, bound


def _matches(text: str, pattern: str) -> bool:
    return bool(pc.match_substring_regex(pa.scalar(text), pattern=full_match(pattern)).as_py())


def _length(value: str, field: FieldSpec) -> int:
    return len(value) if field.type == "string" else size(value, field)


def _shown(bound: Any) -> str:
    return listed(bound) if isinstance(bound, tuple) else shortened(str(bound))


@functools.lru_cache(4096)
def options(field: FieldSpec) -> frozenset[Any]:
    """Return the values of a field's `enum`."""
    return frozenset(literal(option, field) for option in field.constraints.enum or ())


# The words before a bound, and whether a value breaks it.
_RULES: dict[str, tuple[str, Callable[[Any, Any, FieldSpec], bool]]] = {
    "minimum": ("at least", lambda value, bound, field: value < literal(bound, field)),
    "maximum": ("at most", lambda value, bound, field: value > literal(bound, field)),
    "exclusiveMinimum": ("more than", lambda value, bound, field: value <= literal(bound, field)),
    "exclusiveMaximum": ("less than", lambda value, bound, field: value >= literal(bound, field)),
    "minLength": ("a length of at least", lambda value, bound, field: _length(value, field) < bound),
    "maxLength": ("a length of at most", lambda value, bound, field: _length(value, field) > bound),
    "pattern": ("all of it to match", lambda value, bound, _: not _matches(value, bound)),
    "enum": ("one of", lambda value, _, field: value not in options(field)),
}
