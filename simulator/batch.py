"""Many files at once: what `python -m simulator batch` and `exam` put into the lake."""

import logging
import random
from collections.abc import Iterable
from functools import partial

from rich.console import Console
from rich.progress import track

from common.retry import Outage
from lake.layout import RAW
from lake.stores.base import ObjectStore
from simulator.datasets import DATASETS

log = logging.getLogger(__name__)


def put_batch(store: ObjectStore, dataset: str, files: int, rows: int, seed: int | None) -> str:
    """Put files of a dataset into a folder of the seed's own, and say in one line what was put.

    The same seed writes the same again; without one, it is a folder that was not there before.
    """
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    folder = f"{RAW}{dataset}/batch-{seed}/"
    made = ((f"{folder}{dataset}-{number:06d}.csv", DATASETS[dataset](seed, rows, number)) for number in range(files))
    return f"put {files} files, {put_all(store, made, files, dataset)} bytes, under {folder} in {store.url}"


def put_all(store: ObjectStore, made: Iterable[tuple[str, bytes]], count: int, what: str) -> int:
    """Put `count` objects, waiting for a store that is away; give the bytes in all of them."""
    outage, size, console = Outage(log, store=store.url), 0, Console(stderr=True)
    for key, data in track(made, what, count, console=console, disable=not console.is_terminal):
        outage.retry(partial(store.put, key, data))
        size += len(data)
    return size
