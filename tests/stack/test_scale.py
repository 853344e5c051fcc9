"""Cluster in the stack: a worker is killed while it loads, and nothing is lost; strangers are refused."""

import gzip
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.layout import LOADS, STATUS
from lake.stores.base import ObjectStore
from tests.support.compose import Stack
from tests.support.lake import company_csv
from tests.support.minio_server import until
from tests.support.stack_data import published

FILES = 200
LONG = "raw/companydata/long.csv"

pytestmark = [pytest.mark.needs_engine, pytest.mark.timeout(900)]


@pytest.fixture
def cluster(stack: Stack) -> Iterator[Stack]:
    """The stack with two workers, both at work."""
    scale(stack, 2)
    yield stack
    scale(stack, 1)


def scale(stack: Stack, workers: int) -> None:
    stack.compose("--profile", "scale", "up", "--detach", "--wait", "--scale", f"worker={workers}")
    until(lambda: count(stack) == workers, 60, f"{workers} workers")


def count(stack: Stack) -> int:
    """Ask the scheduler's page for the number of its workers."""
    with urllib.request.urlopen(f"{stack.urls.scheduler}/json/counts.json", timeout=10) as answer:
        return int(json.load(answer)["workers"])


def put_files(store: ObjectStore, numbers: range) -> None:
    """Put small files, which are loaded in batches, and compressed ones, which are loaded each by itself."""
    for number in numbers:
        content = company_csv(number)
        store.put(key_of(number), gzip.compress(content) if number % 2 else content)


def key_of(number: int) -> str:
    return f"raw/companydata/many/{number}.csv" + (".gz" if number % 2 else "")


def long_file() -> bytes:
    """Return a file whose every record is wrong, which takes seconds to explain."""
    return re.sub(rb",\d+\n", b",many\n", company_csv(1, rows=500_000))


def busy_with(stack: Stack, key: str) -> str:
    """Return the worker that loads this file now; empty if none does."""
    with stack.store().open(STATUS) as (_, stream):
        workers = json.load(stream)["executor"]["workers"]
    return next((str(worker["name"]) for worker in workers if key in worker["files"]), "")


def loaded(stack: Stack) -> dict[str, str]:
    """Return the worker that the pipeline's log names for each file that it loaded."""
    return dict(re.findall(r" loaded key=(\S+) .*worker=(\S+)", stack.logs("pipeline", tail="all")))


def told(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return stack.compose("exec", "-T", "pipeline", "python", "-m", "pipeline", *arguments, check=False)


def test_a_worker_is_killed_while_it_loads(cluster: Stack) -> None:
    names = [f"{container[:12]}-" for container in cluster.compose("ps", "--quiet", "worker").stdout.split()]
    store, keys = cluster.store(), {LONG, *map(key_of, range(FILES - 1))}
    put_files(store, range(FILES // 2))
    store.put(LONG, long_file())
    killed = until(lambda: busy_with(cluster, LONG), 60, "a worker with the long file")
    subprocess.run(["docker", "kill", killed.split("-")[0]], check=True, capture_output=True)
    put_files(store, range(FILES // 2, FILES - 1))

    until(lambda: loaded(cluster).keys() >= keys, 180, "all files")
    by = {key: worker for key, worker in loaded(cluster).items() if key in keys}
    assert all(worker.startswith(tuple(names)) for worker in by.values())
    assert by[LONG] != killed
    log = cluster.logs("pipeline", tail="all")
    assert re.search(f"worker lost keys={LONG} worker={killed}", log)
    assert f"worker left worker={killed}" in log
    assert json.loads(told(cluster, "status", "--json", "--status", "failed").stdout) == []
    verified = told(cluster, "verify")
    assert verified.returncode == 0, verified.stdout


STRANGER = """
import socket, ssl
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with socket.create_connection(("scheduler", 8786), timeout=10) as connection:
    context.wrap_socket(connection).recv(1)
"""


def test_the_scheduler_takes_nobody_without_a_certificate(stack: Stack) -> None:
    done = stack.compose("exec", "-T", "worker", "python", "-c", STRANGER, check=False)
    assert "CERTIFICATE_REQUIRED" in done.stderr


def test_an_edit_of_the_mounted_contracts_needs_no_build(stack: Stack) -> None:
    """Pipeline and worker take a new contract up by themselves: the file that it lacked is loaded."""
    contract, key = Path(stack.variables["PIPELINE_DATASETS"], "things.json"), "raw/things/a.csv"
    store = stack.store()

    def found() -> str:
        return next((row["status"] for row in published(stack, LOADS) if row["source_key"] == key), "")

    try:
        store.put(key, b"way\nx\n")
        until(lambda: found() == "refused", 60, "a file without a contract")
        contract.write_text('{"name": "things", "schema": {"fields": [{"name": "way"}]}}')
        contract.chmod(0o644)
        until(lambda: found() == "loaded", 60, "a file with a contract")
    finally:
        contract.unlink(missing_ok=True)
        store.delete(key)
