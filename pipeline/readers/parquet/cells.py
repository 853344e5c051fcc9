"""Write the values of a column as text, whole columns at a time, so that they go through the checks of text."""

import json
import math
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from pipeline.model.field import FieldSpec
from pipeline.readers.parquet.fit import is_text

_NANOS = r"(\.[0-9]{6})000$"  # of a time of day, if there are none
_YEARS = 30_000 * 366 * 86_400  # seconds: beyond it Arrow shows a time with a zone in the wrong year
_HELD = {"s": _YEARS, "ms": _YEARS * 10**3, "us": _YEARS * 10**6, "ns": _YEARS * 10**9}
_PLAIN = (1e-4, 1e10)  # between them Arrow writes a float as Python does, but for a `.0`


def write_column(column: pa.Array, field: FieldSpec) -> pa.Array:
    """Return a column as text in the default form of a field's type; text stays as it is, maybe no UTF-8."""
    if at.is_dictionary(column.type):
        column = column.dictionary_decode()
    type_ = column.type
    if is_text(type_):
        return column.cast(pa.binary()).view(pa.string())
    if at.is_nested(type_):
        return pa.array([json_text(value, field) for value in column], pa.string())
    if at.is_floating(type_):
        return _floats(column.cast(pa.float64()), field)
    if at.is_decimal(type_):
        return pa.array([decimal_text(value, field) for value in column.to_pylist()], pa.string())
    if at.is_timestamp(type_):
        return _times(column, field)
    if at.is_time(type_):
        return pc.replace_substring_regex(column.cast(pa.string()), pattern=_NANOS, replacement=r"\1")
    return column.cast(pa.string())


def decimal_text(value: Decimal | None, field: FieldSpec) -> str | None:
    """Return a decimal with all its digits; in an integer field without zeros after the point."""
    if value is None:
        return None
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if field.type == "integer" and "." in text else text


def float_text(value: float | None) -> str | None:
    """Return the shortest text that is exactly a float: 12.0 as `12`."""
    if value is None:
        return None
    return str(int(value)) if abs(value) < 2.0**63 and value == int(value) else repr(value)


def json_text(value: pa.Scalar, field: FieldSpec) -> str | None:
    """Return a nested value as JSON; in it, what JSON does not have (times, decimals, NaN) is text.

    A map is a list of pairs. In an object field it is an object, unless it has a key twice: then it is wrong.
    """
    if not value.is_valid:
        return None
    try:
        content = value.as_py(maps_as_pydicts="strict" if field.type == "object" else None)
    except UnicodeDecodeError:  # to write it in another way would change a value
        raise
    except (KeyError, ValueError, OverflowError):
        content = _python_value(value)
    return json.dumps(_jsonable(content), ensure_ascii=False)


def more_texts(batch: pa.RecordBatch) -> pa.Array:
    """Return the rows of some columns as JSON objects."""
    columns = [_python_values(column) for column in batch.columns]
    rows = (dict(zip(batch.schema.names, values, strict=True)) for values in zip(*columns, strict=True))
    return pa.array([json.dumps(_jsonable(row), ensure_ascii=False) for row in rows], pa.string())


def _python_values(column: pa.Array) -> list[Any]:
    """Return the values of a column for `_jsonable`; text as its bytes, for some of it may be no UTF-8."""
    values = column.dictionary_decode() if at.is_dictionary(column.type) else column
    if is_text(values.type):
        values = values.cast(pa.binary())
    if values.type == pa.time64("ns"):  # Python's would lose the nanoseconds
        texts = pc.replace_substring_regex(values.cast(pa.string()), pattern=r"\.0{9}$", replacement="")
        values = pc.replace_substring_regex(texts, pattern=_NANOS, replacement=r"\1")
    try:
        return list(values.to_pylist())
    except (ValueError, OverflowError):
        return [*map(_python_value, values)]


def _python_value(value: pa.Scalar) -> Any:
    """Return a value as Python has it, or else as Arrow's text: such as a time beyond the year 9999.

    Text that is no UTF-8 comes as its bytes.
    """
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        if isinstance(value, pa.StructScalar):
            return {name: _python_value(member) for name, member in value.items()}
        if isinstance(value, pa.MapScalar):
            return [[*map(_python_value, pair.values())] for pair in value.values]
        if at.is_nested(value.type):
            return [*map(_python_value, value.values)]
        if is_text(value.type):
            return bytes(value.as_buffer())
        if at.is_timestamp(value.type) and abs(value.value) >= _HELD[value.type.unit]:
            value = value.cast(pa.timestamp(value.type.unit))  # so Arrow says that it is out of range
        return value.cast(pa.string()).as_py()


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {str(key): _jsonable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [*map(_jsonable, value)]
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _floats(values: pa.Array, _: FieldSpec) -> pa.Array:
    numbers = np.nan_to_num(np.abs(values.fill_null(0).to_numpy(zero_copy_only=False)), nan=np.inf)
    odd = (numbers != 0) & ~((numbers >= _PLAIN[0]) & (numbers < _PLAIN[1]))
    texts = pc.if_else(pc.equal(values, 0), "0", values.cast(pa.string()))  # there is a zero below zero
    if not odd.any():
        return texts
    mask = pa.array(odd)
    return pc.replace_with_mask(texts, mask, pa.array([*map(float_text, values.filter(mask).to_pylist())], pa.string()))


def _times(values: pa.Array, field: FieldSpec) -> pa.Array:
    """Return times in UTC: as dates where a date field has midnight, with nanoseconds only where there are some."""
    unit = values.type.unit
    times = values.cast(pa.int64()).cast(pa.timestamp(unit))  # without a zone the same values are those of UTC
    texts = pc.binary_join_element_wise(times.cast(pa.string()), "Z", "")
    if unit == "ns":
        micros = times.cast(pa.timestamp("us"), safe=False)
        whole = pc.equal(micros.cast(pa.timestamp("ns"), safe=False), times)
        texts = pc.if_else(whole, pc.binary_join_element_wise(micros.cast(pa.string()), "Z", ""), texts)
    if field.type == "date":
        midnight = pc.match_substring_regex(texts, pattern=r"\A.{10} 00:00:00(\.0+)?Z\z")
        texts = pc.if_else(midnight, pc.utf8_slice_codeunits(texts, 0, 10), texts)
    return texts


def plain_text(value: pa.Scalar, field: FieldSpec) -> bytes | None:
    """Do as `write_column`, for one value."""
    if not value.is_valid:
        return None
    if isinstance(value, pa.DictionaryScalar):
        value = value.value
    type_ = value.type
    if is_text(type_):
        return bytes(value.as_buffer())
    return str(_plain_value(value, type_, field)).encode()


def _plain_value(value: Any, type_: pa.DataType, field: FieldSpec) -> str | None:
    if at.is_nested(type_):
        return json_text(value, field)
    if at.is_boolean(type_):
        return "true" if value.as_py() else "false"
    if at.is_floating(type_):
        return float_text(float(value.as_py()))
    if at.is_decimal(type_):
        return decimal_text(value.as_py(), field)
    if at.is_timestamp(type_):
        return _plain_time(value.value, type_.unit, field)
    if at.is_time(type_):
        return re.sub(_NANOS, r"\1", value.cast(pa.string()).as_py())
    return str(value.cast(pa.string()).as_py()) if at.is_date(type_) else str(value.as_py())


def _plain_time(count: int, unit: str, field: FieldSpec) -> str:
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    seconds, fraction = divmod(count, 10**digits)
    try:
        text = f"{datetime(1970, 1, 1) + timedelta(seconds=seconds)}"
    except OverflowError:  # it is in no year that a date may have
        return f"{pa.scalar(count, pa.timestamp(unit)).cast(pa.string()).as_py()}Z"
    if field.type == "date" and text.endswith(" 00:00:00") and not fraction:
        return text[:10]
    if unit == "ns" and fraction % 1000 == 0:
        digits, fraction = 6, fraction // 1000
    return f"{text}.{fraction:0{digits}}Z" if digits else f"{text}Z"
