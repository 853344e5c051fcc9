"""`published/`: the few small objects that readers look at, rewritten soon after a change, each of them whole."""

import io
import json
from collections.abc import Mapping
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
        for key, content in contents(self.ledger, self.datasets):
            if self._written.get(key) != content:
                self.store.put(key, content)
                self._written[key] = content


def contents(ledger: Ledger, datasets: Mapping[str, Dataset]) -> list[tuple[str, bytes]]:
    """Give every published object, all of one moment of the ledger."""
    with ledger.transaction("DEFERRED"):
        summaries = [(name, report.summary(ledger, dataset)) for name, dataset in datasets.items()]
        loads, status = report.loads(ledger), report.status(ledger)
    return [
        *((summary_key(name), _parquet(table)) for name, table in summaries),
        (LOADS, _parquet(loads)),
        (STATUS, json.dumps(status, indent=1).encode()),
    ]


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
