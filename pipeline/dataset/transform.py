"""Run a user's transform over good rows: to a pandas frame and back, without a change of any value."""

from collections.abc import Callable, Hashable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from common.messages import LIST_LIMIT, shortened
from pipeline.dataset.columns import WrongColumn, exact_column
from pipeline.dataset.user_code import call_user_code
from pipeline.model.problem import Problem, Refused

Transform = Callable[[pd.DataFrame], pd.DataFrame]


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """Convert rows to an Arrow-backed frame, without a copy; integers and nulls stay what they are."""
    frame = pd.DataFrame(dict(enumerate(map(pd.arrays.ArrowExtensionArray, rows.columns))), copy=False)
    frame.columns = _index(tuple(rows.column_names)).view()  # a transform may give its columns a name
    return frame


@cache
def _index(names: tuple[str, ...]) -> pd.Index:
    return pd.Index(names)  # which takes as long as all the rest of a small frame


def from_frame(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Convert a frame's columns of these names to these types, without a change of any value.

    Raises:
        KeyError: the frame lacks a column.
        WrongColumn: a column cannot be converted.
    """
    arrays, converted = dict[Hashable, Any](), True
    for name, column in frame.items():
        if name in arrays:
            raise ValueError(f"Duplicate column names found: {list(frame.columns)}")
        arrays[name] = column.array
    for field in schema:
        if field.name not in arrays:
            raise KeyError(f"the column {field.name!r} is missing from what the transform returns")
        dtype = arrays[field.name].dtype
        converted = converted and isinstance(dtype, pd.ArrowDtype) and dtype.pyarrow_dtype == field.type
    if converted:
        return pa.Table.from_pydict(arrays, schema)  # the other way looks at each column three times
    columns = [exact_column(field.name, frame[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def apply_transform(rows: pa.Table, transform: Transform, schema: pa.Schema) -> pa.Table:
    """Run a transform over a batch of good rows.

    Args:
        schema: of the rows that it returns, `_line` among them.

    Raises:
        Refused: the transform failed, or broke its rules.
    """
    try:
        result = from_frame(call_user_code(transform, to_frame(rows)), schema)
        if not result["_line"].equals(rows["_line"]):
            _check_lines(result["_line"], rows["_line"])
    except WrongColumn as error:
        message = f"the transform made other values than its column has: {error}"
        raise Refused(Problem("transform", message, column=error.column, value=error.value)) from error
    except Exception as error:
        message = f"the transform failed: {shortened(repr(error), LIST_LIMIT)}"
        raise Refused(Problem("transform", message)) from error
    return result


def _check_lines(lines: pa.ChunkedArray, known: pa.ChunkedArray) -> None:
    unknown = pc.invert(pc.is_in(lines, value_set=known))
    if (np.diff(lines.to_numpy()) <= 0).any() or pc.any(unknown).as_py():
        raise ValueError("_line must stay an increasing part of the lines that came in")
