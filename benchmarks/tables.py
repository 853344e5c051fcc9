"""Costs of Delta tables: a commit as commits add up, queries over many small files, and the share of a drain.

    python -m benchmarks.tables [--full] [--only commits|queries|drain]

The clean objects are real, and the ledger is told of them as after a load. Each file has 24 rows.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from threading import Event
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Bar, show_bars
from lake.layout import CLEAN, clean_key, table_prefix
from lake.stores import open_store
from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import read_datasets
from pipeline.ledger.ledger import Ledger
from pipeline.tables.tables import Tables
from tests.support.project import DATASETS

NAME = "companydata"
PER_COMMIT = 4  # files
FILES = 2_000  # of a drain
WINDOW = 40  # commits, of which the middle one and the mean are shown: each twentieth has the upkeep in it
QUERIES = {
    "count": "SELECT count(*) FROM t",
    "filtered sum": 'SELECT sum("Sold") FROM t WHERE "Dept" = \'Dept 1\'',
}
DUE = {100_000: 1.0, 1_000_000: 3.0}  # seconds of a query over so many small files


@dataclass
class Made:
    """Lake with clean objects and a ledger of them, made without any load."""

    folder: Path
    store: ObjectStore = field(init=False)
    ledger: Ledger = field(init=False)
    tables: Tables = field(init=False)
    files: int = 0

    def __post_init__(self) -> None:
        """Make an empty lake."""
        (self.folder / "staging").mkdir()
        self.store = open_store(str(self.folder / "lake"))
        self.ledger = Ledger(self.folder / "ledger.sqlite")
        self.datasets = read_datasets(DATASETS)
        self.tables = Tables(self.store, self.ledger, {NAME: self.datasets[NAME]}, self.folder / "staging", 7)
        schema = self.datasets[NAME].schema
        rows: dict[str, list[Any]] = {name: [] for name in schema.names}
        for row in range(24):
            for item in schema:
                rows[item.name].append(row if pa.types.is_integer(item.type) else f"{item.name} {row % 3}")
        self.rows = pa.table(rows, schema)

    def add(self, files: int) -> None:
        """Put clean objects, and tell the ledger of them."""
        columns = dict(zip(self.rows.column_names, self.rows.columns, strict=True))
        etags = []
        for number in range(self.files, self.files + files):
            key = f"raw/{NAME}/{number // 1000}/{number}.csv"
            lineage = {"_source_key": pa.array([key] * 24), "_line": pa.array(range(2, 26), pa.int64())}
            sink = io.BytesIO()
            pq.write_table(pa.table({**columns, **lineage}), sink)
            etags.append((self.store.put(clean_key(key), sink.getvalue()), key))
        self.files += files
        with self.ledger.transaction() as db:
            for _, key in etags:
                db.execute(
                    "INSERT INTO source (source_key, dataset, status, etag, size, found_by, landed_at, noticed_at,"
                    " touched, changed_at) VALUES (?, ?, 'loaded', '', 0, 'event', 0, 0, 0, 0)",
                    (key, NAME),
                )
            db.executemany("UPDATE source SET clean_etag = ? WHERE source_key = ?", etags)

    @property
    def table(self) -> str:
        """Return the path of the clean table."""
        return self.store.address(table_prefix(CLEAN, NAME))[0]


def commits(marks: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """Return milliseconds of a commit to both tables, and files and KiB of one's log, after so many commits."""
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        made, took = Made(Path(folder)), list[float]()
        for number in range(1, max(marks) + 1):
            made.add(PER_COMMIT)
            began = time.perf_counter()
            made.tables.update(Event())
            took.append(time.perf_counter() - began)
            if number in marks:
                log = [path.stat().st_size for path in Path(made.table, "_delta_log").iterdir()]
                times = {"ms": 1000 * median(took[-WINDOW:]), "ms with upkeep": 1000 * mean(took[-WINDOW:])}
                facts = times | {"files": len(log), "KiB": sum(log) / 1024}
                began = time.perf_counter()
                DeltaTable(made.table)
                found[number] = facts | {"open ms": 1000 * (time.perf_counter() - began)}
    return found


def queries(counts: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """Return the seconds of each query, over the clean objects and over the table."""
    found: dict[int, dict[str, float]] = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            made = Made(Path(folder))
            made.add(count)
            made.tables.update(Event())
            sources: dict[str, Callable[[], Any]] = {
                "objects": lambda made=made: made.store.dataset(f"clean/{NAME}/"),
                "table": lambda made=made: DeltaTable(made.table).to_pyarrow_dataset(),
            }
            found[count] = {
                f"{query}, {source}": _seconds(opened, QUERIES[query])
                for query in QUERIES
                for source, opened in sources.items()
            }
    return found


def _seconds(opened: Callable[[], Any], query: str) -> float:
    began = time.perf_counter()
    with duckdb.connect() as connection:
        connection.register("t", opened())
        connection.execute(query).fetchall()
    return time.perf_counter() - began


def drain(files: int, rounds: int) -> dict[str, float]:
    """Return the seconds of `once` on a folder of raw files, without tables and with them."""
    took: dict[str, list[float]] = {"0": [], "5": []}
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        environ = {**os.environ, "LAKE_URL": str(raw), "PIPELINE_DATASETS": str(DATASETS)}
        batch = ["-m", "simulator", "batch", "--dataset", NAME, "--files", str(files)]
        subprocess.run([sys.executable, *batch], env=environ, check=True, capture_output=True)
        for _ in range(rounds):
            for seconds, times in took.items():
                place = Path(folder, "run")
                shutil.copytree(raw, place / "lake")
                settings = {"LAKE_URL": str(place / "lake"), "PIPELINE_STATE": str(place / "state")}
                began = time.perf_counter()
                command = [sys.executable, "-m", "pipeline", "once"]
                variables = {**environ, **settings, "TABLES_SECONDS": seconds}
                subprocess.run(command, env=variables, check=True, capture_output=True)
                times.append(time.perf_counter() - began)
                shutil.rmtree(place)
    return {seconds: median(times) for seconds, times in took.items()}


def show(title: str, rows: dict[int, dict[str, float]], first: str) -> Table:
    """Return a table of what was measured."""
    table = Table(first, *next(iter(rows.values())), title=title)
    for key, values in rows.items():
        table.add_row(f"{key:,}", *(f"{value:,.3f}" if value < 10 else f"{value:,.0f}" for value in values.values()))
    return table


def _commits(console: Console, *, full: bool) -> list[Bar]:
    marks = (10, 1_000, 10_000) if full else (10, 100, 1_000)
    done = commits(marks)
    console.print(show(f"a commit of {PER_COMMIT} new files to both tables", done, "commits"))
    growth = done[marks[-1]]["ms"] / done[marks[0]]["ms"]
    return [Bar(f"a commit after {marks[-1]:,}, beside one after {marks[0]}", "≤ 1.5", f"{growth:.2f}", growth <= 1.5)]


def _queries(console: Console, *, full: bool) -> list[Bar]:
    asked = queries((1_000, 100_000) if full else (1_000, 10_000))
    console.print(show("seconds of a query", asked, "small files"))
    bars = []
    for files in DUE.keys() & asked.keys():
        slowest, due = max(value for name, value in asked[files].items() if name.endswith("table")), DUE[files]
        bars.append(Bar(f"queries over {files:,} files", f"≤ {due} s", f"{slowest:.2f} s", slowest <= due))
    return bars


def _drain(_: Console, *, full: bool) -> list[Bar]:
    drained = drain(FILES, 5 if full else 3)
    share = drained["5"] / drained["0"] - 1
    what = f"tables, as a share of a drain of {FILES:,} files in a folder"
    return [Bar(what, "≤ 25 %", f"{share:.0%}", share <= 0.25)]


PARTS: dict[str, Callable[..., list[Bar]]] = {"commits": _commits, "queries": _queries, "drain": _drain}


def main() -> None:
    """Measure, and print what was promised beside it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="10,000 commits and 100,000 files: far longer")
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    options = parser.parse_args()
    console = Console(width=max(130, Console().width))
    parts = [PARTS[options.only]] if options.only else PARTS.values()
    show_bars(console, [bar for part in parts for bar in part(console, full=options.full)])


if __name__ == "__main__":
    main()
