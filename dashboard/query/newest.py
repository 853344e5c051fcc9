"""The newest loads as they are published, for the rows that a table lacks."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dashboard.shared.objects import fetch
from lake.layout import LOADS
from lake.schemas import METADATA_KEY
from lake.stores.base import ObjectStore


@dataclass(frozen=True)
class Reached:
    """Progress of a table: its position, how many `files` have later results, and how many are of an older contract."""

    position: int
    files: int
    stale: int


@dataclass(frozen=True)
class Newest:
    """The newest loads as published, with the positions that the ledger of this id gave their results.

    `tables` has by the prefix of each table how far it was.
    """

    ledger: str
    tables: Mapping[str, Reached]
    loads: pa.Table

    def after(self, dataset: str, position: int) -> list[str]:
        """Return the sources of a dataset whose results come after a position, as far as they are among the newest."""
        newer = pc.and_(pc.equal(self.loads["dataset"], dataset), pc.greater(self.loads["position"], position))
        keys: list[str] = self.loads["source_key"].filter(newer).to_pylist()
        return keys


def newest_loads(store: ObjectStore) -> Newest | None:
    """Return the newest loads; None if there are none, or not in the form in which this version publishes them."""
    try:
        file = pq.ParquetFile(io.BytesIO(fetch(store, LOADS)[1]))
        described = json.loads((file.schema_arrow.metadata or {})[METADATA_KEY])
        tables = {}
        for prefix, table in described["tables"].items():
            tables[prefix] = Reached(table["position"], table["files"], table["stale"])
        return Newest(described["ledger"], tables, file.read(["source_key", "dataset", "position"]))
    except (FileNotFoundError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None
