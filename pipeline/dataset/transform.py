"""Good rows through a user's transform, as frames of pandas, and back."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dataset.columns import WrongColumn, exact_column, may_be_rounded
from pipeline.dataset.user_code import call_user_code
from pipeline.model.problem import LIST_LIMIT, Problem, Refused, shortened

Transform = Callable[[pd.DataFrame], pd.DataFrame]

_FAR = 1 << 40  # the first label of the index of rows of several files: no index that is made anew has it


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """Give rows as an Arrow-backed frame, which costs no copy and keeps integers and nulls what they are."""
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
    arrays = {name: series.array for name, series in frame.items()}
    types = {name: one.dtype.pyarrow_dtype for name, one in arrays.items() if isinstance(one.dtype, pd.ArrowDtype)}
    if len(arrays) < len(frame.columns):
        raise ValueError(f"Duplicate column names found: {list(frame.columns)}")
    if all(types.get(field.name) == field.type for field in schema):
        return pa.Table.from_pydict(arrays, schema)  # the other way looks at each column thrice
    if missing := [name for name in schema.names if name not in arrays]:
        raise KeyError(f"the column {missing[0]!r} is missing from what the transform returns")
    columns = [exact_column(field.name, frame[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def transformed(
    tables: Sequence[pa.Table], transform: Transform, schema: pa.Schema, *, rowwise: bool
) -> list[pa.Table | Refused]:
    """Run a transform over each table of good rows, or over all at once if it looks at each row alone.

    Args:
        schema: of the rows that come out, `_line` among them.

    Returns:
        What came of each, or why its file is refused: the transform failed, or did not keep to its rules.
    """
    if rowwise and len(tables) > 1 and (parts := _at_once(tables, transform, schema)):
        return parts
    return [_alone(rows, transform, schema) for rows in tables]


def _at_once(tables: Sequence[pa.Table], transform: Transform, schema: pa.Schema) -> list[pa.Table] | None:
    """Give None where it fails, or it is not clear which rows it kept: each alone will tell."""
    typed = pa.concat_tables(tables)
    frame = to_frame(typed)
    frame.index = pd.RangeIndex(_FAR, _FAR + len(frame))
    try:
        made = call_user_code(transform, frame)
        rows, places = from_frame(made, schema), _places(made.index)
        # A null, or a fraction, in one file makes floats of the integers of all.
        rounded = any(may_be_rounded(rows[name]) for name in rows.column_names if made[name].dtype == float)
        if rounded or not rows["_line"].equals(typed["_line"].take(places)):
            return None
    except Exception:
        return None
    edges = np.searchsorted(places, np.cumsum([0, *map(len, tables)]))
    return [rows.slice(start, stop - start) for start, stop in pairwise(edges)]


def _places(index: pd.Index) -> pa.Array:
    """Give the places of the rows that are left, if they have the index that they came with, in order."""
    places = index.to_numpy() - _FAR
    if index.name is not None or (np.diff(places) <= 0).any():
        raise ValueError("this is another index")
    return pa.array(places, pa.int64())


def _alone(typed: pa.Table, transform: Transform, schema: pa.Schema) -> pa.Table | Refused:
    try:
        rows = from_frame(call_user_code(transform, to_frame(typed)), schema)
        if not rows["_line"].equals(typed["_line"]):
            _check_lines(rows["_line"], typed["_line"])
    except WrongColumn as error:
        message = f"the transform made other values than its column has: {error}"
        return Refused(Problem("transform", message, column=error.column, value=error.value))
    except Exception as error:
        refusal = Refused(Problem("transform", f"the transform failed: {shortened(repr(error), LIST_LIMIT)}"))
        refusal.__cause__ = error
        return refusal
    return rows


def _check_lines(lines: pa.ChunkedArray, known: pa.ChunkedArray) -> None:
    unknown = pc.invert(pc.is_in(lines, value_set=known))
    if (np.diff(lines.to_numpy()) <= 0).any() or pc.any(unknown).as_py():
        raise ValueError("_line must stay an increasing part of the lines that came in")
