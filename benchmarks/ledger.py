"""What a ledger with a million known objects costs: start, sweep, status and one load, beside one with a thousand.

    python -m benchmarks.ledger [--objects 1000000]

The rows are written with SQL in bulk. The lake is a folder that has one file, and lists a million made-up ones that
the ledger knows: so the seconds are the pipeline's own, and those that a store takes to list so many come on top.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.ledger import HISTORY_ROWS, Ledger
from pipeline.ownership import claim_lake
from pipeline.parts import Pipeline
from pipeline.publish import Publisher
from pipeline.recipe import read_datasets
from pipeline.report import status
from pipeline.sweep import sweep
from pipeline.worker import Workers
from storage import ObjectInfo
from storage.layout import CLEAN, RAW
from storage.local import LocalStore

FEW = 1_000
KEY = "raw/companydata/one.csv"
SHARE = json.dumps(
    [{"group": {"Dept": f"Dept {n}"}, "rows": 8, "sums": {"Sold": 1, "Returned": 1, "Ordered": 1}} for n in range(3)]
)
FILE = b"Month,Dept,Store,Sold,Returned,Ordered\n" + b"1-Jan,Dept 1,Store 1,3,2,1\n" * 24
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"
SOURCES = f"""
INSERT INTO source (source_key, dataset, status, etag, size, found_by, landed_at, noticed_at, started_at, changed_at,
    loaded_etag, loaded_at, recipe, rows_read, rows_kept, clean_etag, share, touched)
{NUMBERS} SELECT printf('raw/companydata/%07d.csv', i), 'companydata', 'loaded', printf('etag-%d', i), 700, 'event',
    1000000 * i, 1000000 * i, 1000000 * i, 1000000 * i, printf('etag-%d', i), 1000000 * i, ?, 24, 24,
    printf('clean-%d', i), ?, 0 FROM n
"""
HISTORY = f"""
INSERT INTO history (source_key, dataset, status, etag, found_by, rows_read, rows_kept, rows_dropped, rows_rejected,
    landed_at, loaded_at)
{NUMBERS} SELECT printf('raw/companydata/%07d.csv', i), 'companydata', 'loaded', printf('etag-%d', i), 'event', 24, 24,
    0, 0, 1000000 * i, 1000000 * i + 12000 FROM n
"""
SUMMARY = "INSERT INTO summary VALUES ('companydata', ?, ?, ?)"


class ManyObjects(LocalStore):
    """A folder that lists many objects which are not there, as the ledger knows them."""

    def __init__(self, root: Path, objects: int) -> None:
        super().__init__(root)
        self.objects = objects

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the made-up objects, then the real ones."""
        for number in range(self.objects):
            if prefix == RAW:
                yield ObjectInfo(f"raw/companydata/{number:07d}.csv", f"etag-{number}", 700, LONG_AGO)
            elif prefix == CLEAN:
                yield ObjectInfo(f"clean/companydata/{number:07d}.csv.parquet", f"clean-{number}", 900, LONG_AGO)
        yield from super().list(prefix)


def fill(path: Path, objects: int, recipe: str) -> None:
    """Write a ledger that knows so many loaded objects."""
    ledger = Ledger(path)
    with ledger.transaction() as db:
        db.execute(SOURCES, (objects, recipe, SHARE))
        db.execute(HISTORY, (min(objects, HISTORY_ROWS),))
        for n in range(3):
            sums = json.dumps(dict.fromkeys(("Sold", "Returned", "Ordered"), str(objects)))
            db.execute(SUMMARY, (json.dumps({"Dept": f"Dept {n}"}), 8 * objects, sums))
    ledger.close()


def measure(folder: Path, objects: int) -> dict[str, Any]:
    """Do each thing once in this process; give seconds and the peak of memory so far."""
    store, datasets, told = ManyObjects(folder / "lake", objects), read_datasets(), {}

    def timed(name: str, act: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = act()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)
        told[name] = {"seconds": time.perf_counter() - began, "mib": peak}
        return result

    def start() -> Ledger:
        ledger = Ledger(folder / "ledger.sqlite")
        claim_lake(store, ledger, Event())
        ledger.begin({name: dataset.recipe for name, dataset in datasets.items()})
        return ledger

    timed("nothing yet", lambda: None)
    ledger = timed("start", start)
    pipeline = Pipeline(store, ledger, datasets, folder / "staging", workers=0)
    publisher = Publisher(store, ledger, datasets)
    assert timed("sweep", lambda: sweep(store, ledger)) == 0, "it was to know all that is listed"
    assert timed("status", lambda: status(ledger))["files"]["loaded"] == objects
    timed("publish", publisher.publish)
    store.put(KEY, FILE)

    def load() -> None:
        ledger.notice(store.stat(KEY), "event")
        with Workers(pipeline) as workers:
            assert workers.start_next(0) == "started"
        publisher.publish()

    timed("one load, published", load)
    timed("one more", lambda: (store.put(KEY, FILE + b"\n"), load()))
    assert status(ledger)["files"]["loaded"] == objects + 1
    ledger.close()
    return told


def run(objects: int) -> dict[str, Any]:
    """Fill a ledger, and measure in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "staging").mkdir()
        began = time.perf_counter()
        fill(Path(folder) / "ledger.sqlite", objects, read_datasets()["companydata"].recipe)
        filled = time.perf_counter() - began
        size = (Path(folder) / "ledger.sqlite").stat().st_size / (1 << 20)
        print(f"{objects:,} objects: a ledger of {size:,.0f} MiB, made in {filled:.0f} s", file=sys.stderr)
        command = [sys.executable, "-m", "benchmarks.ledger", "--one", folder, "--objects", str(objects)]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    """Compare, or measure one and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(Path(arguments.one), arguments.objects)))
        return
    few, many = run(FEW), run(arguments.objects)
    shown = Table("", f"{FEW:,} objects: s", "peak MiB", f"{arguments.objects:,} objects: s", "peak MiB")
    for name in few:
        cells = [f"{one[name][key]:,.{digits}f}" for one in (few, many) for key, digits in (("seconds", 3), ("mib", 0))]
        shown.add_row(name, *cells)
    Console(width=None if sys.stdout.isatty() else 120).print(shown)


if __name__ == "__main__":
    main()
