"""Cells with several values: JSON objects and arrays, lists, points on the earth. They stay the text that they are."""

import json
import re
from typing import Any, NoReturn

from pipeline.model.field import FieldSpec

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_POINT = re.compile(rf"({_NUMBER})[ \t]*,[ \t]*({_NUMBER})")
_MARKS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)  # a string without an end is looked for once
DEEPEST = 200  # levels of JSON
GEOPOINTS = ("default", "array", "object")


def is_structured(text: str, field: FieldSpec) -> bool:
    """Return whether a cell is a JSON object or array, or a point, as its field says."""
    if field.type == "geopoint":
        return _is_point(text, field.format)
    return isinstance(_json(text), dict if field.type == "object" else list)


def size(text: str, field: FieldSpec) -> int:
    """Return the number of values in a sound cell."""
    return text.count(field.delimiter) + 1 if field.type == "list" else len(_json(text))


def _json(text: str) -> Any:
    """Return the value of JSON text; None if it is none, or nested so deep that readers refuse it."""
    if text.count("[") + text.count("{") > DEEPEST and _depth(text) > DEEPEST:
        return None
    try:
        return json.loads(text, parse_int=float, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def _depth(text: str) -> int:
    level = deepest = 0
    for mark in _MARKS.finditer(text):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark[0], 0)
        deepest = max(deepest, level)
    return deepest


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _is_point(text: str, format_: str) -> bool:
    if format_ == "default":
        match = _POINT.fullmatch(text)
        place: Any = [float(number) for number in match.groups()] if match else None
    elif format_ == "array":
        place = _json(text)
    else:
        value = _json(text)
        place = [value.get("lon"), value.get("lat")] if isinstance(value, dict) and len(value) == 2 else None
    if not isinstance(place, list) or len(place) != 2 or not all(type(one) is float for one in place):
        return False
    longitude, latitude = place
    return bool(abs(longitude) <= 180 and abs(latitude) <= 90)
