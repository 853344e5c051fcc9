"""The outcome of each file, from the published loads: all that the simulator's user may read of the lake."""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.layout import LOADS
from lake.stores.base import ObjectStore

COLUMNS = ["source_key", "etag", "status", "rows_rejected", "first_problem", "landed_at", "loaded_at"]
WAITING, REPLACED = "waiting", "replaced by another version since"


class LoadStatus:
    """The newest published loads, read again only after they changed."""

    def __init__(self, store: ObjectStore) -> None:
        """Read from `store`. One instance serves every visitor."""
        self._store, self._etag = store, ""
        self._loads: Mapping[str, Mapping[str, Any]] = {}  # by key: of its newest version that the pipeline knows

    def of(self, key: str, etag: str, written_at: datetime) -> str:
        """Return the outcome of the version that was written at `written_at`, as of the last `refresh`."""
        load = self._loads.get(key)
        if load is None:
            return WAITING
        if load["etag"] == etag:
            return _text(load)
        return REPLACED if load["landed_at"] and load["landed_at"] > written_at else WAITING

    def refresh(self) -> None:
        """Read the loads again if they changed; an unavailable store or an unreadable object changes nothing."""
        try:
            if self._store.stat(LOADS).etag != self._etag:
                with self._store.open(LOADS) as (info, stream):
                    rows = pq.read_table(io.BytesIO(stream.read()), columns=COLUMNS).to_pylist()
                self._loads, self._etag = {row["source_key"]: row for row in rows}, info.etag
        except (OSError, pa.ArrowException):
            pass


def _text(row: Mapping[str, Any]) -> str:
    status, landed, loaded = row["status"], row["landed_at"], row["loaded_at"]
    if status == "pending":
        return WAITING
    if status != "loaded":
        return f"{status}: {row['first_problem']}"
    took = f" in {max(0, round((loaded - landed).total_seconds() * 1000)):,} ms" if landed and loaded else ""
    return f"loaded{took}, {row['rows_rejected'] or 0:,} rejected"
