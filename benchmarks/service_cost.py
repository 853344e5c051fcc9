"""Processor time of the service itself for a small file, and of a listing for an object: what one service can feed.

    python -m benchmarks.service_cost [--files 2000] [--listed 20000]

`run` loads files of 1,000 rows from a bucket. The service's own process notices, takes, commits, publishes and writes
tables; its worker processes load. However many workers there are, one service feeds no more files than its own process
has time for. Needs a Docker engine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.known import PUTS, clocked
from benchmarks.made_files import DATASETS, DIFFERENT, loaded
from benchmarks.measure import save
from lake.layout import RAW
from lake.stores.base import ObjectStore
from lake.stores.s3 import S3Store
from pipeline.service.lease import read_status
from tests.support.minio_server import MinioServer, remove_minio, start_minio, until
from tests.support.project import DATASETS as CONTRACTS

DATASET = DATASETS["companydata"]
FIRST = 200  # files before it is measured: workers start, tables are made


def feed(server: MinioServer, files: int, tables: str) -> dict[str, float]:
    """Return milliseconds of processor time a file, of the service and of its workers, and files a second."""
    store = server.new_store()
    with tempfile.TemporaryDirectory() as state, _service(server.environ(store.bucket), state, tables) as service:
        until(lambda: read_status(store).writer, 60, "the start of the service")
        _load(store, Path(state), 0, FIRST)
        before, began = _processor_seconds(service), time.perf_counter()
        _load(store, Path(state), FIRST, files)
        seconds = time.perf_counter() - began
        time.sleep(float(tables) + 1)  # until what came last is published, and in the tables
        after = _processor_seconds(service)
    own, workers = (1000 * (b - a) / files for a, b in zip(before, after, strict=True))
    return {"service, ms": own, "workers, ms": workers, "files a second": files / seconds, "most": 1000 / own}


@contextmanager
def _service(environ: dict[str, str], state: str, tables: str) -> Iterator[psutil.Process]:
    settings = {"PIPELINE_STATE": state, "TABLES_SECONDS": tables, "PIPELINE_DATASETS": str(CONTRACTS)}
    command = [sys.executable, "-m", "pipeline", "run"]
    with subprocess.Popen(command, env={**os.environ, **environ, **settings}, stderr=subprocess.DEVNULL) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _load(store: ObjectStore, state: Path, first: int, files: int) -> None:
    """Put files, and wait until all are loaded."""
    bodies = [DATASET.body(number) for number in range(DIFFERENT)]
    keys = [f"{RAW}{DATASET.name}/{number:06d}.csv" for number in range(first, first + files)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put(key, bodies[hash(key) % DIFFERENT]), keys))
    until(lambda: loaded(state)[0] >= first + files, 300, f"the load of {files} files")


def _processor_seconds(service: psutil.Process) -> tuple[float, float]:
    """Return what a process has used until now, and what its workers have."""
    used = [sum(process.cpu_times()[:2]) for process in (service, *service.children(recursive=True))]
    return used[0], sum(used[1:])


def listing(store: S3Store, objects: int) -> dict[str, float]:
    """Return microseconds of a listing for an object: of the clock, and of this process's processor time."""
    with ThreadPoolExecutor(PUTS) as pool:
        list(pool.map(lambda number: store.put(f"{RAW}companydata/{number:08d}.csv", b"x"), range(objects)))
    took = clocked(lambda: sum(1 for _ in store.list(RAW)))
    return {"listing, us": 1e6 * took["seconds"] / objects, "client, us": 1e6 * took["own"] / objects}


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=2_000, help="of a run")
    parser.add_argument("--listed", type=int, default=20_000, help="objects of a listing")
    options = parser.parse_args()
    server = start_minio()
    try:
        found = {f"tables: {seconds} s": feed(server, options.files, seconds) for seconds in ("0", "5")}
        listed = listing(server.new_store(), options.listed)
    finally:
        remove_minio(server)
    table = Table("a file", *found["tables: 5 s"], title="processor time of the service")
    for name, figures in found.items():
        table.add_row(name, *(f"{value:,.2f}" for value in figures.values()))
    Console().print(table)
    print(json.dumps(listed))
    save("service_cost", {**found, "listing": listed}, [])


if __name__ == "__main__":
    main()
