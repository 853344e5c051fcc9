"""`published/`: the few small objects that readers look at, rewritten soon after a change, each of them whole."""

import io
import json
import logging
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import report
from pipeline.ledger import Ledger
from pipeline.recipe import Dataset
from storage import ObjectStore
from storage.layout import LOADS, STATUS, summary_key

log = logging.getLogger(__name__)


@dataclass
class Publisher:
    """Writes what the ledger tells, and leaves out what has not changed since it last wrote it."""

    store: ObjectStore
    ledger: Ledger
    datasets: dict[str, Dataset]
    _written: dict[str, bytes] = field(default_factory=dict)

    def publish(self) -> None:
        """Write summaries and loads, then the status: whoever sees the status finds what it speaks of."""
        for name, dataset in self.datasets.items():
            self._put(summary_key(name), _parquet(report.summary(self.ledger, dataset)))
        self._put(LOADS, _parquet(report.loads(self.ledger)))
        self._put(STATUS, json.dumps(report.status(self.ledger), indent=1).encode())

    def _put(self, key: str, content: bytes) -> None:
        if self._written.get(key) != content:
            self.store.put(key, content)
            self._written[key] = content


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
