"""Small files from a bucket by more and more workers: clusters of one-core workers beside pools of processes.

    python -m benchmarks.scale_out [--files 600] [--rounds 2] [--workers 3]

Each worker of a cluster has one core (`taskset`), and so has each process of a pool: the first the first core, the
second the second one, and again from the first core where there are more workers than cores. The service, the scheduler
and MinIO may use all cores. Each run drains a bucket of its own, in turns. The rate is that of the last nine tenths of
the files, so that no start is in it. From the processor time that the service itself takes for a file follows the most
that one service can feed, on as many workers as that needs. Needs a Docker engine.
"""

import argparse
import os
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.made_files import DATASETS, put_files
from benchmarks.measure import Bar, save, show_bars, turns
from lake.certificates import keep_certificates
from lake.layout import LAKE
from lake.stores import open_store
from tests.support.minio_server import MinioServer, free_port, remove_minio, start_minio, until
from tests.support.project import DATASETS as CONTRACTS

POOL, CLUSTER = "pool", "cluster"
LONGEST = 900.0  # seconds that one run may take
ALLOWED = 0.9  # of the pool's rate, that a cluster on the same cores must have


@dataclass(frozen=True)
class Drained:
    """One run: files a second, and milliseconds of processor time a file, of the service, scheduler and workers."""

    rate: float
    service: float
    scheduler: float
    workers: float


def start(environ: dict[str, str], *arguments: str) -> psutil.Popen:
    """Start `python -m pipeline …`; its log goes to the folder of its state."""
    with Path(environ["PIPELINE_STATE"]).with_suffix(".log").open("a") as log:
        command = [sys.executable, "-m", "pipeline", *arguments]
        return psutil.Popen(command, env=os.environ | environ, stdout=log, stderr=log)


def core(number: int) -> list[int]:
    """Return the core of a worker, by its number."""
    cores = sorted(os.sched_getaffinity(0))
    return [cores[number % len(cores)]]


@contextmanager
def ended(program: psutil.Popen) -> Iterator[psutil.Popen]:
    """Run the block, and end a program and its processes after it."""
    try:
        yield program
    finally:
        program.terminate()
        try:
            program.wait(30)
        except psutil.TimeoutExpired:
            program.kill()
            program.wait()


def seconds(programs: Sequence[psutil.Process]) -> float:
    """Return the processor time of some processes until now."""
    total = 0.0
    for program in programs:
        with suppress(psutil.NoSuchProcess):
            total += sum(program.cpu_times()[:2])
    return total


def forked(program: psutil.Popen, number: int) -> list[psutil.Process]:
    """Wait for the worker processes of a program, and pin each to its core."""

    def found() -> list[psutil.Process]:
        children = []
        with suppress(psutil.NoSuchProcess):  # the program that imports for the others has ended just now
            for server in program.children():
                children += server.children() if "forkserver" in " ".join(server.cmdline()) else []
        return children if len(children) >= number else []

    processes: list[psutil.Process] = until(found, 60, "the worker processes")
    for place, process in enumerate(sorted(processes, key=lambda one: one.pid)):
        process.cpu_affinity(core(place))
    return processes


def drain(kind: str, number: int, environ: dict[str, str], files: int) -> Drained:
    """Drain a bucket with so many workers."""
    with ExitStack() as ends:
        scheduler, workers = [], list[psutil.Process]()
        if kind == CLUSTER:
            scheduler = [ends.enter_context(ended(start(environ, "scheduler")))]
            for place in range(number):
                worker = ends.enter_context(ended(start(environ, "worker")))
                worker.cpu_affinity(core(place))
                workers += [worker, *forked(worker, 1)]
                for process in workers[-2:]:
                    process.cpu_affinity(core(place))
            until(lambda: _joined(environ) == number, 60, "the workers")
            service = start(environ, "run")
        else:
            service = start({**environ, "PIPELINE_SCHEDULER": "", "PIPELINE_WORKERS": str(number)}, "run")
        ends.enter_context(ended(service))
        workers = workers or forked(service, number)
        ledger = Path(environ["PIPELINE_STATE"], "ledger.sqlite")
        until(lambda: _loaded(ledger) >= files // 10, LONGEST, "the first tenth")
        began = {name: seconds(part) for name, part in _parts(service, scheduler, workers)}
        counted = _loaded(ledger)
        until(lambda: _loaded(ledger) == files, LONGEST, "the last file")
        used = {name: 1000 * (seconds(part) - began[name]) for name, part in _parts(service, scheduler, workers)}
        return Drained(_rate(ledger, files), **{name: one / (files - counted) for name, one in used.items()})


def _parts(service: Any, scheduler: list[Any], workers: list[Any]) -> list[tuple[str, list[Any]]]:
    return [("service", [service]), ("scheduler", scheduler), ("workers", workers)]


def _joined(environ: dict[str, str]) -> int:
    log = Path(environ["PIPELINE_STATE"]).with_suffix(".log").read_text()
    return log.count(" joined ")


def _loaded(ledger: Path) -> int:
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT coalesce(sum(files), 0) FROM tally WHERE status = 'loaded'").fetchone()[0])
    return 0


def _rate(ledger: Path, files: int) -> float:
    """Return the files a second, from the tenth part of them to the last."""
    with closing(sqlite3.connect(ledger)) as db:
        times = [row[0] / 1e6 for row in db.execute("SELECT loaded_at FROM history ORDER BY loaded_at")]
    return (files - files // 10) / (times[-1] - times[files // 10])


def measure(server: MinioServer, dataset: str, files: int, rounds: int, most: int) -> dict[str, list[Drained]]:
    """Run pools and clusters of one to `most` workers in turns."""
    runs: dict[str, list[Drained]] = {
        f"{kind} {number}": [] for number in range(1, most + 1) for kind in (POOL, CLUSTER)
    }
    os.environ |= server.environ("") | {"DATASET": dataset}
    for name in turns(list(runs), rounds):
        kind, number = name.split()
        store = server.new_store()
        put_files(store.url, files)
        store.put(LAKE, b'{"id": "of a benchmark"}')  # a pipeline makes it, and the workers wait for that
        with tempfile.TemporaryDirectory() as folder:
            keep_certificates(Path(folder, "tls"))
            environ = server.environ(store.bucket) | {
                "PIPELINE_STATE": f"{folder}/state",
                "PIPELINE_DATASETS": str(CONTRACTS),
                "PIPELINE_SCHEDULER": f"tls://127.0.0.1:{free_port()}",
                "SCHEDULER_PORT": str(free_port()),
                "CLUSTER_TLS": f"{folder}/tls",
                "TABLES_SECONDS": "0",
            }
            runs[name].append(drain(kind, int(number), environ, files))
        rows = open_store(store.url, os.environ).dataset(f"clean/{dataset}/").to_table(columns=["_line"]).num_rows
        if rows != files * 1000:
            raise ValueError(f"{name} made {rows:,} rows of {files:,} files of 1,000")
    return runs


def figure(runs: Sequence[Drained], what: str) -> float:
    """Return the median of a figure."""
    return statistics.median(getattr(one, what) for one in runs)


def show(dataset: str, runs: dict[str, list[Drained]]) -> Table:
    """Return a table of the medians."""
    table = Table(
        "workers", "files/s", "/ pool 1", "/ pool", "service ms", "scheduler ms", "workers ms", "one service feeds",
        title=f"{dataset}: files of 1,000 rows; milliseconds are processor time for a file",
    )  # fmt: skip
    base = figure(runs[f"{POOL} 1"], "rate")
    for name, done in runs.items():
        rate, pool = figure(done, "rate"), figure(runs[f"{POOL} {name.split()[1]}"], "rate")
        costs = [figure(done, what) for what in ("service", "scheduler", "workers")]
        shown = [f"{rate:.0f}", f"{rate / base:.2f}", f"{rate / pool:.2f}", *(f"{cost:.2f}" for cost in costs)]
        table.add_row(name, *shown, f"{1000 / costs[0]:,.0f} files/s")
    return table


def bars(dataset: str, runs: dict[str, list[Drained]], most: int) -> list[Bar]:
    """Hold the clusters to their promise."""
    found = []
    for number in range(1, most + 1):
        ratio = figure(runs[f"{CLUSTER} {number}"], "rate") / figure(runs[f"{POOL} {number}"], "rate")
        what = f"{dataset}, cluster of {number} beside a pool on the same cores"
        found.append(Bar(what, f"≥ {ALLOWED}", f"{ratio:.2f}", ratio >= ALLOWED))
    return found


def main() -> None:
    """Measure both datasets, and show and save the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--dataset", choices=DATASETS, action="append")
    told = parser.parse_args()
    console, server = Console(width=max(130, Console().width)), start_minio()
    results, held = dict[str, Any](), list[Bar]()
    try:
        for dataset in told.dataset or DATASETS:
            runs = measure(server, dataset, told.files, told.rounds, told.workers)
            console.print(show(dataset, runs))
            held += bars(dataset, runs, told.workers)
            results[dataset] = {name: [asdict(one) for one in done] for name, done in runs.items()}
    finally:
        remove_minio(server)
    console.print(f"on {os.cpu_count()} cores; service, scheduler and store share them with the workers")
    show_bars(console, held)
    save("scale_out", results, held)


if __name__ == "__main__":
    main()
