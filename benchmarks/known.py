"""One step of the pipeline with a ledger that knows so many objects: `growth.py` runs each in a process of its own.

    python -m benchmarks.known STEP FOLDER LAKE

FOLDER has the ledger. LAKE is the address of a store; or a number, and then the lake is a folder that lists so many
objects which are not there, as the ledger knows them: so the seconds are the pipeline's own.
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from lake.layout import CLEAN, RAW, REJECTED, clean_key, source_key, table_prefix
from lake.stores import open_store
from lake.stores.base import ObjectInfo, ObjectStore
from lake.stores.local import LocalStore
from pipeline.dataset.dataset import read_datasets
from pipeline.ledger.changes import Mark, write_mark
from pipeline.ledger.ledger import HISTORY_ROWS, Ledger
from pipeline.ledger.reconcile import reconcile
from pipeline.ledger.report import status
from pipeline.service.allocators import set_allocators
from pipeline.service.context import Pipeline
from pipeline.service.executor import InlineExecutor
from pipeline.service.lease import acquire_lease
from pipeline.service.publish import Publisher
from pipeline.service.workers import process
from tests.support.project import DATASETS

LOADS = 60  # of which the median is taken
PUTS = 16  # at a time
FILE = b"Month,Dept,Store,Sold,Returned,Ordered\n" + b"1-Jan,Dept 1,Store 1,3,2,1\n" * 24
SHARE = json.dumps(
    [{"group": {"Dept": f"Dept {n}"}, "rows": 8, "sums": {"Sold": 1, "Returned": 1, "Ordered": 1}} for n in range(3)]
)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"
SOURCES = f"""
INSERT INTO source (source_key, dataset, status, etag, size, found_by, landed_at, noticed_at, started_at, changed_at,
    loaded_etag, loaded_at, fingerprint, rows_read, rows_kept, clean_etag, share, touched, position, first_position,
    attempts, outputs_known)
{NUMBERS} SELECT printf('raw/companydata/%08d.csv', i), 'companydata', 'loaded', printf('%032x', 2 * i), 700, 'event',
    1000000 * i, 1000000 * i, 1000000 * i, 1000000 * i, printf('%032x', 2 * i), 1000000 * i, ?, 24, 24,
    printf('%032x', 2 * i + 1), ?, 0, i + 1, i + 1, 1, 1 FROM n
"""
HISTORY = f"""
INSERT INTO history (source_key, dataset, status, etag, found_by, rows_read, rows_kept, rows_dropped, rows_rejected,
    landed_at, loaded_at)
{NUMBERS} SELECT printf('raw/companydata/%08d.csv', i), 'companydata', 'loaded', printf('%032x', 2 * i), 'event', 24,
    24, 0, 0, 1000000 * i, 1000000 * i + 12000 FROM n
"""
SUMMARY = "INSERT INTO summary VALUES ('companydata', ?, ?, ?)"


class ManyObjects(LocalStore):
    """Store in a folder that lists many objects that do not exist, as the ledger knows them, and those that exist."""

    def __init__(self, root: Path, objects: int) -> None:
        super().__init__(root)
        self.objects = objects

    def list(self, prefix: str = "", unread: set[str] | None = None) -> Iterator[ObjectInfo]:
        """Yield the made-up objects, then the real ones."""
        for number in range(self.objects):
            if prefix == RAW:
                yield ObjectInfo(key_of(number), etag(2 * number), 700, LONG_AGO)
            elif prefix == CLEAN:
                yield ObjectInfo(clean_key(key_of(number)), etag(2 * number + 1), 900, LONG_AGO)
        yield from super().list(prefix, unread)


def key_of(number: int) -> str:
    """Return the key of a made-up source."""
    return f"raw/companydata/{number:08d}.csv"


def etag(number: int) -> str:
    """Return an etag of the length that a bucket's have."""
    return f"{number:032x}"


def fill(path: Path, objects: int) -> None:
    """Write a ledger that knows so many loaded objects, all of which the tables have."""
    ledger, fingerprint = Ledger(path), read_datasets(DATASETS)["companydata"].fingerprint
    with ledger.transaction() as db:
        db.execute(SOURCES, (objects, fingerprint, SHARE))
        db.execute("UPDATE results SET position = ?", (objects,))  # as the trigger counts them
        db.execute(HISTORY, (min(objects, HISTORY_ROWS),))
        for n in range(3):
            sums = json.dumps(dict.fromkeys(("Sold", "Returned", "Ordered"), str(objects)))
            db.execute(SUMMARY, (json.dumps({"Dept": f"Dept {n}"}), 8 * objects, sums))
    for outputs in (CLEAN, REJECTED):
        write_mark(ledger, table_prefix(outputs, "companydata"), Mark(objects, 0))
    ledger.close()


def populate(store: ObjectStore, objects: int, path: Path) -> None:
    """Put so many tiny objects below `raw/` and `clean/`, and write a ledger that knows them as they are listed."""
    with ThreadPoolExecutor(PUTS) as pool:
        keys = [name(key_of(number)) for name in (str, clean_key) for number in range(objects)]
        for _ in pool.map(lambda key: store.put(key, b"x"), keys):
            pass
    fill(path, objects)
    ledger = Ledger(path)
    with ledger.transaction() as db:
        db.executemany(
            "UPDATE source SET etag = ?, loaded_etag = ? WHERE source_key = ?",
            ((item.etag, item.etag, item.key) for item in store.list(RAW)),
        )
        db.executemany(
            "UPDATE source SET clean_etag = ? WHERE source_key = ?",
            ((item.etag, source_key(item.key)) for item in store.list(CLEAN)),
        )
    ledger.close()


def clocked(act: Callable[[], object]) -> dict[str, float]:
    """Do it; give its seconds, and the processor seconds of all threads meanwhile."""
    began, used = time.perf_counter(), time.process_time()
    act()
    return {"seconds": time.perf_counter() - began, "own": time.process_time() - used}


def tell(told: Mapping[str, object]) -> None:
    """Print what was done as the last line, with the peak of this process's memory, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # bytes, on macOS
    if sys.platform == "linux":  # where a child begins with its parent's peak
        peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / (1 << 10)
    print(json.dumps({**told, "peak": peak}))


def start(pipeline: Pipeline) -> dict[str, float]:
    """Do with the ledger what a start does."""
    return clocked(lambda: _begin(pipeline))


def _begin(pipeline: Pipeline) -> None:
    acquire_lease(pipeline.store, pipeline.ledger, Event())
    pipeline.ledger.start_run({name: dataset.fingerprint for name, dataset in pipeline.datasets.items()})


def sweep_unchanged(pipeline: Pipeline) -> dict[str, float]:
    """Sweep, when nothing has changed; tell too how long a write to the ledger had to wait meanwhile."""
    done, waits, found = Event(), [0.0], []

    def write() -> None:
        beside = Ledger(pipeline.ledger.path)
        while not done.wait(0.005):
            waits.append(clocked(lambda: beside.set("beside", ""))["seconds"])
        beside.close()

    writer = Thread(target=write)
    writer.start()
    try:
        told = clocked(lambda: found.append(reconcile(pipeline.store, pipeline.ledger)))
    finally:
        done.set()
        writer.join()
    if found != [0]:
        raise ValueError(f"the sweep found {found}: nothing had changed")
    return told | {"waited": max(waits)}


def load(pipeline: Pipeline) -> dict[str, float]:
    """Load small files one by one, and publish after each; give the medians of one, apart."""
    keys = [f"raw/companydata/one-{number}.csv" for number in range(LOADS)]
    for key in keys:
        pipeline.store.put(key, FILE)
    time.sleep(0.05)  # until the last of them is final
    publisher, loaded, published = Publisher(pipeline.store, pipeline.ledger, pipeline.datasets), [], []
    publisher.publish()
    for key in keys:
        loaded.append(clocked(lambda key=key: _load(pipeline, key)))
        published.append(clocked(publisher.publish))
    told = {name: statistics.median(one[name] for one in loaded) for name in loaded[0]}
    return told | {f"publish_{name}": statistics.median(one[name] for one in published) for name in published[0]}


def _load(pipeline: Pipeline, key: str) -> None:
    pipeline.ledger.notice(pipeline.store.stat(key), "event")
    tasks = pipeline.ledger.take()
    if [task.source_key for task in tasks] != [key]:
        raise ValueError(f"{key} was to be loaded next, not {tasks}")
    process(pipeline, tasks)


STEPS: dict[str, Callable[[Pipeline], dict[str, float]]] = {
    "start": start,
    "sweep": sweep_unchanged,
    "status": lambda pipeline: clocked(lambda: status(pipeline.ledger)),
    "publish": lambda pipeline: clocked(Publisher(pipeline.store, pipeline.ledger, pipeline.datasets).publish),
    "load": load,
}


def main() -> None:
    """Do one step, and print what it took as the last line."""
    set_allocators()
    step, folder, lake = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    store = ManyObjects(folder / "lake", int(lake)) if lake.isdigit() else open_store(lake, os.environ)
    datasets, staging = read_datasets(DATASETS), folder / "staging"
    executor = InlineExecutor(store, datasets, staging)
    pipeline = Pipeline(store, Ledger(folder / "ledger.sqlite"), datasets, staging, executor, workers=0)
    tell(STEPS[step](pipeline))


if __name__ == "__main__":
    main()
