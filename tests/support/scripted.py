"""Lake whose events a test hands out by hand, before the real ledger, sweep, workers and publisher."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, BinaryIO

from lake.stores.base import Gap, ObjectInfo, ObjectStore
from pipeline.dataset.dataset import read_datasets
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reconcile import reconcile
from pipeline.service.context import Pipeline
from pipeline.service.executor import InlineExecutor
from pipeline.service.lease import acquire_lease
from pipeline.service.publish import Publisher
from pipeline.service.service import watch
from pipeline.service.workers import Workers
from tests.support.lake import Lake
from tests.support.project import DATASETS

Act = Callable[[], object]


@dataclass
class ScriptedStore:
    """Real store that tells of the writes in `events` alone; a test may act at certain moments of a call."""

    real: ObjectStore
    events: list[ObjectInfo | Gap] = field(default_factory=list)
    when_opened: dict[str, Act] = field(default_factory=dict)  # once the object of that key is open, not yet read
    when_listed: dict[str, Act] = field(default_factory=dict)  # once that prefix was listed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def watch(self, _prefix: str, _stop: Event) -> Iterator[ObjectInfo | Gap]:
        while self.events:
            yield self.events.pop(0)

    @contextmanager
    def open(self, key: str) -> Iterator[tuple[ObjectInfo, BinaryIO]]:
        with self.real.open(key) as opened:
            self.when_opened.pop(key, lambda: None)()
            yield opened

    def list(self, prefix: str = "", unread: set[str] | None = None) -> Iterator[ObjectInfo]:
        yield from list(self.real.list(prefix, unread))
        self.when_listed.pop(prefix, lambda: None)()


class Scripted:
    """The pipeline, one move at a time, as the test asks for them."""

    def __init__(self, lake: Lake) -> None:
        self.lake, self.store = lake, ScriptedStore(lake.store)
        self.gone: dict[str, bytes] = {}  # what was deleted, and keeps its rows
        (lake.state / "staging").mkdir(parents=True)
        datasets, staging = read_datasets(DATASETS), lake.state / "staging"
        executor = InlineExecutor(self.store, datasets, staging)
        ledger = Ledger(lake.state / "ledger.sqlite")
        self.pipeline = Pipeline(self.store, ledger, datasets, staging, executor, workers=0)
        self.ledger = self.pipeline.ledger
        acquire_lease(lake.store, self.ledger, self.pipeline.stop)
        self.ledger.start_run({name: dataset.fingerprint for name, dataset in datasets.items()})

    def put(self, content: bytes, name: str = "companydata/a.csv") -> ObjectInfo:
        """Put a version; give the event of it, which nobody has told of yet."""
        self.lake.put(name, content)
        return self.lake.store.stat(f"raw/{name}")

    def hear(self, *events: ObjectInfo) -> None:
        """Send events to the watcher."""
        self.store.events += events
        watch(self.pipeline)

    def sweep(self) -> int:
        return reconcile(self.store, self.ledger)

    def work(self) -> None:
        """Load until nothing waits."""
        with Workers(self.pipeline) as workers:
            while workers.start_next(wait=0) == "started":
                pass
        assert self.pipeline.errors == []

    def loads(self) -> int:
        """Count the loads that were ever committed."""
        [row] = self.ledger.rows("SELECT count(*) AS loads FROM history")
        return row["loads"]

    def status(self, name: str = "companydata/a.csv") -> str:
        [row] = self.ledger.rows("SELECT status FROM source WHERE source_key = ?", f"raw/{name}")
        return row["status"]

    def publish(self) -> None:
        """Publish, and leave the ledger to whoever reads it next."""
        Publisher(self.lake.store, self.ledger, self.pipeline.datasets).publish()
        self.ledger.close()
