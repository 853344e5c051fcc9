"""Many files at once, as `python -m simulator batch` and `exam` put them into the lake."""

import logging
import random
from collections.abc import Iterable
from functools import partial

from rich.console import Console
from rich.progress import track

from common.retry import Backoff
from lake.layout import RAW
from lake.stores.base import ObjectStore
from simulator.datasets import DATASETS

log = logging.getLogger(__name__)


def put_batch(store: ObjectStore, dataset: str, files: int, rows: int, seed: int | None) -> str:
    """Put files of a dataset into a folder named by the seed, and return a summary line.

    The same seed writes the same files again; without a seed, the folder is new.
    """
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    folder = f"{RAW}{dataset}/batch-{seed}/"
    contents = (
        (f"{folder}{dataset}-{number:06d}.csv", DATASETS[dataset](seed, rows, number)) for number in range(files)
    )
    return f"put {files} files, {put_all(store, contents, files, dataset)} bytes, under {folder} in {store.url}"


def put_all(store: ObjectStore, files: Iterable[tuple[str, bytes]], count: int, what: str) -> int:
    """Put `count` objects, waiting while the store is unavailable, and return their bytes together."""
    backoff, size, console = Backoff(log, store=store.url), 0, Console(stderr=True)
    for key, data in track(files, what, count, console=console, disable=not console.is_terminal):
        backoff.retry(partial(store.put, key, data))
        size += len(data)
    return size
