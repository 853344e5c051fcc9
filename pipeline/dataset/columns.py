"""Convert columns of a pandas frame to Arrow columns of known types, with exactly their values or not at all."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.field import TYPES

EXACT = 2.0**53  # below it each integer has a float of its own
SHOWN = 100  # characters of a value in a message
WORDS = {type_: word for word, type_ in reversed(TYPES.items())}  # of several words, the first


class WrongColumn(ValueError):
    """Raised for a column with a value that cannot be converted to its type without a change."""

    def __init__(self, name: str, value: object, expected: pa.DataType, found: object) -> None:
        word = WORDS.get(found) if isinstance(found, pa.DataType) else None
        declared = repr(word) if word else "…"
        super().__init__(
            f"expected {expected}, found {found}, first {shown(value)}: convert the values in the transform, or "
            f"declare the column's type beside it: TYPES = {{{name!r}: {declared}}}"
        )
        self.column, self.value = name, shown(value)


def shown(value: object) -> str:
    """Return a value as a message has it, shortened."""
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def exact_column(name: str, values: pd.Series, type_: pa.DataType) -> pa.ChunkedArray:
    """Convert a column to a type.

    Text becomes no number, a number no text, and no value loses a digit; nulls go with every type.

    Raises:
        WrongColumn: a value cannot be converted.
    """
    try:
        found = own_column(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):  # of values of several types
        return _cell_by_cell(name, values, type_)
    if (converted := _converted(found, type_)) is not None:
        return converted
    _cell_by_cell(name, values, type_)
    raise WrongColumn(name, found.drop_null()[0].as_py(), type_, found.type)


def own_column(values: pd.Series | Sequence[Any]) -> pa.ChunkedArray:
    """Return a column in the Arrow type of its values; a categorical column gets the type of its categories.

    Raises:
        ArrowException, TypeError, ValueError, OverflowError: Arrow has no type that all the values have.
    """
    array = pa.array(values, from_pandas=True)
    found = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    if pa.types.is_dictionary(found.type):
        return pa.chunked_array([chunk.dictionary.take(chunk.indices) for chunk in found.chunks], found.type.value_type)
    if pa.types.is_temporal(found.type) and getattr(values, "dtype", np.dtype(object)) == np.dtype(object):
        for one, value in zip(found.to_pylist(), values, strict=True):  # Arrow cuts times to dates and microseconds
            if one is not None and one != value:
                raise ValueError(f"{value!r} is no {found.type}")
    return found


def _cell_by_cell(name: str, values: pd.Series, type_: pa.DataType) -> pa.Array:
    """Convert values of several types; `WrongColumn` tells of the first that cannot be converted."""
    cells = []
    for value in values:
        try:
            own = own_column([value])
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            _refuse(name, value, type_)
        if (cell := _converted(own, type_)) is None:
            raise WrongColumn(name, value, type_, own.type)
        cells.append(cell)
    return pa.chunked_array([chunk for cell in cells for chunk in cell.chunks], type_)


def _refuse(name: str, value: object, type_: pa.DataType) -> NoReturn:
    raise WrongColumn(name, value, type_, type(value).__name__) from None


def _converted(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray | None:
    """Cast a column; None if its type has another meaning, or a value would be another one."""
    if column.type == type_:
        return column
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), type_)])
    if not fits(column.type, type_) or (pa.types.is_integer(type_) and may_be_rounded(column)):
        return None
    try:
        converted = column.cast(type_)
        if _is_text(type_) or _same(converted.cast(column.type), column):
            return converted
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    return None


def may_be_rounded(column: pa.ChunkedArray) -> bool:
    """Return whether a column has floats so large that another integer may have become one of them."""
    return pa.types.is_floating(column.type) and bool(pc.any(pc.greater_equal(pc.abs(column), EXACT)).as_py())


def _same(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Compare columns of one type: Arrow's cast of a time to a date, or to fewer digits, may forget the rest."""
    if one.equals(other):
        return True
    if not pa.types.is_floating(one.type):
        return False
    both = pc.and_(pc.is_nan(one), pc.is_nan(other))
    return pc.all(pc.or_(both, pc.equal(one, other))).as_py() is not False


def fits(found: pa.DataType, expected: pa.DataType) -> bool:
    """Return whether values of a type may mean the same in another one."""
    if pa.types.is_nested(found) or pa.types.is_nested(expected):
        return _fits_nested(found, expected)
    if pa.types.is_timestamp(found):
        if pa.types.is_timestamp(expected):  # one without a zone is UTC, as in a file
            return expected.tz is not None if found.tz else expected.tz in (None, "UTC")
        return bool(pa.types.is_date(expected) and found.tz is None)  # pandas has no dates
    return any(all(map(kind, (found, expected))) for kind in _KINDS)


def _fits_nested(found: pa.DataType, expected: pa.DataType) -> bool:
    if all(map(_is_list, (found, expected))):
        return bool(pa.types.is_null(found.value_type)) or fits(found.value_type, expected.value_type)
    return bool(found == expected)


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _is_binary(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _is_exact_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_decimal(type_))


_KINDS = (
    _is_text,
    _is_binary,
    _is_number,
    _is_exact_number,
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_duration,
)
