"""The parts of a running pipeline, and the signals between its threads."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import NamedTuple

from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.ledger import Ledger
from pipeline.service.executor import Cores


class Obstacle(NamedTuple):
    """Why nothing can be loaded: a word for the log while it stands, one for when it is over, and the reason."""

    said: str
    over: str
    reason: str


@dataclass(frozen=True)
class Full:
    """What had no room, and for which file first; `pause` is in seconds, `free` are bytes of the state folder."""

    obstacle: Obstacle
    key: str
    pause: float
    free: int


@dataclass
class Pipeline:
    """The parts of a running pipeline, and the signals between its threads."""

    store: ObjectStore
    ledger: Ledger
    datasets: dict[str, Dataset]
    staging: Path
    workers: int = 4
    sweep_seconds: float = 30.0
    retract_deleted: bool = False
    cores: Cores | None = None  # for small files
    pace: dict[str, float] = field(default_factory=dict)  # by dataset: seconds that a file took lately
    stop: Event = field(default_factory=Event)
    gap: Event = field(default_factory=Event)  # writes may have gone unseen: list
    wake: Event = field(default_factory=Event)  # there may be work, or room for it
    changed: Event = field(default_factory=Event)  # there is something to publish
    away: Event = field(default_factory=Event)  # nothing can be loaded now: see `outage.obstacle`
    full: Full | None = None  # a disk or a store had no room for a load
    started: Event = field(default_factory=Event)  # the first listing is done
    errors: list[BaseException] = field(default_factory=list)

    def give_up(self, error: BaseException) -> None:
        """End the program: a part that is broken must not leave the others to look alive."""
        self.errors.append(error)
        self.stop.set()
        self.wake.set()
