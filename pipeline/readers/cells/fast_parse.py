"""Fast path: find cells in canonical syntax, and parse ISO dates and times from their bytes.

`12`, `-3.5e7`, `2026-01-31`, `2026-01-31T12:00:00Z`: nearly every cell looks so, and a few passes over a column's bytes
find those that do not. Only these are checked by pattern (`0x1F`, `+5`, `inf`, blanks around a value): `cast.py`.
"""

import functools

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.model.field import TYPES, FieldSpec

Mask = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int32]

_ZERO = np.uint8(ord("0"))
_LONGEST_INTEGER = 18  # digits that never leave 64 bits
_SIZES = {"date": (10,), "datetime": (16, 19, *range(21, 27))}  # of a time without its zone
# Places, and what may stand there.
_SEPARATORS = ((4, b"-"), (7, b"-"), (10, b"T "), (13, b":"), (16, b":"), (19, b"."))


def _strange(letters: bytes) -> Mask:
    """Return a table by byte (`bool[256]`) that is true for all but these letters."""
    table = np.ones(256, bool)
    table[list(letters)] = False
    return table


_STRANGE = {"integer": _strange(b"-"), "number": _strange(b"-.eE+")}  # of what is no digit

_NONE = -(1 << 28)  # so far below zero that no other part of a time makes up for it


def _two_digits(first: int, last: int, unit: int) -> NDArray[np.int32]:
    """Return a table by the bytes of two digits, as one uint16: their units above `first`, or `_NONE`."""
    table = np.full(1 << 16, _NONE, np.int32)
    digits = np.frombuffer("".join(map("{:02}".format, range(first, last + 1))).encode(), np.uint16)
    table[digits] = unit * np.arange(len(digits))
    return table


_CENTURY, _YEAR = _two_digits(0, 99, 1200), _two_digits(0, 99, 12)
_MONTH, _DAY = _two_digits(1, 12, 1), _two_digits(1, 31, 1)
_HOUR, _MINUTE, _SECOND = _two_digits(0, 23, 3600), _two_digits(0, 59, 60), _two_digits(0, 59, 1)

# By year * 12 + month - 1: the number of a month's first day, and of its days; the year 0 has none.
_FIRST = np.arange("0000-01", "10000-02", dtype="M8[M]").astype("M8[D]").astype(np.int32)
_DAYS = np.diff(_FIRST)
_DAYS[:12] = 0


def has_plain_form(field: FieldSpec) -> bool:
    """Return whether the type of a field has a canonical syntax, in which cells are cast as they are."""
    usual = field.format == "default" and field.decimalChar == "." and field.groupChar is None
    return usual and field.bareNumber and not field.decimal and field.type in ("integer", "number", "date", "datetime")


def odd_numbers(text: pa.Array, type_: str) -> Mask:
    """Mark the cells with letters that a canonical number does not have, or too many digits. A null is never odd."""
    if not len(text):
        return np.zeros(0, bool)
    offsets, data = _bytes(text)
    long = type_ == "integer" and len(data) > _LONGEST_INTEGER
    odd = offsets[1:] - offsets[:-1] > _LONGEST_INTEGER if long else np.zeros(len(text), bool)
    others = (data - _ZERO > 9).nonzero()[0]
    strange = others.compress(_STRANGE[type_].take(data.take(others)))
    if len(strange):
        odd[np.searchsorted(offsets, strange, "right") - 1] = True
    return _valid(odd, text)


def plain_times(text: pa.Array, type_: str) -> tuple[pa.Array, Mask]:
    """Parse the dates or times that have the size and zone of the first one, and mark all others as odd.

    Returns:
        The values (undefined for odd cells), and the mask. A null is never odd.
    """
    values, odd = np.zeros(len(text), np.int32 if type_ == "date" else np.int64), np.ones(len(text), bool)
    if len(text):
        offsets, data = _bytes(text)
        lengths = np.diff(offsets)
        first = int(np.argmax(lengths > 0))
        size, zone = int(lengths[first]), int(data[offsets[first] : offsets[first + 1]].tobytes().endswith(b"Z"))
        if size - zone in _SIZES[type_] and not (zone and type_ == "date"):
            alike = lengths == size
            rows = slice(None) if alike.all() else np.flatnonzero(alike)
            whole = np.count_nonzero(alike) * size == len(data)
            chars = data.reshape(-1, size) if whole else data[offsets[rows, None] + np.arange(size)]
            values[rows], there = _times(chars[:, : size - zone])
            odd[rows] = ~there | (chars[:, -1] != ord("Z")) if zone else ~there
    null = text.is_null().to_numpy(zero_copy_only=False) if text.null_count else None
    return pa.array(values, mask=null).view(TYPES[type_]), _valid(odd, text)


def _times(chars: Bytes) -> tuple[NDArray[np.int32] | NDArray[np.int64], Mask]:
    """Parse times without zone (`uint8[n, size]`): days or microseconds since 1970, and a mask of those that exist."""
    size = chars.shape[1]
    month = _part(_CENTURY, chars, 0) + _part(_YEAR, chars, 2) + _part(_MONTH, chars, 5)
    day = _part(_DAY, chars, 8)
    there = (month >= 0) & (day >= 0) & (day < _DAYS.take(month, mode="clip"))
    for place, letters in _SEPARATORS:
        if place < size:
            there &= functools.reduce(np.bitwise_or, (chars[:, place] == letter for letter in letters))
    days = day + _FIRST.take(month, mode="clip")
    if size == 10:
        return days, there
    second = _part(_HOUR, chars, 11) + _part(_MINUTE, chars, 14)
    second += _part(_SECOND, chars, 17) if size > 16 else 0
    there &= second >= 0
    micros = (days.astype(np.int64) * 86_400 + second) * 1_000_000
    for place in range(20, size):
        digit = chars[:, place] - _ZERO
        there &= digit < 10
        micros += digit * np.int64(10 ** (25 - place))
    return micros, there


def _part(table: NDArray[np.int32], chars: Bytes, place: int) -> NDArray[np.int32]:
    return table.take(chars[:, place : place + 2].view(np.uint16)[:, 0])


def _bytes(text: pa.Array) -> tuple[Offsets, Bytes]:
    """Return the offsets of the cells (`int32[n + 1]`) in the bytes of all, and these bytes."""
    offsets = np.frombuffer(text.buffers()[1], np.int32, len(text) + 1, text.offset * 4)
    return offsets - offsets[0], np.frombuffer(text.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]


def _valid(odd: Mask, text: pa.Array) -> Mask:
    return odd & text.is_valid().to_numpy(zero_copy_only=False) if text.null_count and odd.any() else odd
