"""Many small CSVs to Parquet, in a bucket and in a folder: Lakelet beside the loops that people write instead.

    python -m benchmarks.small_files [--files 600] [--rounds 1] [--dataset companydata]

Each file has 1,000 rows of a shipped dataset: `companydata` (six columns, 28 KB, with a transform), or `orders` (ten
columns, 120 KB). A backlog is drained by `once`, by `run`, and by the others, in turns, each in a new bucket or folder;
then `run` follows a producer that puts as fast as it can, on the same cores. Before anything is shown, the rows that
each made and their sums are compared. Needs a Docker engine.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from benchmarks.made_files import DATASETS, DIFFERENT, ROWS, loaded, measured, put_files
from benchmarks.measure import (
    HERE,
    PEERS,
    Bar,
    Command,
    Run,
    median,
    plot,
    ratios,
    rows_of,
    run,
    save,
    show_bars,
    turns,
)
from common.logs import configure_logging
from lake.layout import STATUS
from lake.stores import open_store
from lake.stores.base import ObjectStore
from pipeline import __main__ as program
from pipeline.service.allocators import set_allocators
from pipeline.service.fork_server import start_fork_server
from tests.support.minio_server import MinioServer, remove_minio, start_minio, until

BARE, ONCE, FOLLOW = "bare pyarrow loop", "Lakelet once", "Lakelet run"
WHAT = {
    ONCE: "types, checks, lineage, rejects, summary; exactly once",
    FOLLOW: "the same, and listens",
    BARE: "types as inferred, four threads; no checks, no memory",
    "pandas loop": "types as inferred; no checks, no memory",
    "dlt": "types as inferred, merged into few files; knows what it has done",
}


def command(name: str, url: str, state: str, files: int) -> None:
    """Run the program's own command until the backlog is done; print its seconds.

    Imports are left out: those of the program, and those of the fork server of its workers, which the clock waits for.
    """
    configure_logging()
    set_allocators()
    sys.modules["__main__"] = program  # else each worker imports this file
    before = _processor_seconds_of_a_ready_fork_server()
    began = time.time()
    if name == "run":
        Thread(target=_stop_when_done, args=(Path(state), files), daemon=True).start()
    program.app([name, "--lake", url, "--state", state], standalone_mode=False)
    seconds = (loaded(Path(state))[1] if name == "run" else time.time()) - began
    with suppress(FileNotFoundError):  # the program has removed its socket
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # its time, and its workers', count as this one's then
    print(json.dumps({"seconds": seconds, "cpu": sum(os.times()[:4]) - before}))


def _processor_seconds_of_a_ready_fork_server() -> float:
    """Start the fork server and wait until it can fork; return what it and this process have taken until then."""
    start_fork_server()
    process = multiprocessing.get_context("forkserver").Process(target=int)
    process.start()
    process.join()
    ticks = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/stat").read_text().split()[13:17]  # type: ignore[attr-defined]
    return sum(os.times()[:4]) + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _stop_when_done(state: Path, files: int) -> None:
    until((state / "ledger.sqlite").exists, 60)
    until(lambda: _count(state) >= files, 900)
    os.kill(os.getpid(), signal.SIGTERM)


def _count(state: Path) -> int:
    time.sleep(0.1)
    try:
        return loaded(state)[0]
    except sqlite3.OperationalError:  # it is being made
        return 0


def commands(url: str, folder: Path, files: int) -> dict[str, Command]:
    """Return each program's command for a lake."""
    me, loops = [sys.executable, "-m", "benchmarks.small_files"], HERE / "loops.py"
    return {
        ONCE: [*me, "--command", "once", url, folder / "state", str(files)],
        FOLLOW: [*me, "--command", "run", url, folder / "state", str(files)],
        BARE: [sys.executable, loops, "bare", url],
        "pandas loop": [sys.executable, loops, "pandas", url],
        "dlt": [PEERS, loops, "dlt", url, folder / "dlt"],
    }


def sums(store: ObjectStore) -> tuple[int, int, int]:
    """Return the number of clean rows of a lake, and the sums of two columns."""
    found = [item for item in store.list("clean/") if item.key.endswith(".parquet") and "/_dlt_" not in item.key]
    dataset = measured()
    by_dlt = next((item.key for item in found if item.key.startswith("clean/dlt/")), None)
    prefix = f"{Path(by_dlt).parent}/" if by_dlt else f"clean/{dataset.name}/"
    table = store.dataset(prefix).to_table()
    table = table.rename_columns([name.lower() for name in table.column_names])  # as dlt has them
    integers, others = table.select(dataset.columns).columns
    cents = pc.sum(pc.round(pc.multiply(others, 100)).cast("int64"))
    return integers.length(), pc.sum(integers).as_py(), cents.as_py()


def drained(new_lake: Callable[[Path], str], files: int, rounds: int) -> dict[str, list[Run]]:
    """Run each program on a backlog of its own, in turns; raise `ValueError` where the rows of two differ."""
    runs: dict[str, list[Run]] = {name: [] for name in WHAT}
    expected = None
    # All of them stay until the end: ext4 goes through the files that were removed just now whenever it makes one.
    with tempfile.TemporaryDirectory() as places:
        for name in turns(list(WHAT), rounds):
            place = Path(tempfile.mkdtemp(dir=places))
            url = new_lake(place)
            put = run([sys.executable, "-m", "benchmarks.small_files", "--put", url, str(files)])
            done = run(commands(url, place, files)[name])
            if not (put and done):
                raise ValueError(f"{name} failed")
            found = sums(open_store(url, os.environ))
            expected = expected or found
            if found != expected or found[0] != files * ROWS:
                raise ValueError(f"{name} gives {found} for {files:,} files, {ONCE} {expected}")
            runs[name].append(done)
    return runs


def followed(url: str, folder: Path, files: int) -> Run:
    """Run `run` beside a producer on the same cores; return the seconds from the first put to the last loaded file."""
    state, store = folder / "state", open_store(url, os.environ)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", "--lake", url, "--state", state], stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: list(store.list(STATUS)), 60)
        store.put(f"raw/{measured().name}/first.csv", measured().body(DIFFERENT))
        until(lambda: _count(state) == 1, 60)
        put = run([sys.executable, "-m", "benchmarks.small_files", "--put", url, str(files)])
        assert put
        until(lambda: _count(state) == files + 1, 900)
        seconds = loaded(state)[1] - put.said["began"]
    finally:
        process.send_signal(signal.SIGTERM)
        _, _, used = os.wait4(process.pid, 0)
    if (rows := sums(store)[0]) != (files + 1) * ROWS:
        raise ValueError(f"{rows:,} rows for {files + 1:,} files")
    return Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, {"put": put.seconds})


def show(title: str, runs: dict[str, list[Run]], files: int) -> Table:
    """Return a table of each program's medians."""
    table = Table("program", "files/s", "/ bare", "CPU ms a file", "peak MiB", "what it does", title=title)
    multiples = ratios(runs, BARE)
    for name, done in runs.items():
        figures = [f"{files / median(done, 'seconds'):.0f}", f"{1 / multiples[name]:.2f}"]
        figures += [f"{1000 * median(done, 'cpu') / files:.1f}", f"{median(done, 'peak'):,.0f}"]
        table.add_row(name, *figures, WHAT[name])
    return table


def bars(bucket: dict[str, list[Run]], folder: dict[str, list[Run]], busy: list[Run], files: int) -> list[Bar]:
    """Hold the figures to what is promised."""
    found = []
    for name in (ONCE, FOLLOW):
        rate, ratio = files / median(bucket[name], "seconds"), 1 / ratios(bucket, BARE)[name]
        found.append(Bar(f"bucket drained, {name}", "≥ 300 files/s", f"{rate:.0f}", rate >= 300))
        found.append(Bar(f"bucket drained, {name}", "≥ 1.00 of the bare loop's rate", f"{ratio:.2f}", ratio >= 1))
    rate = files / median(busy, "seconds")
    found.append(Bar("bucket, with the producer", "≥ 200 files/s", f"{rate:.0f}", rate >= 200))
    rate = files / median(folder[ONCE], "seconds")
    return [*found, Bar("folder drained, Lakelet once", "≥ 600 files/s", f"{rate:.0f}", rate >= 600)]


def compare(server: MinioServer, files: int, rounds: int) -> None:
    """Measure everything, and show, save and draw it."""
    os.environ.update(server.environ(""))

    def new_bucket(_: Path) -> str:
        return server.new_store().url

    console = Console(width=max(130, Console().width))
    in_bucket = drained(new_bucket, files, rounds)
    in_folder = drained(lambda place: str(place / "lake"), files, rounds)
    busy = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as place:
            busy.append(followed(new_bucket(Path(place)), Path(place), files))
    for title, runs in (("bucket", in_bucket), ("folder", in_folder)):
        console.print(show(f"{files:,} files of 1,000 rows of {measured().name} in a {title}", runs, files))
    held = bars(in_bucket, in_folder, busy, files)
    show_bars(console, held)
    results: dict[str, Any] = {f"{files:,} files, bucket": rows_of(in_bucket), "folder": rows_of(in_folder)}
    plot(save(f"small_files_{measured().name}", results | {"with the producer": rows_of({FOLLOW: busy})}, held))


def main() -> None:
    """Compare; or do one part of it, as a program of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dataset", choices=DATASETS, default="companydata")
    parser.add_argument("--put", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--command", nargs=4, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.put:
        put_files(told.put[0], int(told.put[1]))
    elif told.command:
        name, url, state, files = told.command
        command(name, url, state, int(files))
    else:
        os.environ["DATASET"] = told.dataset
        os.environ.setdefault("TABLES_SECONDS", "0")  # `benchmarks.tables` measures what they cost
        server = start_minio()
        try:
            compare(server, told.files, told.rounds)
        finally:
            remove_minio(server)


if __name__ == "__main__":
    main()
