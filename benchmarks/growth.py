"""Growth of costs with the number of known objects, and with a file's rows, columns and share of bad records.

    python -m benchmarks.growth [--full] [--ledger]

Each step and each load runs in a process of its own. With known objects the listing is made up, so that the seconds
are the pipeline's own; then a sweep is measured with what real stores take to list: a folder, and a bucket of a real
MinIO where a Docker engine is there.

With `--ledger` only the ledger's part is measured, from 100,000 rows to a million, or with `--full` to 10 million: then
it takes up to 20 GB below TMPDIR.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import shapes
from benchmarks.known import STEPS, fill, populate
from benchmarks.ledger_growth import measure_ledger
from benchmarks.measure import Bar, Command, Run, in_turns, median, plot, save, show_bars
from lake.stores import open_store
from tests.support.minio_server import remove_minio, start_minio

FEW, WINDOW = 1_000, 5_000  # known objects: those that others are held against; those that `loads.parquet` shows
LISTED = 100_000  # objects of the sweep that is promised
Runs = dict[str, list[Run]]

# What is shown of a run, where it tells it.
SHOWN = {
    "seconds": ("seconds", "{:.4f}"),
    "own": ("CPU s", "{:.4f}"),
    "peak": ("peak MiB", "{:,.0f}"),
    "waited": ("a write beside it waits: s", "{:.3f}"),
    "publish_seconds": ("publish: s", "{:.4f}"),
    "publish_own": ("publish: CPU s", "{:.4f}"),
    "row": ("CPU µs a row", "{:.2f}"),
    "cell": ("CPU µs a cell", "{:.3f}"),
    "problem": ("CPU µs a problem", "{:.1f}"),
}


@dataclass(frozen=True)
class Form:
    """Amounts to measure."""

    rounds: int
    known: tuple[int, ...]
    in_folder: int  # objects that are listed, twice
    in_bucket: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    cells: int  # of a file by columns
    bad: int  # records of a file with bad ones
    ledger: tuple[int, ...]  # rows of the ledger alone


QUICK = Form(
    rounds=1,
    known=(FEW, WINDOW, LISTED),
    in_folder=5_000,
    in_bucket=2_000,
    rows=(100, 10_000, 100_000, 1_000_000),
    columns=(5, 50, 500),
    cells=2_000_000,
    bad=30_000,
    ledger=(LISTED, 1_000_000),
)
FULL = Form(
    rounds=3,
    known=(FEW, WINDOW, LISTED, 1_000_000),
    in_folder=LISTED,
    in_bucket=LISTED,
    rows=(100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    columns=(5, 20, 50, 100, 200, 500),
    cells=20_000_000,
    bad=300_000,
    ledger=(LISTED, 1_000_000, 10_000_000),
)


def python(module: str, *arguments: object) -> Command:
    """Return the command that runs a module of this project."""
    return [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]


def known(folder: Path, form: Form) -> Runs:
    """Do every step with ledgers of these sizes, in turns."""
    for size in form.known:
        (folder / f"{size}").mkdir()
        fill(folder / f"{size}" / "ledger.sqlite", size)
    pairs = [(step, size) for step in STEPS for size in form.known if size != WINDOW or step == "load"]
    commands = {f"{step}, {size:,}": python("known", step, folder / f"{size}", size) for step, size in pairs}
    return in_turns(commands, form.rounds)


def listed(folder: Path, form: Form) -> Runs:
    """Sweep a folder and a bucket in which nothing has changed."""
    runs: Runs = {}
    with bucket() as settings:
        for objects, environ in ((form.in_folder, {"LAKE_URL": str(folder / "lake")}), (form.in_bucket, settings)):
            if environ:
                place = folder / str(len(runs))
                place.mkdir()
                url, variables = environ["LAKE_URL"], [f"{name}={value}" for name, value in environ.items()]
                print(f"putting 2 x {objects:,} objects into {url}", file=sys.stderr)
                populate(open_store(url, environ), objects, place / "ledger.sqlite")
                command = ["env", *variables, *python("known", "sweep", place, url)]
                runs |= in_turns({f"{'folder' if not runs else 'bucket'}, {objects:,}": command}, form.rounds)
    return runs


@contextmanager
def bucket() -> Iterator[dict[str, str]]:
    """Yield the settings of a bucket in a new server, or none without a Docker engine."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        print("no Docker engine: no bucket is measured", file=sys.stderr)
        yield {}
        return
    server = start_minio()
    try:
        yield server.environ(server.new_store().bucket)
    finally:
        remove_minio(server)


def loads(folder: Path, form: Form) -> dict[str, Runs]:
    """Load files by rows, by columns, by share of bad records; each is made just before, and removed after."""
    path = folder / "file.csv"
    return {
        "rows": {f"{rows:,} rows": loaded(shapes.sales(path, rows), shapes.SALES, form.rounds) for rows in form.rows},
        "columns": {
            f"{columns} columns": loaded(*shapes.wide(path, form.cells // columns, columns), form.rounds)
            for columns in form.columns
        },
        "bad records": {
            f"{share:.0%} bad": loaded(shapes.with_bad(path, form.bad, share), shapes.COMPANYDATA, form.rounds)
            for share in (0.0, 0.01, 0.1, 0.5, 1.0)
        },
        "every cell is bad": {
            f"{columns} columns": loaded(*shapes.wide(path, 3 * form.bad // columns, columns, "?"), form.rounds)
            for columns in (5, 50, 500)
        },
    }


def loaded(path: Path, contract: Path, rounds: int) -> list[Run]:
    """Load a file so many times."""
    [done] = in_turns({f"{path.stat().st_size:,} bytes": python("shapes", path, contract)}, rounds).values()
    return done


def rows_of(runs: Runs) -> list[dict[str, Any]]:
    """Return the medians as plain data."""
    found = []
    for name, done in runs.items():
        told = {key for one in done[:1] for key, value in one.said.items() if isinstance(value, int | float)}
        found.append({"name": name, **{what: median(done, what) for what in ("seconds", "peak", *sorted(told))}})
    return found


def show(console: Console, title: str, runs: Runs) -> None:
    """Print the medians of each; what a file took is told per cell or problem too."""
    rows = rows_of(runs)
    columns = [key for key in SHOWN if any(key in row for row in rows)]
    table = Table("", *(SHOWN[key][0] for key in columns), title=title)
    for row in rows:
        table.add_row(row["name"], *(SHOWN[key][1].format(row[key]) if key in row else "" for key in columns))
    console.print(table)


def growth(runs: Runs, small: str, large: str, what: str = "seconds") -> float:
    """Return a cost as a multiple of a smaller cost in the same round."""
    pairs = zip(runs[large], runs[small], strict=True)
    return statistics.median(one.figure(what) / other.figure(what) for one, other in pairs)


def at_most(what: str, limit: float, found: float, unit: str = " times") -> Bar:
    """Return the bar that a figure is at most a limit."""
    return Bar(f"growth, {what}", f"≤ {limit:g}{unit}", f"{found:,.2f}{unit}", found <= limit)


def known_bars(steps: Runs, sweeps: Runs, most: int) -> list[Bar]:
    """Hold to what is promised of many known objects."""
    load = growth(steps, f"load, {FEW:,}", f"load, {most:,}")
    publish = growth(steps, f"load, {WINDOW:,}", f"load, {most:,}", "publish_seconds")
    memory = growth(steps, f"sweep, {FEW:,}", f"sweep, {most:,}", "peak")
    found = [
        at_most(f"a load, {most:,} known / {FEW:,}", 1.2, load),
        at_most(f"publishing, {most:,} known / {WINDOW:,}", 1.2, publish),
        at_most(f"memory of a sweep, {most:,} known / {FEW:,}", 1.1, memory),
    ]
    for name, done in sweeps.items():
        place, _, objects = name.partition(", ")
        if objects == f"{LISTED:,}":  # what fewer take, part of which is there for any number, tells nothing of it
            found.append(at_most(f"sweep of {objects} in a {place}", 10, median(done, "seconds"), " s"))
    return found


def file_bars(files: dict[str, Runs]) -> list[Bar]:
    """Hold to what is promised of one file: no cost grows faster than what it is of, and memory is bounded."""
    most = list(files["rows"])[-1]
    bad, every = files["bad records"], files["every cell is bad"]
    peak = max(one.peak for runs in files.values() for done in runs.values() for one in done)
    return [
        at_most(
            f"processor time a row, {most} / 100,000 rows", 1.2, growth(files["rows"], "100,000 rows", most, "row")
        ),
        at_most("the same a cell, 500 / 5 columns", 3, growth(files["columns"], "5 columns", "500 columns", "cell")),
        at_most("the same a problem, 100 % / 10 % bad", 1.2, growth(bad, "10% bad", "100% bad", "problem")),
        at_most("the same, every cell bad, 500 / 5 columns", 1.2, growth(every, "5 columns", "500 columns", "problem")),
        at_most("peak memory of any load", 400, peak, " MiB"),
    ]


def main() -> None:
    """Measure everything, print tables and bars, and save them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="up to a million known objects and 10 million rows: long")
    parser.add_argument("--ledger", action="store_true", help="the ledger alone; with --full up to 10 million rows")
    options = parser.parse_args()
    form = FULL if options.full else QUICK
    console = Console(width=max(150, Console().width))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.ledger:
            measure_ledger(console, folder, form.ledger)
            return
        steps, sweeps, files = known(folder, form), listed(folder, form), loads(folder, form)
    groups = {"known objects": steps, "a sweep with the store's listing": sweeps, **files}
    for title, runs in groups.items():
        show(console, title, runs)
    held = [*known_bars(steps, sweeps, form.known[-1]), *file_bars(files)]
    show_bars(console, held)
    plot(save("growth", {title: rows_of(runs) for title, runs in groups.items() if runs}, held))


if __name__ == "__main__":
    main()
