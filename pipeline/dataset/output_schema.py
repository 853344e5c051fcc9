"""Find the columns that a transform returns, and their types: declared, or learnt from example rows, never guessed."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from decimal import Decimal
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.errors import SettingError
from common.messages import LIST_LIMIT, shortened
from pipeline.dataset.columns import WORDS, WrongColumn, exact_column, fits, own_column
from pipeline.dataset.transform import Transform, to_frame
from pipeline.dataset.user_code import call_user_code
from pipeline.model.contract import Contract
from pipeline.model.field import TYPES, FieldSpec
from pipeline.readers.base import batch_schema
from pipeline.readers.cells import validate

EXAMPLES = 3  # rows

# What looks like text comes first; the others may match a pattern.
_TEXTS = (
    *("a", "B c", "Straße", "A-1", "AB", "ABC", "AB-123", "AB123", "a@example.org", "https://example.org"),
    *("1", "12", "123", "1234", "12345", "123456", "2026-01", "2026-01-31", "12:30", "+49 30 123456"),
)
_CELLS = {
    "integer": ("1", "2", "3", "10", "100", "1000"),
    "number": ("0.5", "1.25", "2.75", "10.5", "100.5", "1000.5"),
    "boolean": ("true", "false"),
    "date": ("2026-01-31", "2026-02-28", "2026-12-01"),
    "datetime": ("2026-01-31T23:59:59.5Z", "2026-02-28T00:00:00Z", "2026-12-01T12:30:00Z"),
    "time": ("00:00:00", "12:30:00", "23:59:59.5"),
    "year": ("2024", "2025", "2026"),
    "yearmonth": ("2026-01", "2026-02", "2026-12"),
    "duration": ("P1D", "PT12H", "P1Y2M"),
    "object": ("{}", '{"a": 1}', '{"a": 1, "b": 2, "c": 3}'),
    "array": ("[]", "[1]", "[1, 2, 3]"),
    "any": ("a", "1", "2026-01-31"),
}
_DECIMALS = ("1", "2", "3", "0.5", "0.25", "0")  # with as few digits as such a number may have
_POINTS = {
    "default": ("90.5, 45.5", "0, 0"),
    "array": ("[90.5, 45.5]", "[0, 0]"),
    "object": ('{"lon": 90.5, "lat": 45.5}', '{"lon": 0, "lat": 0}'),
}


def output_schema(script: Path, transform: Transform, contract: Contract, declared: Mapping[str, Any]) -> pa.Schema:
    """Learn the columns of a transform's rows, `_line` left out.

    The transform is called with an empty frame, for their names, and with example rows, for their types.

    Args:
        script: the file of the transform, for messages.
        declared: its `TYPES`, by column: one of the contract's words, or an Arrow type.

    Raises:
        SettingError: the transform fails, or a column's type is not known, or cannot be kept in Parquet.
    """
    empty = _columns(script, "an empty frame", transform, to_frame(batch_schema(contract).empty_table()))
    if "_line" not in empty:
        raise SettingError(f"{script}: transform lost the column _line: it must stay, one number per row")
    for name in declared:
        if name not in empty or name == "_line":
            raise SettingError(f"{script}: TYPES names {name!r}: expected a column that transform returns")
    del empty["_line"]
    return pa.schema(_fields(script, transform, contract, declared, empty))


def _fields(
    script: Path, transform: Transform, contract: Contract, declared: Mapping[str, Any], empty: Mapping[str, pd.Series]
) -> Iterator[pa.Field]:
    """Yield each column of the rows with its type: as declared, or as the example rows have it."""
    try:
        examples = _columns(script, "example rows", partial(_unwatched, transform), to_frame(example_rows(contract)))
        why = "the example rows, which are made from the contract, have no value there"
    except SettingError as error:
        examples, why = {}, str(error).removeprefix(f"{script}: ")
    known = dict(zip(contract.schema.names, contract.schema.types, strict=True))
    for name in empty:
        if name in declared:
            type_ = _declared(script, name, declared[name], examples.get(name))
        else:
            type_ = _learnt(name, empty[name], examples.get(name), known.get(name))
        if type_ is None:
            way_out = f"declare it beside the transform, such as TYPES = {{{name!r}: 'number'}}"
            raise SettingError(f"{script}: the type of column {name!r} cannot be learnt ({why}): {way_out}")
        yield _kept(script, pa.field(name, type_))


def _columns(script: Path, what: str, transform: Transform, frame: pd.DataFrame) -> dict[str, pd.Series]:
    try:
        result = call_user_code(transform, frame)
    except Exception as error:
        raise SettingError(f"{script}: transform failed on {what}: {shortened(repr(error), LIST_LIMIT)}") from error
    if not isinstance(result, pd.DataFrame):
        raise SettingError(f"{script}: transform failed on {what}: expected a DataFrame, found {type(result).__name__}")
    columns = dict[str, pd.Series]()
    for name, column in result.items():
        if not isinstance(name, str):
            raise SettingError(f"{script}: transform names a column {name!r}: expected text")
        if name in columns:
            raise SettingError(f"{script}: transform returns the column {name!r} more than once")
        columns[name] = column
    return columns


def _unwatched(transform: Transform, frame: pd.DataFrame) -> pd.DataFrame:
    """Call a transform in a thread where no debugger stops: its user waits for the rows of a file."""
    outcome = Future[pd.DataFrame]()

    def call() -> None:
        try:
            outcome.set_result(call_user_code(transform, frame))
        except Exception as error:
            outcome.set_exception(error)

    thread = Thread(target=call, name="example rows", daemon=True)
    # As debugpy marks threads of its own.
    thread.pydev_do_not_trace = thread.is_pydev_daemon_thread = True  # type: ignore[attr-defined]
    thread.start()
    return outcome.result()


def _declared(script: Path, name: str, type_: Any, example: pd.Series | None) -> pa.DataType:
    declared = TYPES.get(type_) if isinstance(type_, str) else type_
    if not isinstance(declared, pa.DataType):
        takes = ", ".join(TYPES)
        raise SettingError(f"{script}: TYPES[{name!r}] is {type_!r}: expected one of {takes}, or a type of pyarrow")
    actual = None if example is None else _type_of(example)
    if actual is not None and not fits(actual, declared):
        word = WORDS.get(actual, actual)
        raise SettingError(f"{script}: TYPES[{name!r}] is {type_!r}, but transform makes {word}: change one of them")
    return declared


def _learnt(name: str, empty: pd.Series, example: pd.Series | None, contract: pa.DataType | None) -> pa.DataType | None:
    """Return the type of the example's values; without values, the type of a column that can have no other."""
    learnt = None if example is None else _type_of(example)
    if contract is not None and not isinstance(empty.dtype, pd.ArrowDtype):  # a field, written anew with plain values
        try:
            exact_column(name, empty if example is None else example, contract)
        except WrongColumn:
            return learnt
        return contract
    return learnt or next((own_column(one).type for one in (example, empty) if one is not None and _is_sure(one)), None)


def _type_of(column: pd.Series) -> pa.DataType | None:
    """Return the type of a column's values; None where there are none, or they do not tell."""
    if isinstance(column.dtype, pd.ArrowDtype):
        type_ = column.dtype.pyarrow_dtype
        type_ = type_.value_type if pa.types.is_dictionary(type_) else type_
        return type_ if column.notna().any() and "null" not in str(type_) else None
    try:
        array = own_column(column.dropna())
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    if not len(array) or "null" in str(array.type) or pa.types.is_decimal(array.type):
        return None  # the digits of decimals are those of the examples
    return pa.string() if pa.types.is_large_string(array.type) else array.type


def _is_sure(column: pd.Series) -> bool:
    """Return whether a column without values has its type all the same: these are what an empty list becomes."""
    type_ = column.dtype
    if isinstance(type_, pd.ArrowDtype):
        return not pa.types.is_null(type_.pyarrow_dtype)
    return not isinstance(type_, pd.CategoricalDtype) and type_ not in (float, object)


def _kept(script: Path, field: pa.Field) -> pa.Field:
    """Return a field if Parquet holds its type: not all of Arrow's, and those of pandas for pandas alone."""
    try:
        if isinstance(field.type, pa.BaseExtensionType):
            raise NotImplementedError
        pq.write_table(pa.table([pa.nulls(1, field.type)], pa.schema([field])), pa.BufferOutputStream())
    except (pa.ArrowException, NotImplementedError) as error:
        advice = f"convert it, such as frame[{field.name!r}].astype(str)"
        found = f"column {field.name!r} is {field.type}, which Parquet does not hold"
        raise SettingError(f"{script}: {found}: {advice}") from error
    return field


def example_rows(contract: Contract) -> pa.Table:
    """Return rows that a file of this contract may have, without nulls."""
    columns = [*map(_examples, contract.fields), *([pa.array(['{"a": "b"}'] * EXAMPLES)] if contract.more else [])]
    return pa.table([*columns, pa.array(range(2, 2 + EXAMPLES), pa.int64())], batch_schema(contract))


def _examples(field: FieldSpec) -> pa.Array:
    """Return values that meet a field's constraints; if none does, such as for a pattern, values of its type."""
    plain = field.plain.model_copy(update={"constraints": field.constraints})
    if field.type in ("list", "geopoint"):
        plain = field
    values, wrong = validate.check_column(pa.array(list(_cells(plain)), pa.string()), plain, frozenset())
    good = values.filter(pc.invert(wrong)).drop_null()
    if not len(good):
        good = values.drop_null()
    return pa.array(islice(cycle(good.to_pylist()), EXAMPLES), field.arrow_type)


def _cells(field: FieldSpec) -> Iterator[str]:
    """Yield cells that may meet a field's constraints."""
    checks = field.constraints
    if checks.enum:
        yield from (str(one).lower() if isinstance(one, bool) else str(one) for one in checks.enum)
    elif field.type == "string":
        low, high = checks.minLength or 0, checks.maxLength
        yield from ((one * max(1, -(-low // len(one))))[:high] for one in _TEXTS)
    elif field.type == "list":
        items = _TEXTS if field.itemType == "string" else _CELLS[field.itemType]
        yield from (field.delimiter.join(islice(cycle(items), count)) for count in range(1, 20))
    elif field.type == "geopoint":
        yield from _POINTS[field.format]
    else:
        yield from _CELLS[field.type]
        yield from _DECIMALS if field.decimal else ()
    yield from (str(one) for one in (checks.minimum, checks.maximum) if one is not None)
    if field.type in ("integer", "number", "year"):
        beside = ((checks.exclusiveMinimum, 1), (checks.exclusiveMaximum, -1))
        yield from (f"{Decimal(str(bound)) + step:f}" for bound, step in beside if bound is not None)
