"""What the pipeline made of a file, as it is published: all that the source system's user may read of the lake."""

import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage import ObjectStore
from storage.layout import LOADS

COLUMNS = ["source_key", "etag", "status", "rows_rejected", "first_problem", "landed_at", "loaded_at"]
WAITING = "waiting"


class Fates:
    """The newest published fates; they are fetched again only when they changed."""

    def __init__(self, store: ObjectStore) -> None:
        """Read from `store`; one instance serves every visitor."""
        self._store, self._etag = store, ""
        self._fates: Mapping[tuple[str, str], str] = {}  # of the version of a file: by key and etag

    def of(self, key: str, etag: str) -> str:
        """Say what became of this version of a file, as far as `refresh` knows."""
        return self._fates.get((key, etag), WAITING)

    def refresh(self) -> None:
        """Look again; nothing readable there, or a store that is away, leaves what is known."""
        try:
            if self._store.stat(LOADS).etag != self._etag:
                with self._store.open(LOADS) as (info, stream):
                    rows = pq.read_table(io.BytesIO(stream.read()), columns=COLUMNS).to_pylist()
                self._fates, self._etag = {(row["source_key"], row["etag"]): _text(row) for row in rows}, info.etag
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
