"""The objects under `published/`, read from the store."""

import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.shared.file_format import UNKNOWN, Format, read_format
from dashboard.shared.objects import fetch
from dashboard.shared.problem_counts import Counts, count_problems
from dashboard.shared.rejected import Problems, Rejected
from lake.layout import LOADS, STATUS, summary_key
from lake.schemas import LOADS_SCHEMA, METADATA_KEY
from lake.status import Status
from lake.stores.base import InvalidKey, ObjectInfo, ObjectStore

MAX_KEPT = 8  # summaries by fewer groups that are kept

_MENDED = ("rows_mended", "mended")  # columns that an older pipeline does not publish
_UNUSED = ("size", "problems", "position")
_LOAD_TYPES = {field.name: field.type for field in LOADS_SCHEMA if field.name not in _UNUSED}

T = TypeVar("T")


class UnreadableError(ValueError):
    """Raised for a published object that a pipeline of this version would not write; the message names it."""


@dataclass(frozen=True)
class Summary:
    """Row counts and sums of a dataset by group: `frame` has `groups`, then `rows` and `measures`."""

    frame: pd.DataFrame
    groups: list[str]
    measures: list[str]
    updated_at: datetime
    format: Format = UNKNOWN  # of the dataset's files
    _by: dict[tuple[str, ...], "Summary"] = field(default_factory=dict, compare=False)  # a page is drawn twice a second

    def by(self, groups: list[str]) -> "Summary":
        """Return the summary by fewer `groups`, in their order; its sums are exact (see `sums_of`)."""
        if groups == self.groups:
            return self
        key = (*groups, "", *self.measures)
        if key not in self._by:
            if len(self._by) >= MAX_KEPT:
                self._by.clear()
            self._by[key] = self._added_up(groups)
        return self._by[key]

    def _added_up(self, groups: list[str]) -> "Summary":
        members = _members(self.frame, groups)
        firsts = self.frame.iloc[[rows[0] for rows in members]][groups].reset_index(drop=True)
        sums = {name: sums_of(self.frame[name], members) for name in [*self.measures, "rows"]}
        return replace(self, frame=firsts.assign(**sums), groups=groups, _by={})


def _members(frame: pd.DataFrame, groups: list[str]) -> list[npt.NDArray[np.intp]]:
    """Return the row numbers of each group, the groups in order."""
    if frame.empty or not groups:
        return [np.arange(len(frame))] if len(frame) else []
    numbers = frame.groupby(groups, dropna=False).ngroup().to_numpy()
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)


def sums_of(column: "pd.Series[Any]", members: list[npt.NDArray[np.intp]]) -> "pd.Series[Any]":
    """Return the sum of a column over each group of rows: exact for integers and decimals, rounded once for floats."""
    values = np.array([None if value is pd.NA else value for value in column.tolist()], object)
    sums = [_sum(values[rows].tolist()) for rows in members]
    if any(isinstance(total, int) and not -(2**63) <= total < 2**63 for total in sums):
        return pd.Series(sums, dtype=object)
    if any(isinstance(total, Decimal) for total in sums):
        return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(sums)))
    array = pa.array(sums, pa.float64() if any(isinstance(total, float) for total in sums) else pa.int64())
    return pd.Series(pd.arrays.ArrowExtensionArray(array))  # keeps NaN, which is not null


def _sum(values: list[Any]) -> Any:
    """Return an exact sum; None if a value is null (a sum beyond 64 bits) or no float can hold the sum."""
    if any(value is None for value in values):
        return None
    if all(isinstance(value, int) for value in values):
        return sum(values)
    if all(isinstance(value, Decimal) for value in values):
        with localcontext(prec=76):  # without which a sum has 28 digits
            return sum(values)
    if not all(map(math.isfinite, values)):
        return float(sum(values))  # infinite or NaN, whatever the other values are
    try:
        return float(sum(map(Fraction, values)))
    except OverflowError:
        return None


class Published:
    """Reader of the published objects; an object is fetched again only if its etag changed."""

    def __init__(self, store: ObjectStore) -> None:
        """Read from `store`; one instance serves every visitor."""
        self.store = store
        self._known: dict[str, tuple[str, Any]] = {}
        self._rejected = Rejected(store)

    def status(self) -> Status | None:
        """Return the pipeline's status; None if nothing is published yet."""
        return self._latest(STATUS, lambda data, _: Status.model_validate_json(data))

    def loads(self) -> pd.DataFrame | None:
        """Return the newest loads, the latest first; None if no load is published yet."""
        parsed = self._loads()
        return parsed and parsed[0]

    def counts(self) -> Counts | None:
        """Return how many problems the newest loads have; None if no load is published yet."""
        parsed = self._loads()
        return parsed and parsed[1]

    def _loads(self) -> tuple[pd.DataFrame, Counts] | None:
        return self._latest(LOADS, lambda data, _: parse_loads(data))

    def problems(self) -> Problems | None:
        """Return the problems of the newest files; None if no load is published yet."""
        loads = self.loads()
        return None if loads is None or loads.empty else self._rejected.newest(loads)

    def summary(self, dataset: str) -> Summary | None:
        """Return a dataset's summary; None if it has no summary yet, or a name that no object can have."""
        try:
            return self._latest(summary_key(dataset), parse_summary)
        except InvalidKey:
            return None

    def _latest(self, key: str, parse: Callable[[bytes, ObjectInfo], T]) -> T | None:
        try:
            if self._known.get(key, ("",))[0] != self.store.stat(key).etag:
                info, data = fetch(self.store, key)
                self._known[key] = (info.etag, _parsed(parse, data, info))
        except FileNotFoundError:
            self._known.pop(key, None)
            return None
        value: T = self._known[key][1]
        return value


# For `st.cache_data`: what was read from the same store is the same.
BY_URL: dict[str | type, Callable[[Any], str]] = {Published: lambda published: published.store.url}


def _parsed(parse: Callable[[bytes, ObjectInfo], T], data: bytes, info: ObjectInfo) -> T:
    try:
        return parse(data, info)
    except Exception as error:  # the store has answered, so this is a fault of the object
        reason = f"{' '.join(str(error).split()):.200}"
        raise UnreadableError(f"{info.key} is not what this version of the pipeline publishes: {reason}") from error


def parse_loads(data: bytes) -> tuple[pd.DataFrame, Counts]:
    """Return the loads of `loads.parquet`, the latest first, with milliseconds from landed to loaded; and counts."""
    table = _typed(pq.read_table(io.BytesIO(data)))
    frame = _frame(table)
    latest = frame["loaded_at"].fillna(frame["started_at"]).fillna(frame["noticed_at"])
    waited = (frame["loaded_at"] - frame["landed_at"]).astype("duration[us][pyarrow]").astype("int64[pyarrow]")
    frame = frame.assign(latest=latest, milliseconds=(waited / 1000).clip(lower=0).round())
    frame = frame.sort_values("latest", ascending=False, kind="stable", ignore_index=True)[
        [*_LOAD_TYPES, "milliseconds", "latest"]
    ]
    return frame, count_problems(table)


def parse_summary(data: bytes, info: ObjectInfo) -> Summary:
    """Return the summary of a `summary.parquet`, sorted by its groups."""
    table = pq.read_table(io.BytesIO(data))
    groups, measures = _roles(table.schema)
    if len({*groups, *measures, "rows"}) < len(groups) + len(measures) + 1:
        raise ValueError("two columns have the same name")
    for name in (*measures, "rows"):
        if not _is_number(table.schema.field(name).type):
            raise TypeError(f"column {name} is {table.schema.field(name).type}: expected numbers")
    order: list[tuple[str, Literal["ascending", "descending"]]] = [(name, "ascending") for name in groups]
    table = (table.sort_by(order) if order else table).select([*groups, *measures, "rows"])
    return Summary(_frame(table), groups, measures, info.modified, read_format(_metadata(table.schema).get("file")))


def _metadata(schema: pa.Schema) -> dict[str, Any]:
    metadata: dict[str, Any] = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    return metadata


def _roles(schema: pa.Schema) -> tuple[list[str], list[str]]:
    if roles := _metadata(schema):
        return list(roles["groupBy"]), list(roles["sum"])
    groups = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    return groups, [name for name in schema.names if name not in groups and name != "rows"]


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _typed(loads: pa.Table) -> pa.Table:
    """Cast loads to the types that the pages need. Raises if a column is missing or cannot be cast."""
    for name, type_ in _LOAD_TYPES.items():
        if name in _MENDED and name not in loads.column_names:
            loads = loads.append_column(name, pa.nulls(len(loads), type_))
        loads = loads.set_column(loads.schema.get_field_index(name), name, loads[name].cast(type_))
        if name in ("source_key", "dataset", "status") and loads[name].null_count:
            raise ValueError(f"column {name} has no value in {loads[name].null_count} rows")
    return loads


def _frame(table: pa.Table) -> pd.DataFrame:
    # Arrow's own types keep 64-bit integers exact beside missing values.
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame
