"""Workbooks, read and checked: Lakelet beside pandas with calamine and the same checks written by hand.

    python -m benchmarks.workbooks [--rows 200000] [--rounds 3] [--file FILE]

The workbook is made by openpyxl: 10 columns of every type, all sound. Both read it, cast and check each column, and
hold the typed rows; nothing is written. Peak memory is at most that of all processes together.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Bar, in_turns, median, ratios, rows_of, save, show_bars
from pipeline.dataset.dataset import read_dataset
from pipeline.readers.formats import reader_of

FIELDS = [
    {"name": "id", "type": "integer", "constraints": {"required": True, "minimum": 0}},
    {"name": "day", "type": "date", "constraints": {"minimum": "2020-01-01"}},
    {"name": "shop", "constraints": {"required": True, "enum": ["Köln", "Bonn", "Ulm"]}},
    {"name": "article", "constraints": {"pattern": "A-[0-9]+"}},
    {"name": "units", "type": "integer", "constraints": {"minimum": 0, "maximum": 1000}},
    {"name": "price", "type": "number", "constraints": {"minimum": 0}},
    {"name": "rate", "type": "number"},
    {"name": "paid", "type": "boolean"},
    {"name": "at", "type": "datetime"},
    {"name": "note", "constraints": {"maxLength": 100}},
]
LAKELET, PANDAS = "Lakelet", "pandas"


def write(path: Path, rows: int) -> None:
    """Write the workbook."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("data")
    sheet.append([field["name"] for field in FIELDS])
    chance = random.Random(rows)
    for row in range(rows):
        shop, price = chance.choice(["Köln", "Bonn", "Ulm"]), round(chance.random() * 100, 2)
        at = datetime(2026, 1, 1) + timedelta(seconds=row * 37)
        day, units = date(2026, 1, 1) + timedelta(days=row % 365), chance.randrange(100)
        sheet.append(
            [row, day, shop, f"A-{row % 5000}", units, price, chance.random(), row % 2 == 0, at, f"note {row}"]
        )
    book.save(path)


def with_lakelet(path: Path, contract: Path) -> int:
    """Read and check as a load does."""
    dataset = read_dataset(contract)
    with path.open("rb") as stream:
        batches = [*reader_of(path.name).read(stream, path.name, dataset.contract, limits=dataset.limits)]
    assert not any(batch.rejected for batch in batches)
    return sum(batch.rows.num_rows for batch in batches)


def with_pandas(path: Path, _: Path) -> int:
    """Read by `read_excel`, and check what the contract says: the good rows are those that break no rule."""
    frame = pd.read_excel(path, engine="calamine")
    good = pd.Series(data=True, index=frame.index)
    for name in ("id", "units", "price", "rate"):
        numbers = pd.to_numeric(frame[name], errors="coerce")
        good &= numbers.notna() | frame[name].isna()
        if name in ("id", "units"):
            good &= numbers.isna() | (numbers % 1 == 0)
        frame[name] = numbers
    good &= frame["id"].notna() & (frame["id"] >= 0)
    good &= frame["units"].isna() | frame["units"].between(0, 1000)
    good &= frame["price"].isna() | (frame["price"] >= 0)
    for name in ("day", "at"):
        times = pd.to_datetime(frame[name], errors="coerce")
        good &= times.notna() | frame[name].isna()
        if name == "day":
            good &= times.isna() | ((times == times.dt.normalize()) & (times >= "2020-01-01"))
        frame[name] = times
    good &= frame["shop"].isin(["Köln", "Bonn", "Ulm"])
    good &= frame["article"].isna() | frame["article"].astype(str).str.fullmatch("A-[0-9]+")
    good &= frame["paid"].isna() | frame["paid"].isin([True, False])
    good &= frame["note"].isna() | (frame["note"].astype(str).str.len() <= 100)
    return int(good.sum())


READERS: dict[str, Callable[[Path, Path], int]] = {LAKELET: with_lakelet, PANDAS: with_pandas}


def clocked(name: str, path: Path, contract: Path) -> dict[str, Any]:
    """Read once, and return seconds, CPU seconds and peak MiB, those of the process that calamine runs in included."""
    started = time.perf_counter()
    rows = READERS[name](path, contract)
    seconds = time.perf_counter() - started
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu, peak = sum(one.ru_utime + one.ru_stime for one in used), sum(one.ru_maxrss for one in used) / 1024
    return {"seconds": seconds, "cpu": cpu, "peak": peak, "rows": rows, "calamine": used[1].ru_maxrss / 1024}


def main() -> None:
    """Compare, or read one file and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--file", type=Path, help="A workbook that was written before; else one is written.")
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(clocked(arguments.read[0], *map(Path, arguments.read[1:]))))
        return
    with tempfile.TemporaryDirectory() as name:
        contract, path = Path(name, "made.json"), arguments.file or Path(name, "made.xlsx")
        contract.write_text(json.dumps({"name": "made", "schema": {"fields": FIELDS}}))
        if not arguments.file:
            write(path, arguments.rows)
        size = path.stat().st_size / (1 << 20)
        commands = {reader: [sys.executable, __file__, "--read", reader, path, contract] for reader in READERS}
        runs = in_turns(commands, arguments.rounds)
    table = Table("program", "seconds", "/ pandas", "CPU s", "peak MiB", "rows", title=f"a workbook of {size:.1f} MiB")
    multiples = ratios(runs, PANDAS)
    for reader, done in runs.items():
        figures = [f"{median(done, 'seconds'):.2f}", f"{multiples[reader]:.2f}", f"{median(done, 'cpu'):.1f}"]
        table.add_row(reader, *figures, f"{median(done, 'peak'):,.0f}", f"{done[0].said['rows']:,}")
    console, ratio, memory = Console(), multiples[LAKELET], median(runs[LAKELET], "calamine")
    console.print(table)
    console.print(f"calamine's process: {memory:,.0f} MiB, {memory / size:.1f} times the workbook")
    held = [Bar("workbook: time", "≤ 1.00 of pandas", f"{ratio:.2f}", ratio <= 1)]
    show_bars(console, held)
    save("workbooks", {"workbook": rows_of(runs)}, held)


if __name__ == "__main__":
    main()
