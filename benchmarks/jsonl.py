"""JSON Lines to zstd Parquet: Lakelet beside DuckDB's `read_json`, on the same file, in turns.

    python -m benchmarks.jsonl [--rows 1000000] [--rounds 3]

The file has the rows of `benchmarks.bulk`, all sound. Before anything is shown, the rows kept
and their sums are compared.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from benchmarks.bulk import lakelet, sums
from benchmarks.measure import Run, in_turns, median, ratios
from benchmarks.peers import TYPES, ZSTD
from benchmarks.sales import write

LAKELET, BASE = "Lakelet", "DuckDB read_json"
MEMORY = 400  # MiB that a load may take


def read_json(source: Path, target: Path) -> dict[str, Any]:
    """Load one file with DuckDB: types only, and the first line that does not fit ends it."""
    started = time.perf_counter()
    lines = f"read_json('{source}', format = 'newline_delimited', columns = {TYPES})"
    duckdb.execute(f"COPY (FROM {lines}) TO '{target}' {ZSTD}")
    return {"seconds": time.perf_counter() - started}


def write_lines(path: Path, rows: int) -> None:
    """Write sales as JSON Lines."""
    table = path.with_suffix(".csv")
    write(table, rows, 0.0)
    duckdb.execute(f"COPY (FROM read_csv('{table}', columns = {TYPES})) TO '{path}' (FORMAT json)")
    table.unlink()


def show(runs: dict[str, list[Run]], rows: int, size: int) -> None:
    """Print each program's medians, and the ratio."""
    multiples = ratios(runs, BASE)
    table = Table("program", "seconds", "/ read_json", "CPU s", "peak MiB", title=f"{rows:,} rows, {size >> 20:,} MiB")
    for name, done in runs.items():
        figures = [f"{median(done, 'seconds'):.2f}", f"{multiples[name]:.2f}", f"{median(done, 'cpu'):.1f}"]
        table.add_row(name, *figures, f"{max(one.peak for one in done):,.0f}")
    Console(width=100).print(table)


def main() -> None:
    """Compare, or load one file and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write_lines(Path(arguments.write[0]), int(arguments.write[1]))
        return
    if arguments.load:
        program, source, target = arguments.load
        print(json.dumps((lakelet if program == LAKELET else read_json)(Path(source), Path(target))))
        return
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "sales.jsonl")
        # In a process of its own: a child's peak begins with the memory of its parent.
        subprocess.run([sys.executable, __file__, "--write", source, str(arguments.rows)], check=True)
        targets = {program: Path(name, program, "out.parquet") for program in (LAKELET, BASE)}
        for target in targets.values():
            target.parent.mkdir()
        commands = {
            name: [sys.executable, __file__, "--load", name, source, target] for name, target in targets.items()
        }
        runs = in_turns(commands, arguments.rounds)
        if sums(targets[LAKELET]) != sums(targets[BASE]):
            raise ValueError(f"Lakelet gives {sums(targets[LAKELET])}, DuckDB {sums(targets[BASE])}")
        show(runs, arguments.rows, source.stat().st_size)
    peak = max(run.peak for run in runs[LAKELET])
    if peak > MEMORY:
        raise SystemExit(f"Lakelet took {peak:,.0f} MiB: expected at most {MEMORY}")


if __name__ == "__main__":
    main()
