"""Costs of Delta tables: a commit as commits add up, queries over small files, share of a drain, and latency.

    python -m benchmarks.tables [--full] [--only commits|queries|drain|latency]

The clean objects are real, and the ledger is told of them as after a load. Each file has 24 rows. Commits to a table
with many are measured in turns with those to a new table. Latency needs a Docker engine.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from threading import Event

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from rich.console import Console
from rich.table import Table

from benchmarks.latency import LAKELET, measure, percentile
from benchmarks.made_lake import NAME, PER_COMMIT, Made
from benchmarks.measure import Bar, show_bars
from dashboard.query.client import QueryRunner
from lake.layout import CLEAN
from tests.support.minio_server import remove_minio, start_minio
from tests.support.project import DATASETS

FILES = 2_000  # of a drain
FIRST = 10  # commits of a new table, before it is measured
WINDOW = 20  # commits, of which the middle one and the mean are shown: one of them has the upkeep in it
NEWEST = 100  # files that a table does not have yet
VIEW = f"clean_{NAME}"
QUERIES = {
    "count": f"SELECT count(*) FROM {VIEW}",
    "filtered sum": f'SELECT sum("Sold") FROM {VIEW} WHERE "Dept" = \'Dept 1\'',
}
DUE = {100_000: 1.0, 1_000_000: 3.0}  # seconds of a query over so many small files


def commits(marks: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """Return milliseconds of a commit to both tables, and files and KiB of one's log, after so many commits."""
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        grown, done = Made(Path(folder)), 0
        for mark in marks:
            for _ in range(mark - done):
                grown.commit()
            done = mark + WINDOW
            found[mark] = _beside_new(grown)
            print(f"after {mark:,} commits: {found[mark]}", file=sys.stderr)
    return found


def _beside_new(grown: Made) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        new = Made(Path(folder))
        for _ in range(FIRST):
            new.commit()
        pairs = [(grown.commit(), new.commit()) for _ in range(WINDOW)]
    log = [path.stat().st_size for path in Path(grown.table, "_delta_log").iterdir()]
    began = time.perf_counter()
    DeltaTable(grown.table)
    opened = time.perf_counter() - began
    times, beside = ([1000 * one for one in half] for half in zip(*pairs, strict=True))
    return {
        "ms": median(times),
        "ms with upkeep": mean(times),
        "new table, ms": median(beside),
        "new table, with upkeep": mean(beside),
        "ratio": median(times) / median(beside),
        "files": len(log),
        "KiB": sum(log) / 1024,
        "open ms": 1000 * opened,
    }


def queries(counts: tuple[int, ...], large: int) -> dict[int, dict[str, float]]:
    """Return the seconds of each query, over the clean objects and on the Query page.

    `NEWEST` files are not in the table, as they are not on a page that is asked while files come in. A table of `large`
    files is written without their objects, which nobody would read one by one.
    """
    found: dict[int, dict[str, float]] = {}
    for count in (*counts, *([large] if large else [])):
        with tempfile.TemporaryDirectory() as folder:
            made = Made(Path(folder))
            made.add(min(count, max(counts)) if count in counts else PER_COMMIT)
            made.tables.update(Event())
            if count == large:
                made.append(large)
            made.add(NEWEST)
            made.publish()
            found[count] = {f"{query}, page": _on_the_page(made, sql) for query, sql in QUERIES.items()}
            found[count]["table, bytes a row"] = _bytes_a_row(made)
            if count != large:
                found[count] |= {f"{query}, objects": _over_objects(made, sql) for query, sql in QUERIES.items()}
    return found


def _bytes_a_row(made: Made) -> float:
    files = pa.table(DeltaTable(made.table).get_add_actions(flatten=True))
    return pc.sum(files["size_bytes"]).as_py() / pc.sum(files["num_records"]).as_py()


def _on_the_page(made: Made, sql: str) -> float:
    """Return the middle of three times of a query, in a process of its own that has started."""
    runner, took = QueryRunner(made.store.url), []
    for _ in range(3):
        runner.warm()
        answer = runner.run({VIEW: f"{CLEAN}{NAME}/"}, sql)
        assert not answer.note, answer.note
        took.append(answer.seconds)
    runner.close()
    return median(took)


def _over_objects(made: Made, sql: str) -> float:
    began = time.perf_counter()
    with duckdb.connect() as connection:
        connection.register(VIEW, made.store.dataset(f"{CLEAN}{NAME}/"))
        connection.execute(sql).fetchall()
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
    marks = (FIRST, 1_000, 10_000) if full else (FIRST, 100, 1_000)
    done = commits(marks)
    console.print(show(f"a commit of {PER_COMMIT} new files to both tables", done, "commits"))
    growth = done[marks[-1]]["ratio"]
    return [Bar(f"a commit after {marks[-1]:,}, beside one after {FIRST}", "≤ 1.5", f"{growth:.2f}", growth <= 1.5)]


def _queries(console: Console, *, full: bool) -> list[Bar]:
    asked = queries((1_000, 100_000) if full else (1_000, 10_000), large=1_000_000)
    console.print(show("seconds of a query", asked, "small files"))
    bars = []
    for files in DUE.keys() & asked.keys():
        slowest, due = max(value for name, value in asked[files].items() if name.endswith("page")), DUE[files]
        bars.append(Bar(f"queries over {files:,} files", f"≤ {due} s", f"{slowest:.2f} s", slowest <= due))
    return bars


def _drain(_: Console, *, full: bool) -> list[Bar]:
    drained = drain(FILES, 5 if full else 3)
    share = drained["5"] / drained["0"] - 1
    what = f"tables, as a share of a drain of {FILES:,} files in a folder"
    return [Bar(what, "≤ 25 %", f"{share:.0%}", share <= 0.25)]


def latency(files: int, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds from put to clean, p50 and p95 of each round, without tables and with them."""
    found: dict[str, list[float]] = {f"{name}, {share}": [] for name in ("0", "5") for share in (50, 95)}
    server = start_minio()
    os.environ.update(server.environ(""))
    try:
        for _ in range(rounds):
            for seconds in ("0", "5"):
                os.environ["TABLES_SECONDS"] = seconds
                with tempfile.TemporaryDirectory() as folder:
                    figures = measure(LAKELET, server.new_store(), Path(folder), files, 0.0)
                for share in (50, 95):
                    found[f"{seconds}, {share}"].append(percentile(figures.clean, share))
    finally:
        remove_minio(server)
    return found


def _latency(_: Console, *, full: bool) -> list[Bar]:
    took, bars = latency(200 if full else 100, 5 if full else 3), []
    for share in (50, 95):
        without, with_tables = median(took[f"0, {share}"]), median(took[f"5, {share}"])
        ratio = median(a / b for a, b in zip(took[f"5, {share}"], took[f"0, {share}"], strict=True))
        what = f"put to clean, p{share}: {with_tables:.1f} ms with tables, {without:.1f} ms without"
        bars.append(Bar(what, "≤ 1.2", f"{ratio:.2f}", ratio <= 1.2))
    return bars


PARTS: dict[str, Callable[..., list[Bar]]] = {
    "commits": _commits,
    "queries": _queries,
    "drain": _drain,
    "latency": _latency,
}


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
