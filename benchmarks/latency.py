"""From a put to clean Parquet, and to the published summary, at ten files a second in a bucket: Lakelet and others.

    python -m benchmarks.latency [--files 40] [--rounds 1] [--silence 3]

Each file has 1,000 rows of the dataset `orders`. Both ends are told by the server itself: it stamps the events of the
put and of the Parquet object, which one listener of the benchmark's own collects, the same for everyone. dlt names its
objects by itself, so a file counts from when the run that took it has ended. Needs a Docker engine.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.made_files import DIFFERENT, ROWS
from benchmarks.measure import HERE, PEERS, Bar, Command, plot, run, save, show_bars
from benchmarks.seen import Seen, observe
from lake.layout import STATUS
from lake.stores import open_store
from lake.stores.base import ObjectStore
from simulator.datasets import orders
from tests.support.minio_server import MinioServer, remove_minio, start_minio, until
from tests.support.project import DATASETS

RATE = 10.0  # files a second

LAKELET, LISTENER, POLL, DLT = "Lakelet run", "bare listener", "pandas, every 2 s", "dlt, again and again"
WHAT = {
    LAKELET: "types, checks, lineage, rejects, summary; exactly once",
    LISTENER: "types as inferred; a lost event is a lost file",
    POLL: "types as inferred; no checks",
    DLT: "types as inferred; knows what it has done",
}


@dataclass(frozen=True)
class Figures:
    """One round of one program, in ms."""

    clean: list[float]
    published: list[float]
    after_silence: float


def put_files(url: str, first: int, files: int) -> None:
    """Put files at the rate; one that is late does not make the next ones hurry."""
    store, due = open_store(url, os.environ), time.monotonic()
    bodies = [orders(1, ROWS, number) for number in range(min(DIFFERENT, files))]
    for number in range(first, first + files):
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due, time.monotonic() - 1 / RATE) + 1 / RATE
        store.put(f"raw/orders/{number:06d}.csv", bodies[number % len(bodies)])
    print(json.dumps({"seconds": 0}))


@contextmanager
def program(command: Command, seen: Seen) -> Iterator[None]:
    """Run a program while the block runs; what it says of files that it has done is noted."""

    def note() -> None:
        for line in process.stdout or ():
            if line.startswith(b'{"name"'):
                told = json.loads(line)
                seen.clean.setdefault(told["name"], told["at"])

    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "PIPELINE_DATASETS": str(DATASETS)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    thread = Thread(target=note)
    thread.start()
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        thread.join()


def measure(name: str, store: ObjectStore, folder: Path, files: int, silence: float) -> Figures:
    """Run one program on a new bucket: a few files to warm up, then the measured files, then a file after silence."""
    loops, seen, stop, ready = HERE / "loops.py", Seen(), Event(), Event()
    commands: dict[str, Command] = {
        LAKELET: [sys.executable, "-m", "pipeline", "run", "--lake", store.url, "--state", folder / "state"],
        LISTENER: [sys.executable, loops, "listen", store.url],
        POLL: [sys.executable, loops, "poll", store.url],
        DLT: [PEERS, loops, "dlt-again", store.url, folder / "dlt"],
    }
    observer = Thread(target=observe, args=(store, seen, stop, ready))
    observer.start()
    ready.wait(20)
    try:
        with program(commands[name], seen):
            if name == LAKELET:
                until(lambda: list(store.list(STATUS)), 60)
            time.sleep(1 if name == LAKELET else 3)  # a listener does not say when it has begun to listen
            _put(store.url, 0, 5)
            until(lambda: len(seen.clean) >= 5, 60, f"{name}: the first files")
            _put(store.url, 5, files)
            until(lambda: len(seen.clean) >= 5 + files, 60, f"{name}: all files")
            time.sleep(silence)
            _put(store.url, 5 + files, 1)
            until(lambda: len(seen.clean) >= 6 + files, 60, f"{name}: a file after silence")
            if name == LAKELET:
                until(lambda: seen.published and seen.published[-1][1] == 6 + files, 60, "a summary of all")
    finally:
        stop.set()
        observer.join()
    names = [f"{number:06d}.csv" for number in range(5, 5 + files)]
    published = seen.summaries(names) if name == LAKELET else []
    return Figures(seen.latencies(names), published, seen.latencies([f"{5 + files:06d}.csv"])[0])


def _put(url: str, first: int, files: int) -> None:
    if not run([sys.executable, "-m", "benchmarks.latency", "--put", url, str(first), str(files)]):
        raise ValueError("the producer failed")


def percentile(values: list[float], share: int) -> float:
    """Return a percentile: the smallest value that the given per cent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, -(-len(ordered) * share // 100) - 1)]


def show(figures: dict[str, list[Figures]]) -> Table:
    """Return a table of each program's percentiles over all rounds."""
    table = Table("program", "p50 ms", "p95", "p99", "after silence", "published p50", "what it does")
    for name, rounds in figures.items():
        clean = [one for figure in rounds for one in figure.clean]
        published = [one for figure in rounds for one in figure.published]
        told = [f"{percentile(clean, share):.1f}" for share in (50, 95, 99)]
        told += [f"{median(one.after_silence for one in rounds):.1f}"]
        table.add_row(name, *told, f"{percentile(published, 50):.0f}" if published else "", WHAT[name])
    return table


def bars(figures: dict[str, list[Figures]]) -> list[Bar]:
    """Hold the figures to what is promised."""
    ours, theirs = figures[LAKELET], figures[LISTENER]
    ratio = median(
        percentile(one.clean, 50) / percentile(other.clean, 50) for one, other in zip(ours, theirs, strict=True)
    )
    p99 = percentile([one for figure in ours for one in figure.clean], 99)
    published = percentile([one for figure in ours for one in figure.published], 50)
    return [
        Bar("put to clean, p50", "≤ 1.5 of the bare listener's", f"{ratio:.2f}", ratio <= 1.5),
        Bar("put to clean, p99", "≤ 60 ms", f"{p99:.1f} ms", p99 <= 60),
        Bar("put to published, p50", "≤ 200 ms", f"{published:.0f} ms", published <= 200),
    ]


def compare(server: MinioServer, files: int, rounds: int, silence: float) -> None:
    """Measure everybody in turns; the slow ones, whose figures are far off, in the first round alone."""
    figures: dict[str, list[Figures]] = {name: [] for name in WHAT}
    os.environ.update(server.environ(""))
    for number in range(rounds):
        for name in WHAT:
            if number and name in (POLL, DLT):
                continue
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                figures[name].append(measure(name, server.new_store(), Path(folder), files, silence))
    console, held = Console(width=max(130, Console().width)), bars(figures)
    console.print(show(figures))
    show_bars(console, held)
    plot(save("latency", {"put to clean Parquet, p50": _rows(figures)}, held))


def _rows(figures: dict[str, list[Figures]]) -> list[dict[str, Any]]:
    rows = []
    for name, rounds in figures.items():
        clean = [one for figure in rounds for one in figure.clean]
        p50, p95, p99 = (percentile(clean, share) for share in (50, 95, 99))
        more = {"all": [one.__dict__ for one in rounds], "label": f"{p50:.0f} ms, p99 {p99:.0f} ms"}
        rows.append({"name": name, "seconds": p50 / 1000, "p95": p95, "p99": p99, **more})
    return rows


def main() -> None:
    """Compare; or put files at the rate, as a program of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--silence", type=float, default=3, help="seconds")
    parser.add_argument("--put", nargs=3, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.put:
        put_files(told.put[0], int(told.put[1]), int(told.put[2]))
        return
    server = start_minio()
    try:
        compare(server, told.files, told.rounds, told.silence)
    finally:
        remove_minio(server)


if __name__ == "__main__":
    main()
