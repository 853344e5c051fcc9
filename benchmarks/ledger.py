"""One part of the ledger's work where it knows so many objects: `growth.py --ledger` runs each in its own process.

    python -m benchmarks.ledger STEP FOLDER OBJECTS

FOLDER has the ledger. Listings are made up, so that no store is measured.
"""

import random
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from threading import Event, Thread

from benchmarks.known import LONG_AGO, ManyObjects, clocked, etag, key_of, tell
from lake.stores.base import ObjectInfo
from pipeline.dataset.dataset import read_datasets
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.published import contents
from pipeline.ledger.reconcile import reconcile
from pipeline.ledger.report import status
from pipeline.ledger.task_queue import TOGETHER
from pipeline.model.load_record import LoadRecord
from pipeline.model.task import Result, Task
from pipeline.service.allocators import set_allocators
from tests.support.project import DATASETS

NAME = "companydata"
BATCHES = 60  # of which the median is taken
TIMES = 15  # that something short is done, of which the median is taken
SHARES = [
    {"group": {"Dept": f"Dept {n}"}, "rows": 8, "sums": {"Sold": 1, "Returned": 1, "Ordered": 1}} for n in range(3)
]
PACE = {NAME: 0.001}  # seconds a file: so that a batch has as many as are taken together
Figures = dict[str, float]


def fill_empty(ledger: Ledger, objects: int) -> Figures:
    """Reconcile a ledger that knows nothing with so many objects: a first start, or one after the ledger was lost."""
    path = ledger.path.with_name("first.sqlite")
    ledger.close()
    with closing(Ledger(path)) as first:
        figures = _beside_writes(first, objects, expected=objects)
        takes = [clocked(lambda: first.take(1, PACE))["seconds"] for _ in range(BATCHES)]
        figures |= {"take": median(takes), "status": _often(lambda: status(first))["seconds"]}
    for file in path.parent.glob("first.sqlite*"):
        file.unlink()
    return figures


def sweep(ledger: Ledger, objects: int) -> Figures:
    """Reconcile when nothing has changed."""
    return _beside_writes(ledger, objects, expected=0)


def _beside_writes(ledger: Ledger, objects: int, expected: int) -> Figures:
    """Reconcile, and return beside its seconds how long a file's notice had to wait meanwhile, at most."""
    store, ended, waits = ManyObjects(ledger.path.parent / "lake", objects), Event(), [0.0]

    def notice() -> None:
        beside = Ledger(ledger.path)
        while not ended.wait(0.005):
            waits.append(_waited(beside, ObjectInfo(key_of(0), etag(0), 700, LONG_AGO)))
        beside.close()

    writer, found = Thread(target=notice), list[int]()
    writer.start()
    try:
        figures = clocked(lambda: found.append(reconcile(store, ledger)))
    finally:
        ended.set()
        writer.join()
    if found[0] not in {expected, expected - 1}:  # the one that was noticed
        raise ValueError(f"the sweep found {found[0]:,}, expected {expected:,}")
    return figures | {"waited": max(waits)}


def _waited(ledger: Ledger, item: ObjectInfo) -> float:
    """Return the seconds that it took to notice a version, also where the ledger gave up waiting."""
    began = time.perf_counter()
    try:
        ledger.notice(item, "event")
    except sqlite3.OperationalError as error:
        print(f"notice: {error} after {time.perf_counter() - began:.1f} s", file=sys.stderr)
    return time.perf_counter() - began


def new_files(ledger: Ledger, objects: int) -> Figures:
    """Notice, take and commit files that the ledger does not know, a batch at a time."""
    return _batches(ledger, [key_of(objects + number) for number in range(BATCHES * TOGETHER)])


def changed_files(ledger: Ledger, objects: int) -> Figures:
    """Notice, take and commit new versions of files that the ledger knows, anywhere in it."""
    return _batches(ledger, list(map(key_of, random.sample(range(objects), BATCHES * TOGETHER))))


def _batches(ledger: Ledger, keys: list[str]) -> Figures:
    """Return the medians of a batch, in seconds: of one notice, of one take and of one commit."""
    fingerprint = read_datasets(DATASETS)[NAME].fingerprint
    figures: dict[str, list[float]] = {"notice": [], "take": [], "commit": []}
    used = time.process_time()
    for number in range(0, len(keys), TOGETHER):
        batch, tasks = keys[number : number + TOGETHER], list[Task]()
        for key in batch:
            item = ObjectInfo(key, etag(time.time_ns()), 700, LONG_AGO)
            figures["notice"].append(clocked(lambda item=item: ledger.notice(item, "event"))["seconds"])
        figures["take"].append(clocked(lambda tasks=tasks: tasks.extend(ledger.take(1, PACE)))["seconds"])
        if [task.source_key for task in tasks] != batch:
            raise ValueError(f"{batch} were to be taken, not {tasks}")
        results = {task: Result(record_of(task, fingerprint), etag(time.time_ns()), None) for task in tasks}
        figures["commit"].append(clocked(lambda results=results: ledger.commit(results))["seconds"])
    medians = {name: median(values) for name, values in figures.items()}
    own = (time.process_time() - used) / len(keys)
    return {"seconds": sum(map(sum, figures.values())), "own": own, **medians}


def record_of(task: Task, fingerprint: str) -> LoadRecord:
    """Return the record of a load of 24 rows."""
    counts = {"rows_read": 24, "rows_kept": 24}
    return LoadRecord(task.source_key, task.dataset, task.etag, 700, fingerprint, **counts, share=SHARES)


def _often(act: Callable[[], object]) -> Figures:
    """Return the median of the seconds of doing it again and again."""
    return {"seconds": median(clocked(act)["seconds"] for _ in range(TIMES))}


def start_run(ledger: Ledger, _objects: int) -> Figures:
    """Make ready for a run under the same contracts."""
    fingerprints = {name: dataset.fingerprint for name, dataset in read_datasets(DATASETS).items()}
    return clocked(lambda: ledger.start_run(fingerprints))


def published(ledger: Ledger, _objects: int) -> Figures:
    """Make the contents of `published/`."""
    datasets = read_datasets(DATASETS)
    return _often(lambda: contents(ledger, datasets, None))


# The sweeps first: the files of the last two are not in a listing that is made up.
STEPS: dict[str, Callable[[Ledger, int], Figures]] = {
    "sweep, all is new": fill_empty,
    "sweep, nothing changed": sweep,
    "status": lambda ledger, _: _often(lambda: status(ledger)),
    "contents of published/": published,
    "start_run": start_run,
    "check after an error": lambda ledger, _: clocked(ledger.check),
    "new files": new_files,
    "changed files": changed_files,
}


def main() -> None:
    """Do one step, and print what it took as the last line."""
    set_allocators()
    step, folder, objects = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    path = folder / "ledger.sqlite"
    size = path.stat().st_size / objects
    tell({**STEPS[step](Ledger(path), objects), "size": size})


if __name__ == "__main__":
    main()
