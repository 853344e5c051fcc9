import io
import json
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow.parquet as pq
import pytest

from lake.layout import LOADS, STATUS, summary_key
from lake.stores import open_store
from lake.stores.base import ObjectStore
from tests.support import program
from tests.support.minio_server import until
from tests.support.program import Prepare, Program
from tests.support.project import DATASETS

HEADER = "Month,Dept,Store,Sold,Returned,Ordered"


def company_csv(seed: int, rows: int = 24) -> bytes:
    """Return a file in the workshop's shape, other numbers for each seed."""
    lines = [
        f"{n % 4 + 1}-Jan,Dept {n % 3},Store {n % 2},{50 + (seed * 7 + n) % 240},{seed % 50},{n}" for n in range(rows)
    ]
    return "\n".join([HEADER, *lines, ""]).encode()


@dataclass
class Lake:
    """Lake, the folder of its pipeline's state, and the programs that work with it."""

    store: ObjectStore
    environ: dict[str, str]
    state: Path

    def put(self, name: str, content: bytes) -> str:
        return self.store.put(f"raw/{name}", content)

    def published(self, key: str) -> Any:
        """Read a published Parquet object as rows, or None where there is none yet."""
        try:
            with self.store.open(key) as (_, stream):
                return pq.read_table(io.BytesIO(stream.read())).to_pylist()
        except FileNotFoundError:
            return None

    def status(self) -> dict[str, Any]:
        with self.store.open(STATUS) as (_, stream):
            return json.loads(stream.read())

    def loads(self) -> dict[str, dict[str, Any]]:
        return {row["source_key"].removeprefix("raw/"): row for row in self.published(LOADS) or []}

    def sums(self) -> dict[str, list[int]]:
        rows = self.published(summary_key("companydata")) or []
        return {row["Dept"]: [row["rows"], row["Sold"], row["Returned"], row["Ordered"]] for row in rows}

    def outputs(self) -> dict[str, bytes]:
        """Return every clean and rejected object, byte for byte."""
        found = {}
        for prefix in ("clean/", "rejected/"):
            for item in self.store.list(prefix):
                with self.store.open(item.key) as (_, stream):
                    found[item.key] = stream.read()
        return found

    def wait_loaded(self, *names: str, seconds: float = 60) -> dict[str, dict[str, Any]]:
        """Wait until the newest version of each file has its result; give its row of `loads.parquet`."""
        etags = {name: self.store.stat(f"raw/{name}").etag for name in names}

        def rows() -> dict[str, dict[str, Any]]:
            known = self.loads()
            done = all(
                name in known and (known[name]["etag"], known[name]["status"]) in [(etag, "loaded"), (etag, "refused")]
                for name, etag in etags.items()
            )
            return {name: known[name] for name in names} if done else {}

        return until(rows, seconds, f"the result of {', '.join(names)}")

    def start(self, *arguments: str, prepare: Prepare | None = None, **variables: str) -> Program:
        """Start `python -m pipeline …`; `prepare` is called in its process before anything else."""
        log = self.state.parent / "pipeline.log"
        return program.start(arguments, {**self.environ, **variables}, log, log, prepare)

    def finish(self, *arguments: str, prepare: Prepare | None = None, seconds: float = 120, **variables: str) -> int:
        """Run `python -m pipeline …` to its end and give its exit code."""
        return self.start(*arguments, prepare=prepare, **variables).wait(seconds)

    def command(self, *arguments: str, prepare: Prepare | None = None, **variables: str) -> CompletedProcess[str]:
        """Run `python -m pipeline …` to its end and give what it said."""
        with tempfile.TemporaryDirectory() as folder:
            said = Path(folder, "stdout"), Path(folder, "stderr")
            code = program.start(arguments, {**self.environ, **variables}, *said, prepare).wait(120)
            return CompletedProcess(arguments, code, *(path.read_text() for path in said))

    @contextmanager
    def pipeline(self, *, prepare: Prepare | None = None, **variables: str) -> Iterator[Program]:
        """Run `python -m pipeline run` while the block runs; it must stop cleanly when asked."""
        running = self.start("run", prepare=prepare, **variables)
        try:
            yield running
            running.stop()
        finally:
            if running.alive:
                running.kill()


def new_lake(store: ObjectStore, environ: dict[str, str], state: Path) -> Lake:
    settings = {
        "PIPELINE_DATASETS": str(DATASETS),
        "PIPELINE_WORKERS": "2",
        "TABLES_SECONDS": "0",  # who tests tables switches them on
        **environ,
        "PIPELINE_STATE": str(state),
    }
    return Lake(store, {**os.environ, **settings}, state)


@pytest.fixture
def local_lake(tmp_path) -> Lake:
    """Lake in a folder, for what has nothing to do with the kind of store."""
    url = str(tmp_path / "lake")
    return new_lake(open_store(url), {"LAKE_URL": url}, tmp_path / "state")


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.needs_engine)])
def lake(request, tmp_path) -> Lake:
    if request.param == "local":
        return request.getfixturevalue("local_lake")
    minio = request.getfixturevalue("minio")
    store = minio.new_store()
    return new_lake(store, minio.environ(store.bucket), tmp_path / "state")


def history(lake: Lake) -> int:
    """Count the loads that the ledger has ever committed."""
    with closing(sqlite3.connect(lake.state / "ledger.sqlite")) as db:
        [(count,)] = db.execute("SELECT count(*) FROM history")
    return int(count)


def statuses(lake: Lake) -> Counter[str]:
    return Counter(row["status"] for row in lake.loads().values())
