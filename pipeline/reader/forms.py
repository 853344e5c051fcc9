"""Which cells of a column have the plain form of their type: what Arrow's cast takes of it, the contract takes too.

`12`, `-3.5e7`, `2026-01-31`, `2026-01-31T12:00:00Z`: nearly every cell looks so, and a few passes over a column's bytes
find those that do not. They alone are judged by patterns (`0x1F`, `+5`, `inf`, blanks around a value).
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.contract import FieldSpec

Mask = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int32]

_ZERO = np.uint8(ord("0"))
_LONGEST_INTEGER = 18  # digits that never leave 64 bits
_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0], np.uint8)  # of each month

# The least and the greatest byte in each place of a time, without its zone; a date is its beginning.
_LEAST = np.frombuffer(b"0000-00-00 00:00:00.000000", np.uint8)
_MOST = np.frombuffer(b"9999-19-39T29:59:59.999999", np.uint8)
_UTC = np.frombuffer(b"Z", np.uint8)
_SIZES = {"date": (10,), "datetime": (16, 19, *range(21, 27))}


def _all_but(letters: bytes) -> Mask:
    """Give a table by byte, which is false for these."""
    table = np.ones(256, bool)
    table[list(letters)] = False
    return table


_STRANGE = {"integer": _all_but(b"0123456789-"), "number": _all_but(b"0123456789-.eE+")}


def has_plain_form(field: FieldSpec) -> bool:
    """Say whether there is a form in which cells of such a field can be cast as they are."""
    usual = field.format == "default" and field.decimalChar == "." and field.groupChar is None
    return usual and field.type in ("integer", "number", "date", "datetime")


def odd_cells(text: pa.Array, type_: str, *, existing: bool = False) -> Mask:
    """Mark the cells that are not plain, and with `existing` the times that there are not. A null is never odd."""
    if not len(text):
        return np.zeros(0, bool)
    offsets = np.frombuffer(text.buffers()[1], np.int32, len(text) + 1, text.offset * 4)
    data = np.frombuffer(text.buffers()[2] or b"", np.uint8)[: offsets[-1]]
    if type_ in _STRANGE:
        odd = _odd_numbers(offsets, data, type_)
    else:
        odd = _odd_times(offsets, data, type_, existing=existing)
    return odd & text.is_valid().to_numpy(zero_copy_only=False) if text.null_count else odd


def _odd_numbers(offsets: Offsets, data: Bytes, type_: str) -> Mask:
    lengths = np.diff(offsets)
    odd = lengths > _LONGEST_INTEGER if type_ == "integer" else np.zeros(len(lengths), bool)
    strange = offsets[0] + np.flatnonzero(_STRANGE[type_][data[offsets[0] :]])
    odd[np.searchsorted(offsets, strange, "right") - 1] = True
    return odd


def _odd_times(offsets: Offsets, data: Bytes, type_: str, *, existing: bool) -> Mask:
    """Take the size and zone of the first value for those of all."""
    lengths = np.diff(offsets)
    odd, first = np.ones(len(lengths), bool), int(np.argmax(lengths > 0))
    size, zone = int(lengths[first]), int(data[offsets[first] : offsets[first + 1]].tobytes().endswith(b"Z"))
    if size - zone not in _SIZES[type_] or (zone and type_ == "date"):
        return odd
    rows = np.flatnonzero(lengths == size)
    chars = data[offsets[rows, None] + np.arange(size)] if len(rows) * size < len(data) else data.reshape(-1, size)
    least, most = (np.append(places[: size - zone], _UTC[:zone]) for places in (_LEAST, _MOST))
    odd[rows] = False
    odd[rows[np.flatnonzero(chars - least > most - least) // size]] = True
    if existing:
        odd[rows] |= ~_exist(chars)
    return odd


def _exist(chars: Bytes) -> Mask:
    """Mark the times, a row of digits each, that there are."""
    digits = chars - _ZERO
    month, day = digits[:, 5] * 10 + digits[:, 6], digits[:, 8] * 10 + digits[:, 9]
    there = (day > 0) & (day <= _DAYS[np.minimum(month, 13)]) & digits[:, :4].any(axis=1)
    if chars.shape[1] > 10:
        there &= digits[:, 11] * 10 + digits[:, 12] < 24
    last = np.flatnonzero((month == 2) & (day == 29))
    year = digits[last, :4] @ np.array([1000, 100, 10, 1])
    there[last] &= (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return there
