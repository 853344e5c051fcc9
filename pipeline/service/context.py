"""Collaborators and settings of a running pipeline, and the events that its threads wait on."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import NamedTuple

from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.ledger import Ledger
from pipeline.service.contracts import Contracts
from pipeline.service.executor import Executor


class Outage(NamedTuple):
    """Reason why nothing can be loaded now, with the log's events for the outage's start and end."""

    started: str
    ended: str
    reason: str


@dataclass(frozen=True)
class NoRoom:
    """Outage for lack of room, and the file that met it first; `pause` is in seconds.

    `free` are the bytes that the state folder's file system had left.
    """

    outage: Outage
    key: str
    pause: float
    free: int


@dataclass
class Pipeline:
    """Collaborators and settings of a running pipeline, and the events that its threads wait on."""

    store: ObjectStore
    ledger: Ledger
    datasets: dict[str, Dataset]
    staging: Path
    executor: Executor
    workers: int = 4
    sweep_seconds: float = 30.0
    retract_deleted: bool = False
    tables_seconds: float = 0.0  # between two commits to a table; 0: there are none
    tables_keep: int = 7  # days of a table's versions
    contracts: Contracts | None = None  # None: nobody looks whether they change
    pace: dict[str, float] = field(default_factory=dict)  # by dataset: seconds that the last batch took per file
    stop: Event = field(default_factory=Event)
    gap: Event = field(default_factory=Event)  # writes may have been missed: list
    wake: Event = field(default_factory=Event)  # there may be work, or room for it
    changed: Event = field(default_factory=Event)  # there is something to publish
    away: Event = field(default_factory=Event)  # nothing can be loaded now: see `availability.probe`
    back_at: float = -math.inf  # when an outage or a pause of it ended last, by the monotonic clock
    no_room: NoRoom | None = None  # a disk or the store had no room for a load
    started: Event = field(default_factory=Event)  # the first listing is done
    errors: list[BaseException] = field(default_factory=list)

    def end_outage(self) -> None:
        """Allow loads again."""
        self.back_at = time.monotonic()  # before `away` ends: who finds it ended compares the start of a load with this
        self.away.clear()

    def give_up(self, error: BaseException) -> None:
        """Stop the pipeline because of an error in one of its threads; `drain` and `follow` raise it at their end."""
        self.errors.append(error)
        self.stop.set()
        self.wake.set()
