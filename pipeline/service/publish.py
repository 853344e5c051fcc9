"""Write `published/`: the small objects that the pages read, each rewritten as a whole soon after a change."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.mended import RejectedLines
from pipeline.ledger.published import contents


@dataclass
class Publisher:
    """Writes the objects that the ledger yields, except those whose bytes are as it wrote them last."""

    store: ObjectStore
    ledger: Ledger
    datasets: Mapping[str, Dataset]
    _written: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep what is read of the rejects from one call to the next."""
        self._rejected = RejectedLines(lambda: self.store)

    def publish(self) -> None:
        """Write summaries, loads, and then the status: a reader that sees a load finds its rows in the summary."""
        for key, content in contents(self.ledger, self.datasets, self._rejected):
            if self._written.get(key) != content:
                self.store.put(key, content)
                self._written[key] = content
