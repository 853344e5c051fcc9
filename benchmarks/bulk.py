"""One large CSV to zstd Parquet: Lakelet beside what people would use instead, on the same file, in turns.

    python -m benchmarks.bulk [--rows 1000000] [--rounds 2] [--memory-rows 0]

The file is made by seed: 10 columns, quoted commas, doubled quotes; once all sound, once with 1 % bad records. Before
anything is shown, the rows kept and their sums are compared. `--memory-rows` loads one more file for its memory alone.
"""

import argparse
import gc
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.measure import (
    HERE,
    PEERS,
    Bar,
    Command,
    Run,
    in_turns,
    median,
    plot,
    ratios,
    rows_of,
    run,
    save,
    show_bars,
)
from benchmarks.sales import write
from lake.layout import clean_key
from lake.stores.local import LocalStore
from pipeline.dataset.dataset import read_datasets
from pipeline.load.load import load
from pipeline.model.task import Result, Task
from pipeline.service.allocators import set_allocators

MEANT = 5_000_000  # rows that the bars are promised for

LAKELET, BASE, SPLIT = "Lakelet", "DuckDB COPY", "Polars split"
PEER_NAMES = {
    BASE: "duckdb_copy",
    "DuckDB store_rejects": "duckdb_store_rejects",
    "DuckDB TRY_CAST split": "duckdb_try_cast",
    "Polars sink": "polars_sink",
    SPLIT: "polars_split",
    "pandas": "pandas",
    "dlt": "dlt",
}
WHAT = {
    LAKELET: "types, checks, lineage, summary; rejects with line and every reason",
    BASE: "types; no rejects",
    "DuckDB store_rejects": "types; rejects with line, no checks",
    "DuckDB TRY_CAST split": "types, checks; rejects without line or reason",
    "Polars sink": "types; no rejects",
    SPLIT: "types, checks; rejects with the first reason, no line",
    "pandas": "types, whole file in memory; no rejects",
    "dlt": "types as inferred; no rejects",
}


def lakelet(source: Path, target: Path) -> dict[str, Any]:
    """Load one file as the pipeline does, from a folder to a folder."""
    lake = target.parent / "lake"
    key = f"raw/sales/sales{source.suffix}"
    place = lake / key
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.hardlink_to(source)
    staging = target.parent / "staging"
    staging.mkdir(exist_ok=True)
    datasets = read_datasets(HERE / "datasets")
    set_allocators()
    gc.freeze()  # as the pipeline does when it starts
    started = time.perf_counter()
    [result] = load(LocalStore(lake), datasets, staging, [Task(key, "sales", "", "event", 0, 0)])
    seconds = time.perf_counter() - started
    assert isinstance(result, Result)
    (lake / clean_key(key)).replace(target)
    record = result.record
    return {"seconds": seconds, "kept": record.rows_kept, "rejected": record.rows_rejected, "status": record.status}


def sums(path: Path) -> tuple[int, int, int]:
    """Return the number of rows of a Parquet file, the sum of its quantities, and that of its prices in hundredths."""
    table = pq.read_table(path, columns=["quantity", "price"])
    cents = pc.sum(pc.round(pc.multiply(table["price"], 100)).cast("int64"))
    return table.num_rows, pc.sum(table["quantity"]).as_py(), cents.as_py()


def compare(folder: Path, rows: int, bad: float, rounds: int) -> dict[str, list[Run]]:
    """Run everybody on one file; `ValueError` where the rows that they kept are not the same."""
    source = folder / f"sales-{bad}.csv"
    write(source, rows, bad)
    targets = {name: folder / PEER_NAMES.get(name, "lakelet") / "out.parquet" for name in WHAT}
    for target in targets.values():
        target.parent.mkdir(exist_ok=True)
    commands: dict[str, Command] = {LAKELET: [sys.executable, __file__, "--load", source, targets[LAKELET]]}
    for name, peer in PEER_NAMES.items():
        commands[name] = [PEERS, HERE / "peers.py", peer, source, targets[name]]
    runs = in_turns(commands, rounds)
    expected = sums(targets[LAKELET])
    for name, done in runs.items():
        whole = done and done[0].said["kept"] == runs[LAKELET][0].said["kept"]
        if whole and targets[name].exists() and sums(targets[name]) != expected:
            raise ValueError(f"{name} gives {sums(targets[name])} for {source.name}, Lakelet {expected}")
    return runs


def show(title: str, runs: dict[str, list[Run]]) -> Table:
    """Return a table of each program's medians."""
    table = Table("program", "seconds", "/ COPY", "CPU s", "peak MiB", "kept", "bad found", "what it does", title=title)
    multiples = ratios(runs, BASE) if runs[BASE] else {}
    for name, done in runs.items():
        if not done:
            table.add_row(name, "fails", "", "", "", "", "", WHAT[name])
            continue
        figures = [f"{median(done, 'seconds'):.2f}", f"{multiples[name]:.2f}" if multiples else ""]
        figures += [f"{median(done, 'cpu'):.1f}", f"{max(one.peak for one in done):,.0f}"]
        table.add_row(name, *figures, f"{done[0].said['kept']:,}", f"{done[0].said['rejected']:,}", WHAT[name])
    return table


def bars(clean: dict[str, list[Run]], dirty: dict[str, list[Run]], large: Run | None) -> list[Bar]:
    """Hold the figures to what issue and documentation promise."""
    to_copy, to_split = ratios(clean, BASE)[LAKELET], ratios(clean, SPLIT)[LAKELET]
    dirty_split = ratios(dirty, SPLIT)[LAKELET]
    peaks = [one.peak for one in (*clean[LAKELET], *dirty[LAKELET], *filter(None, [large]))]
    return [
        Bar("bulk, clean: time", "≤ 0.85 of DuckDB COPY", f"{to_copy:.2f}", to_copy <= 0.85),
        Bar("bulk, clean: time", "≤ 1.00 of Polars split", f"{to_split:.2f}", to_split <= 1),
        Bar("bulk, 1 % bad: time", "< 1.00 of Polars split", f"{dirty_split:.2f}", dirty_split < 1),
        Bar("bulk, clean, bad and large: peak memory", "≤ 400 MiB", f"{max(peaks):,.0f} MiB", max(peaks) <= 400),
    ]


def main() -> None:
    """Compare, or load one file and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--memory-rows", type=int, default=0)
    parser.add_argument("--load", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        print(json.dumps(lakelet(*map(Path, arguments.load))))
        return
    console, large = Console(width=max(150, Console().width)), None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clean = compare(folder, arguments.rows, 0.0, arguments.rounds)
        dirty = compare(folder, arguments.rows, 0.01, arguments.rounds)
        if arguments.memory_rows:
            write(folder / "large.csv", arguments.memory_rows, 0.0)
            large = run([sys.executable, __file__, "--load", folder / "large.csv", folder / "large.parquet"])
    for title, runs in (("clean", clean), ("1 % bad", dirty)):
        console.print(show(f"{arguments.rows:,} rows, {title}", runs))
    held = bars(clean, dirty, large)
    show_bars(console, held, "bars" if arguments.rows >= MEANT else f"bars, which are meant for {MEANT:,} rows")
    results = {f"{arguments.rows:,} rows, clean": rows_of(clean), f"{arguments.rows:,} rows, 1 % bad": rows_of(dirty)}
    plot(save("bulk", results, held))


if __name__ == "__main__":
    main()
