"""Small CSVs of the shipped datasets, as many as asked for, and when a pipeline has loaded them."""

import json
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from lake.stores import open_store
from simulator.datasets import COMPANYDATA, DEPARTMENTS, MONTHS, STORES, orders

ROWS = 1_000  # of each file
DIFFERENT = 40  # files; the others are copies of them under other names
PUTTERS = 4  # threads of the producer


@dataclass(frozen=True)
class Dataset:
    """Files of one kind: the bytes of each by its number, and an integer and another column of the clean rows."""

    name: str
    body: Callable[[int], bytes]
    columns: tuple[str, str]


def companydata(number: int) -> bytes:
    """Write a file as the workshop had it, with as many rows as the others."""
    rng = Random(number)
    names = (",".join(rng.choice(one) for one in (MONTHS, DEPARTMENTS, STORES)) for _ in range(ROWS))
    rows = (f"{name},{rng.randint(50, 290)},{rng.randint(0, 50)},{rng.randint(0, 100)}" for name in names)
    return "\n".join([",".join(COMPANYDATA), *rows, ""]).encode()


DATASETS: dict[str, Dataset] = {
    "companydata": Dataset("companydata", companydata, ("sold", "ordered")),
    "orders": Dataset("orders", lambda number: orders(1, ROWS, number), ("quantity", "total")),
}


def measured() -> Dataset:
    """Return the dataset that is measured, in this process and in those that it starts."""
    return DATASETS[os.environ["DATASET"]]


def put_files(url: str, files: int) -> None:
    """Put so many files as fast as it goes, and print when the first began."""
    store, dataset = open_store(url, os.environ), measured()
    bodies = [dataset.body(number) for number in range(min(DIFFERENT, files))]
    began = time.time()
    with ThreadPoolExecutor(PUTTERS) as pool:
        list(pool.map(lambda n: store.put(f"raw/{dataset.name}/{n:06d}.csv", bodies[n % DIFFERENT]), range(files)))
    print(json.dumps({"began": began, "ended": time.time(), "seconds": time.time() - began}))


def loaded(state: Path) -> tuple[int, float]:
    """Ask a ledger how many files are loaded, and when the last one was (seconds since 1970)."""
    with sqlite3.connect(f"file:{state / 'ledger.sqlite'}?mode=ro", uri=True, timeout=30) as db:
        [count] = db.execute("SELECT coalesce(sum(files), 0) FROM tally WHERE status = 'loaded'").fetchone()
        [last] = db.execute("SELECT coalesce(max(loaded_at), 0) / 1e6 FROM history").fetchone()
    return count, last
