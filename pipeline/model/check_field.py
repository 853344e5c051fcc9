"""Check a field of a contract: which properties go with its type, and with each other."""

from collections.abc import Iterator

from common.messages import shortened
from pipeline.model.field import FALSE, TRUE, FieldSpec

_ORDERED = {"integer", "number", "date", "datetime", "time", "year", "yearmonth"}
_SIZED = {"string", "list", "object", "array"}
_CONSTRAINTS = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _ORDERED),
    **dict.fromkeys(("minLength", "maxLength"), _SIZED),
    "pattern": {"string"},
    "enum": {*_ORDERED, "string", "boolean", "duration", "any"},
}
_PROPERTIES = {
    "format": {"date", "datetime", "time", "string", "geopoint"},
    "decimalChar": {"number"},
    "groupChar": {"integer", "number"},
    "bareNumber": {"integer", "number"},
    "trueValues": {"boolean"},
    "falseValues": {"boolean"},
    "decimal": {"number"},
    "delimiter": {"list"},
    "itemType": {"list"},
}


def field_problems(field: FieldSpec) -> Iterator[str]:
    """Yield what is wrong with a field: its property, why, and what it takes."""
    for constraint, types in _CONSTRAINTS.items():
        if getattr(field.constraints, constraint) is not None and field.type not in types:
            takes = ", ".join(sorted(types))
            yield f"constraints.{constraint} does not go with type {field.type!r}: it takes {takes}"
    for name, types in _PROPERTIES.items():
        value = getattr(field, name)
        if value != FieldSpec.model_fields[name].default and field.type not in types:
            takes = ", ".join(sorted(types))
            yield f"{name} {shortened(str(value))!r} does not go with type {field.type!r}: it takes {takes}"
    yield from _separator_problems(field)
    for word in (*field.trueValues, *field.falseValues):
        if word != word.strip(" \t"):
            yield f"trueValues, falseValues: {shortened(word)!r} has spaces around it, which a cell loses before"
    if both := set(field.trueValues) & set(field.falseValues):
        yield f"falseValues: {shortened(min(both))!r} is among the trueValues as well"


def null_problems(field: FieldSpec, missing: frozenset[str]) -> Iterator[str]:
    """Yield each word for true or false that a contract has chosen, and that is null in the field as well."""
    for name, words, usual in (("trueValues", field.trueValues, TRUE), ("falseValues", field.falseValues, FALSE)):
        if words != usual and (both := missing.intersection(words)):
            found = f"{shortened(min(both))!r} is null in this field as well"
            yield f"{name}: {found}: remove it, or give the field missingValues without it"


def _separator_problems(field: FieldSpec) -> Iterator[str]:
    for name in ("decimalChar", "groupChar"):
        if (value := getattr(field, name) or ".") in "+-eE0123456789":
            yield f"{name}: {value!r} has a meaning of its own in a number"
    if field.type == "number" and field.groupChar == field.decimalChar:
        yield "groupChar: it is the decimalChar as well"
