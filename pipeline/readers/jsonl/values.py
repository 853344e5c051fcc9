"""Make cells of the values of one key, by the places of their bytes."""

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.model.field import FieldSpec
from pipeline.readers.jsonl.record import DECODER, not_text, own_form

Offsets = NDArray[np.int64]
Mask = NDArray[np.bool_]

SPACES = 8  # before or after a value; a line with more is read alone

_SCALAR = r"\A(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)\z"
_SPACE, _QUOTE, _NULL, _BRACKETS = ord(" "), ord('"'), ord("n"), tuple(b"{[")


@dataclass(frozen=True)
class Spans:
    """Places of the values of a key in a text, in its order, and the number of quotes in each.

    In `shadow`, which is the same text, no character is escaped.
    """

    text: bytes
    shadow: NDArray[np.uint8]
    starts: Offsets
    stops: Offsets
    quotes: Offsets


def cells_of(spans: Spans, field: FieldSpec | None) -> tuple[pa.Array, Mask]:
    """Return the cells (`pa.string()`), in the field's own form, and a mask of what may be no value of JSON.

    Without a field the cells are only checked.
    """
    starts, stops, bad = _stripped(spans)
    first, last = spans.shadow[starts], spans.shadow[stops - 1]
    string = (first == _QUOTE) & (last == _QUOTE) & (spans.quotes == 2) & (stops - starts > 1)
    nested = np.isin(first, _BRACKETS)
    bad |= ~string & ~nested & (spans.quotes > 0)
    texts = _slices(spans.text, starts + string, stops - string)
    scalar = ~string & ~nested
    bad[scalar] |= _not(pc.match_substring_regex(texts.filter(pa.array(scalar)), pattern=_SCALAR))
    if nested.any():
        bad[nested] |= not _are_json(texts.filter(pa.array(nested)).to_pylist())
    texts = _unescaped(texts, string, bad)
    null = scalar & (first == _NULL)
    if null.any():
        texts = pc.if_else(pa.array(null), pa.scalar(None, pa.string()), texts)
    return (_own_form(texts, scalar & ~null & ~bad, field) if field else texts), bad


def _stripped(spans: Spans) -> tuple[Offsets, Offsets, Mask]:
    """Return the places of the values without spaces around them, and a mask of those that are nothing or have more."""
    starts, stops = spans.starts.copy(), spans.stops.copy()
    for _ in range(SPACES):
        before = (spans.shadow[starts] == _SPACE) & (starts < stops)
        after = (spans.shadow[stops - 1] == _SPACE) & (starts + before < stops)
        if not (before.any() or after.any()):
            break
        starts += before
        stops -= after
    return starts, stops, starts >= stops


def _slices(text: bytes, starts: Offsets, stops: Offsets) -> pa.Array:
    """Return spans of a text, in its order, as an array: every other one of the slices from edge to edge."""
    stops = np.maximum(starts, stops)
    edges = np.column_stack([starts, stops]).astype(np.int32).ravel()
    slices = pa.StringArray.from_buffers(max(0, len(edges) - 1), pa.py_buffer(edges), pa.py_buffer(text))
    return slices.take(pa.array(np.arange(0, len(edges), 2)))


def _not(mask: pa.Array) -> Mask:
    return np.asarray(pc.invert(mask).to_numpy(zero_copy_only=False), bool)


def _are_json(texts: list[str]) -> bool:
    try:
        return len(DECODER.decode(f"[{','.join(texts)}]")) == len(texts)
    except ValueError:
        return False


def _unescaped(texts: pa.Array, string: Mask, bad: Mask) -> pa.Array:
    """Decode the strings with an escape, all at once; mark all of them as bad if one is."""
    escaped = string & pc.match_substring(texts, "\\").to_numpy(zero_copy_only=False)
    if not escaped.any():
        return texts
    written = texts.filter(pa.array(escaped)).to_pylist()
    try:
        decoded = json.loads('["' + '","'.join(written) + '"]')
    except ValueError:
        decoded = None
    if decoded is None or len(decoded) != len(written) or not_text("".join(decoded)):
        bad |= escaped
        return texts
    return pc.replace_with_mask(texts, pa.array(escaped), pa.array(decoded, pa.string()))


def _own_form(texts: pa.Array, scalar: Mask, field: FieldSpec) -> pa.Array:
    """Return cells where numbers and booleans of JSON have the form that the field's own cells have."""
    letters = _OTHER_FORMS.get(field.type)
    usual = (
        field.decimalChar == "." if field.type == "number" else (field.trueValues[:1], field.falseValues[:1]) == _WORDS
    )
    if letters is None or (usual and field.type != "integer"):
        return texts
    other = scalar & pc.match_substring_regex(texts, letters).fill_null(False).to_numpy(zero_copy_only=False)
    if not other.any():
        return texts
    written = [own_form(text, field) for text in texts.filter(pa.array(other)).to_pylist()]
    return pc.replace_with_mask(texts, pa.array(other), pa.array(written, pa.string()))


_OTHER_FORMS = {"integer": "[.eE]", "number": r"\.", "boolean": "e"}  # what a value has that may have another form
_WORDS = (("true",), ("false",))
