"""What the pipeline made of a file, as it is published: all that the source system's user may read of the lake."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow.parquet as pq

from storage import ObjectStore
from storage.layout import LOADS

COLUMNS = ["source_key", "etag", "status", "rows_rejected", "first_problem", "landed_at", "loaded_at"]
WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one version of a file."""

    etag: str
    text: str


class Fates:
    """The newest published fates; they are fetched again only when they changed."""

    def __init__(self, store: ObjectStore) -> None:
        """Read from `store`; one instance serves every visitor."""
        self._store, self._etag = store, ""
        self._fates: Mapping[str, Fate] = {}

    def of(self, key: str, etag: str) -> str:
        """Say what became of this version of a file, as far as `refresh` knows."""
        fate = self._fates.get(key)
        return fate.text if fate and fate.etag == etag else WAITING

    def refresh(self) -> None:
        """Look again; nothing published, or a store that is away, leaves what is known."""
        try:
            if self._store.stat(LOADS).etag != self._etag:
                with self._store.open(LOADS) as (info, stream):
                    self._fates, self._etag = read_fates(stream.read()), info.etag
        except OSError:
            pass


def read_fates(data: bytes) -> dict[str, Fate]:
    """Read `loads.parquet`."""
    rows = pq.read_table(io.BytesIO(data), columns=COLUMNS).to_pylist()
    return {row["source_key"]: Fate(row["etag"], _text(row)) for row in rows}


def _text(row: Mapping[str, object]) -> str:
    status, landed, loaded = row["status"], row["landed_at"], row["loaded_at"]
    if status == "pending":
        return WAITING
    if status != "loaded":
        return f"{status}: {row['first_problem']}"
    took = f" in {max(0, round((loaded - landed).total_seconds() * 1000)):,} ms" if landed and loaded else ""  # type: ignore[operator]
    return f"loaded{took}, {row['rows_rejected'] or 0:,} rejected"
