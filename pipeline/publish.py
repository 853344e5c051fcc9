"""`published/`: the few small objects that readers look at, rewritten soon after a change, each of them whole."""

import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import report
from pipeline.database import LedgerError
from pipeline.ledger import Ledger
from pipeline.recipe import Dataset
from storage import ObjectStore
from storage.console import fields
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
        """Write summaries, loads, and then the status: whoever sees a load finds its rows in the summary."""
        for key, content in contents(self.ledger, self.datasets):
            if self._written.get(key) != content:
                self.store.put(key, content)
                self._written[key] = content


def contents(ledger: Ledger, datasets: Mapping[str, Dataset]) -> list[tuple[str, bytes]]:
    """Return every published object, all of one moment of the ledger; a summary that cannot be made is left out."""
    with ledger.transaction("DEFERRED"):
        summaries = [(name, _summary(ledger, name, dataset)) for name, dataset in datasets.items()]
        loads, status = report.loads(ledger), report.status(ledger)
    return [
        *((summary_key(name), content) for name, content in summaries if content),
        (LOADS, _parquet(loads)),
        (STATUS, json.dumps(status, indent=1).encode()),
    ]


def _summary(ledger: Ledger, name: str, dataset: Dataset) -> bytes | None:
    try:
        return _parquet(report.summary(ledger, dataset))
    except LedgerError:
        raise
    except Exception as error:  # a fault of ours, or a damaged share: the other datasets go on
        _log_unpublished(name, repr(error))
        return None


@cache
def _log_unpublished(dataset: str, error: str) -> None:
    """Log an error once, for a publisher comes back four times a second."""
    action = "correct the contract or the transform, and replay the dataset; `verify` names damage"
    log.error(fields("summary not published", dataset=dataset, error=error, action=action))


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
