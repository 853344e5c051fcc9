"""`published/`: the few small objects that readers look at, rewritten soon after a change, each of them whole."""

from dataclasses import dataclass, field

from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.published import contents


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
