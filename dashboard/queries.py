"""What the pipeline published, read from the store."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.counts import Counts, count_problems
from dashboard.rejects import Problems, Rejected
from dashboard.status import Status
from storage import ObjectInfo, ObjectStore
from storage.layout import LOADS, STATUS, summary_key

LOAD_COLUMNS = [
    "source_key", "dataset", "status", "rows_read", "rows_kept", "rows_dropped", "rows_rejected", "milliseconds",
    "found_by", "first_problem", "landed_at", "noticed_at", "started_at", "loaded_at", "attempts", "stale", "etag",
    "latest",
]  # fmt: skip

T = TypeVar("T")


class UnreadableError(ValueError):
    """A published object is not what a pipeline of this version writes; the message names it."""


@dataclass(frozen=True)
class Summary:
    """A dataset's rows counted and summed by group: `frame` has `groups`, then `rows` and `measures`."""

    frame: pd.DataFrame
    groups: list[str]
    measures: list[str]
    updated_at: datetime

    def by(self, groups: list[str]) -> "Summary":
        """Add up to fewer `groups`; the order is theirs."""
        if groups == self.groups:
            return self
        numbers = [*self.measures, "rows"]
        one = pd.Series(0, self.frame.index)  # a group by, so that each column keeps its type
        frame = self.frame.groupby(groups or one, dropna=False)[numbers].sum().reset_index(drop=not groups)
        return replace(self, frame=frame, groups=groups)


class Published:
    """The newest version of each published object; one whose etag did not change is not fetched again."""

    def __init__(self, store: ObjectStore) -> None:
        """Read from `store`; one instance serves every visitor."""
        self.store = store
        self._known: dict[str, tuple[str, Any]] = {}
        self._rejected = Rejected(store)

    def status(self) -> Status | None:
        """Give the pipeline's status, `None` where nothing is published yet."""
        return self._latest(STATUS, lambda data, _: Status.model_validate_json(data))

    def loads(self) -> pd.DataFrame | None:
        """Give the newest loads, the latest first, `None` where none are published yet."""
        found = self._loads()
        return found and found[0]

    def counts(self) -> Counts | None:
        """Give how many problems the newest loads have, `None` where no load is published yet."""
        found = self._loads()
        return found and found[1]

    def _loads(self) -> tuple[pd.DataFrame, Counts] | None:
        return self._latest(LOADS, lambda data, _: parse_loads(data))

    def problems(self) -> Problems | None:
        """Give what is wrong with the newest files, `None` where no load is published yet."""
        loads = self.loads()
        return None if loads is None or loads.empty else self._rejected.newest(loads)

    def summary(self, dataset: str) -> Summary | None:
        """Give a dataset's summary, `None` where it has none yet."""
        return self._latest(summary_key(dataset), parse_summary)

    def _latest(self, key: str, parse: Callable[[bytes, ObjectInfo], T]) -> T | None:
        try:
            if self._known.get(key, ("",))[0] != self.store.stat(key).etag:
                with self.store.open(key) as (info, stream):
                    data = stream.read()
                self._known[key] = (info.etag, _parsed(parse, data, info))
        except FileNotFoundError:
            self._known.pop(key, None)
            return None
        value: T = self._known[key][1]
        return value


def _parsed(parse: Callable[[bytes, ObjectInfo], T], data: bytes, info: ObjectInfo) -> T:
    try:
        return parse(data, info)
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise UnreadableError(
            f"{info.key} is not what this version of the pipeline publishes: {reason:.200}"
        ) from error


def parse_loads(data: bytes) -> tuple[pd.DataFrame, Counts]:
    """Read `loads.parquet`: the loads, the latest first, with the milliseconds from landed to loaded; the problems."""
    table = pq.read_table(io.BytesIO(data))
    frame = _frame(table)
    latest = frame["loaded_at"].fillna(frame["started_at"]).fillna(frame["noticed_at"])
    waited = (frame["loaded_at"] - frame["landed_at"]).astype("duration[us][pyarrow]").astype("int64[pyarrow]")
    frame = frame.assign(latest=latest, milliseconds=(waited / 1000).clip(lower=0).round())
    frame = frame.sort_values("latest", ascending=False, kind="stable", ignore_index=True)[LOAD_COLUMNS]
    return frame, count_problems(table)


def parse_summary(data: bytes, info: ObjectInfo) -> Summary:
    """Read a `summary.parquet`, sorted by its groups."""
    table = pq.read_table(io.BytesIO(data))
    groups, measures = _roles(table.schema)
    order: list[tuple[str, Literal["ascending", "descending"]]] = [(name, "ascending") for name in groups]
    table = (table.sort_by(order) if order else table).select([*groups, *measures, "rows"])
    return Summary(_frame(table), groups, measures, info.modified)


def _roles(schema: pa.Schema) -> tuple[list[str], list[str]]:
    described = (schema.metadata or {}).get(b"lakelet")
    if described:
        roles = json.loads(described)
        return list(roles["groupBy"]), list(roles["sum"])
    groups = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    return groups, [name for name in schema.names if name not in groups and name != "rows"]


def _frame(table: pa.Table) -> pd.DataFrame:
    # Arrow's own types keep 64-bit integers exact beside missing values.
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame
