"""`published/`: the few small objects that readers look at, rewritten soon after a change, each of them whole."""

import io
import json
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import report
from pipeline.ledger import Ledger
from pipeline.recipe import Dataset
from storage import ObjectStore
from storage.layout import LOADS, STATUS, summary_key


@dataclass
class Publisher:
    """Writes what the ledger tells, and leaves out what has not changed since it last wrote it."""

    store: ObjectStore
    ledger: Ledger
    datasets: dict[str, Dataset]
    _written: dict[str, bytes] = field(default_factory=dict)

    def publish(self) -> None:
        """Write summaries, loads, and then the status: whoever sees a load finds its rows in the summary."""
        for key, content in self._contents():
            if self._written.get(key) != content:
                self.store.put(key, content)
                self._written[key] = content

    def _contents(self) -> list[tuple[str, bytes]]:
        """Take all of it from one moment of the ledger."""
        with self.ledger.transaction("DEFERRED"):
            summaries = [(name, report.summary(self.ledger, dataset)) for name, dataset in self.datasets.items()]
            loads, status = report.loads(self.ledger), report.status(self.ledger)
        return [
            *((summary_key(name), _parquet(table)) for name, table in summaries),
            (LOADS, _parquet(loads)),
            (STATUS, json.dumps(status, indent=1).encode()),
        ]


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
