"""Hash the keys of many rows at once; equal keys have equal hashes."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_WORD = 8  # bytes that are hashed at a time
_LONG = 64  # bytes; what is longer is hashed by itself
_ODD = np.uint64(0x9E3779B97F4A7C15)  # to multiply by an odd number loses nothing, and mixes the upper bits


def hash_keys(columns: Sequence[pa.Array]) -> Hashes:
    """Return a hash of each row's key; the columns have no nulls."""
    hashes = _mixed(_hash_column(columns[0]))
    for column in columns[1:]:
        hashes = _mixed((hashes ^ (hashes >> np.uint64(31))) + _hash_column(column))
    return hashes


def is_exact(columns: Sequence[pa.DataType]) -> bool:
    """Return whether no two keys of these types have the same hash, so that none need be compared."""
    return len(columns) == 1 and _has_width(columns[0])


def _has_width(type_: pa.DataType) -> bool:
    is_temporal = pa.types.is_date32(type_) or pa.types.is_timestamp(type_) or pa.types.is_time64(type_)
    return bool(is_temporal or pa.types.is_int64(type_) or pa.types.is_float64(type_) or pa.types.is_boolean(type_))


def _mixed(values: Hashes) -> Hashes:
    return values * _ODD


def _hash_column(column: pa.Array) -> Hashes:
    if pa.types.is_float64(column.type):
        values: Hashes = (column.to_numpy(zero_copy_only=False) + 0.0).view(np.uint64)  # zero has one sign
        return values
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    if _has_width(column.type) or pa.types.is_int32(column.type):
        numbers: Hashes = column.cast(pa.int64()).to_numpy(zero_copy_only=False).view(np.uint64)
        return numbers
    return _hash_texts(column if pa.types.is_string(column.type) else pc.cast(column, pa.string()))


def _hash_texts(column: pa.Array) -> Hashes:
    _, ends, content = column.buffers()
    edges = np.frombuffer(ends, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    text = np.zeros(edges[-1] - edges[0] + _WORD, np.uint8)  # so that a word may reach beyond the last cell
    if content is not None:
        text[:-_WORD] = np.frombuffer(content, np.uint8)[edges[0] : edges[-1]]
    starts, sizes = edges[:-1] - edges[0], np.diff(edges)
    words = np.ndarray((len(text) - _WORD + 1,), "<u8", text, strides=(1,))
    hashes: Hashes = _mixed(sizes.astype(np.uint64))
    for begin in range(0, min(int(sizes.max(initial=0)), _LONG), _WORD):
        rows = np.flatnonzero(sizes > begin)
        missing = np.maximum(_WORD - (sizes[rows] - begin), 0).astype(np.uint64) * np.uint64(8)
        word = words[starts[rows] + begin] << missing
        mixed = (hashes[rows] ^ word) * _ODD
        hashes[rows] = mixed ^ (mixed >> np.uint64(29))
    for row in np.flatnonzero(sizes > _LONG).tolist():
        digest = hashlib.blake2b(text[starts[row] : starts[row] + sizes[row]].tobytes(), digest_size=8).digest()
        hashes[row] = np.uint64(int.from_bytes(digest, "little"))
    return hashes
