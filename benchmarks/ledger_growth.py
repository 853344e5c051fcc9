"""The ledger's part as its rows grow: each figure absolute, and as a multiple of the same in the smallest ledger."""

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Row
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.known import etag, fill, key_of
from benchmarks.ledger import NAME, STEPS, record_of
from benchmarks.measure import Run, in_turns, median, save
from lake.stores.base import ObjectInfo
from pipeline.dataset.dataset import read_datasets
from pipeline.ledger.ledger import Ledger
from pipeline.model.task import Result
from tests.support.project import DATASETS

Runs = dict[str, list[Run]]
TIMES = {"noticed_at", "started_at", "changed_at", "loaded_at"}
COMMAND = (sys.executable, "-m", "benchmarks.ledger")

# What is shown of the ledger alone: its step, its figure, and the unit of it in seconds or bytes.
PARTS = {
    "bytes a row": ("new files", "size", 1.0),
    "notice a new file, ms": ("new files", "notice", 1e-3),
    "take 16 new files, ms": ("new files", "take", 1e-3),
    "commit 16 new files, ms": ("new files", "commit", 1e-3),
    "all three, CPU ms a file": ("new files", "own", 1e-3),
    "notice a changed file, ms": ("changed files", "notice", 1e-3),
    "take 16 changed files, ms": ("changed files", "take", 1e-3),
    "commit 16 changed files, ms": ("changed files", "commit", 1e-3),
    "all three, CPU ms a changed file": ("changed files", "own", 1e-3),
    "status, ms": ("status", "seconds", 1e-3),
    "contents of published/, ms": ("contents of published/", "seconds", 1e-3),
    "start_run, s": ("start_run", "seconds", 1.0),
    "check after an error, s": ("check after an error", "seconds", 1.0),
    "sweep, nothing changed: s": ("sweep, nothing changed", "seconds", 1.0),
    "sweep, nothing changed: CPU s": ("sweep, nothing changed", "own", 1.0),
    "sweep, nothing changed: peak MiB": ("sweep, nothing changed", "peak", 1.0),
    "sweep, nothing changed: a notice waits at most, s": ("sweep, nothing changed", "waited", 1.0),
    "sweep, all is new: s": ("sweep, all is new", "seconds", 1.0),
    "then, all is pending: take 16, ms": ("sweep, all is new", "take", 1e-3),
    "then, all is pending: status, ms": ("sweep, all is new", "status", 1e-3),
    "sweep, all is new: a notice waits at most, s": ("sweep, all is new", "waited", 1.0),
}


def measure_ledger(console: Console, folder: Path, sizes: Sequence[int]) -> None:
    """Measure ledgers of these sizes below a folder, print the figures, and save them."""
    _compare_with_loads(folder)
    save("ledger", {"the ledger": _show(console, _measure(folder, sizes))}, [])


def _compare_with_loads(folder: Path, files: int = 3) -> None:
    """Raise `ValueError` if the rows that `fill` writes are not those that loads leave, but for their times."""
    fill(folder / "filled.sqlite", files)
    filled, loaded = Ledger(folder / "filled.sqlite"), Ledger(folder / "loaded.sqlite")
    fingerprint = read_datasets(DATASETS)[NAME].fingerprint
    for number in range(files):
        landed = datetime.fromtimestamp(number, UTC)
        loaded.notice(ObjectInfo(key_of(number), etag(2 * number), 700, landed), "event")
        [task] = loaded.take()
        loaded.commit({task: Result(record_of(task, fingerprint), etag(2 * number + 1), None)})
    for query in (
        "SELECT * FROM source",
        "SELECT * FROM tally WHERE files > 0",
        "SELECT * FROM results",
        "SELECT * FROM summary",
    ):
        rows, expected = ([_without_times(row) for row in ledger.rows(query)] for ledger in (filled, loaded))
        if rows != expected:
            raise ValueError(f"{query}: the first is filled {rows[0]}, expected {expected[0]}")
    filled.close()
    loaded.close()


def _without_times(row: Row) -> dict[str, object]:
    return {name: row[name] for name in row.keys() if name not in TIMES}  # noqa: SIM118 (a row is no dict)


def _measure(folder: Path, sizes: Sequence[int]) -> dict[int, Runs]:
    """Do each part of the ledger's work with ledgers of these sizes; each is removed before the next is written."""
    found = {}
    for size in sizes:
        place = folder / f"{size}"
        place.mkdir()
        print(f"writing a ledger of {size:,} rows", file=sys.stderr)
        fill(place / "ledger.sqlite", size)
        found[size] = in_turns({step: [*COMMAND, step, place, f"{size}"] for step in STEPS}, 1)
        shutil.rmtree(place)
    return found


def _show(console: Console, found: dict[int, Runs]) -> list[dict[str, Any]]:
    """Print each figure, and as a multiple of the same in the smallest ledger; return them as plain data."""
    first, *larger = found
    table = Table("the ledger", f"{first:,} rows", *(text for size in larger for text in (f"{size:,}", "times")))
    rows = []
    for name, (step, what, unit) in PARTS.items():
        figures = {size: median(runs[step], what) / unit for size, runs in found.items()}
        cells = [(f"{figures[size]:,.3g}", f"{figures[size] / figures[first]:.2f}") for size in larger]
        table.add_row(name, f"{figures[first]:,.3g}", *(cell for pair in cells for cell in pair))
        rows.append({"name": name, **{f"{size}": figure for size, figure in figures.items()}})
    console.print(table)
    return rows
