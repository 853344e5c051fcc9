"""Time of a file of a million rows by its share of bad records, as multiples of the clean file's time.

    python benchmarks/rejects.py [--rows 1000000] [--rounds 3]

Reading, checking and writing both Parquet files is timed, each load in a process of its own, so that its peak memory
can be told. DuckDB's COPY of the clean file, which checks types only, stands beside them if it can be imported
(`pip install duckdb`).
"""

import argparse
import importlib
import importlib.util
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.memory import set_allocators
from pipeline.recipe import FOLDER, read_dataset
from pipeline.stage import Record, stage

DATASET = "companydata"
HEADER = b"Month,Dept,Store,Sold,Returned,Ordered\n"
SHARES = (0.0, 0.01, 0.1, 0.5)
BAD = [
    b"1-Jan,Toys,North,many,1,1\n",
    b"1-Jan,Toys,North,1,-1,0x1F\n",
    b",Toys,,1,1,1\n",
    b"1-Jan,Toys,North,1,1\n",
    b"1-Jan,Toys,North,1,1,1,1\n",
    b"1-Jan,T\xffys,North,1,1,1\n",
    b"1-Jan,Toys\0,North,1,1,1\n",
    b'1-Jan,5"pipe,North,1,1,1\n',
    b'1-Jan,"a"b,North,1,1,1\n',
    b'"open,Toys,North,1,1,1\n',
]


def records(rows: int, share: float) -> Iterator[bytes]:
    """Yield a file in pieces of 10,000 records, bad ones of every kind among them."""
    chance = random.Random(rows)
    yield HEADER
    for start in range(0, rows, 10_000):
        piece = []
        for number in range(start, min(rows, start + 10_000)):
            if chance.random() < share:
                piece.append(BAD[number % len(BAD)])
            else:
                name = f"{number % 28 + 1}-Jan,Dept {number % 50},Store {number % 7}"
                line = f"{name},{number % 1000},{number % 31},{number}\n"
                piece.append(line.encode())
        yield b"".join(piece)


def load(path: Path) -> dict[str, Any]:
    """Load one file as the pipeline does, and tell how long it took and what came of it."""
    dataset = read_dataset(FOLDER / f"{DATASET}.json")
    record = Record(f"raw/{DATASET}/{path.name}", DATASET, "etag", path.stat().st_size, dataset.recipe)
    set_allocators()
    started = time.perf_counter()
    with path.open("rb") as stream:
        made = stage(stream, record, dataset, path.with_suffix(".staged")).record
    return {"seconds": time.perf_counter() - started, "kept": made.rows_kept, "rejected": made.rows_rejected}


def copy(path: Path) -> dict[str, Any]:
    """Let DuckDB copy the file to Parquet."""
    types = dict.fromkeys(("Month", "Dept", "Store"), "VARCHAR") | dict.fromkeys(
        ("Sold", "Returned", "Ordered"), "BIGINT"
    )
    target = path.with_suffix(".duckdb.parquet")
    started = time.perf_counter()
    source = f"read_csv('{path}', header = true, auto_detect = false, delim = ',', quote = '\"', columns = {types})"
    importlib.import_module("duckdb").sql(f"COPY (FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return {"seconds": time.perf_counter() - started, "kept": "", "rejected": ""}


def measured(how: str, path: Path) -> dict[str, Any]:
    """Run `load` or `copy` in a process of its own."""
    command = [sys.executable, __file__, "--one", how, str(path)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600).stdout)  # type: ignore[no-any-return]


def compare(rows: int, rounds: int) -> Table:
    """Time everything in turns, and give the medians as a table."""
    runs: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        jobs = {f"{share:.0%} bad": ("load", Path(folder, f"{share}.csv")) for share in SHARES}
        for share, (_, path) in zip(SHARES, jobs.values(), strict=True):
            with path.open("wb") as file:
                file.writelines(records(rows, share))
        if importlib.util.find_spec("duckdb"):
            jobs["DuckDB COPY, 0% bad"] = ("copy", Path(folder, f"{SHARES[0]}.csv"))
        for _ in range(rounds):
            for name, (how, path) in jobs.items():
                runs.setdefault(name, []).append(measured(how, path))
    return table(runs, rows)


def table(runs: dict[str, list[dict[str, Any]]], rows: int) -> Table:
    """Show the median of each job's runs, and the peak of its memory."""
    shown = Table("file", "kept", "rejected", "seconds", "times clean", "peak MiB", title=f"{rows:,} rows")
    medians = {name: statistics.median(run["seconds"] for run in done) for name, done in runs.items()}
    clean = next(iter(medians.values()))
    for name, done in runs.items():
        counts = [f"{one:,}" if isinstance(one := done[0][key], int) else "" for key in ("kept", "rejected")]
        peak = max(run["peak"] for run in done)
        shown.add_row(name, *counts, f"{medians[name]:.2f}", f"{medians[name] / clean:.2f}", f"{peak:,.0f}")
    return shown


def main() -> None:
    """Compare, or run one job and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        how, path = arguments.one
        told = {"load": load, "copy": copy}[how](Path(path))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)
        print(json.dumps(told | {"peak": peak}))
        return
    Console().print(compare(arguments.rows, arguments.rounds))
    if not importlib.util.find_spec("duckdb"):
        print("DuckDB is not installed: `pip install duckdb` puts its COPY beside these.")


if __name__ == "__main__":
    main()
