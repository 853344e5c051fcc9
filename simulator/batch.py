"""Many files at once: what `python -m simulator batch` puts into the lake."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.progress import track

from simulator.datasets import companydata, orders
from simulator.outage import Outage
from storage import ObjectStore

DATASETS: dict[str, Callable[[int, int, int], bytes]] = {
    "orders": orders,
    "companydata": lambda seed, _, number: companydata(seed + number),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Which files a batch has."""

    dataset: str
    files: int
    rows: int
    seed: int

    @property
    def folder(self) -> str:
        """Give the batch's own folder: another seed overwrites nothing, the same seed writes the same again."""
        return f"raw/{self.dataset}/batch-{self.seed}/"

    def key(self, number: int) -> str:
        """Give the key of one file."""
        return f"{self.folder}{self.dataset}-{number:06d}.csv"

    def data(self, number: int) -> bytes:
        """Give the bytes of one file."""
        return DATASETS[self.dataset](self.seed, self.rows, number)


def plan(dataset: str, files: int, rows: int, seed: int | None) -> Plan:
    """Plan a batch; without a seed, one that was not there before."""
    return Plan(dataset, files, rows, random.SystemRandom().getrandbits(32) if seed is None else seed)


def put(store: ObjectStore, plan: Plan) -> str:
    """Put a batch's files, waiting for a store that is away, and say in one line what was put."""
    outage, never, size = Outage(store.url), threading.Event(), 0
    console = Console(stderr=True)
    for number in track(range(plan.files), plan.dataset, console=console, disable=not console.is_terminal):
        data = plan.data(number)
        outage.wait_for(partial(store.put, plan.key(number), data), never)
        size += len(data)
    return f"put {plan.files} files, {size} bytes, under {plan.folder} in {store.url}"
