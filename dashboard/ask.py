"""SQL to an answer: which views there are, and the process that each query runs in."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from dashboard.sandbox import CUT, QueryError
from storage import ObjectStore
from storage.layout import CLEAN, LOADS, REJECTED, summary_key

SECONDS = 10.0  # that a query may take
WAY_OUT = (
    "Ask for less: fewer columns, or the first rows alone (LIMIT without ORDER BY).\n"
    "All of a dataset of tens of thousands of files takes longer, whatever is asked of it: published_summary_… is\n"
    "added up already, and a program of your own may take its time: DuckDB and pandas read the same objects."
)


@dataclass(frozen=True)
class Answer:
    """What came of a query; `cut` says that there are more rows, `seconds` what it took."""

    frame: pd.DataFrame
    cut: bool
    seconds: float


class Asker:
    """Runs one query at a time, each in a process that starts before it is needed and ends with its query."""

    def __init__(self, url: str) -> None:
        """Ask the lake at `url`; one instance serves every visitor."""
        self._command = [sys.executable, "-m", "dashboard", "query", "--lake", url]
        self._lock = threading.Lock()
        self._next: subprocess.Popen[bytes] | None = None

    def ask(self, views: Mapping[str, str], sql: str) -> Answer:
        """Run a query over `views`; `QueryError` if it is wrong, refused, or takes more time or memory than it may."""
        with self._lock:
            process, self._next = self._ready(), None
            started = time.monotonic()
            try:
                out, error = process.communicate(json.dumps({"views": dict(views), "sql": sql}).encode(), SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise QueryError(f"The query was ended after {SECONDS:.0f} seconds.\n\n{WAY_OUT}") from None
            finally:
                self._next = self._ready()
        if process.returncode == 0:
            return _answer(out, time.monotonic() - started)
        raise QueryError(
            error.decode(errors="replace").strip()
            if process.returncode == 1
            else "The query was ended, for it needed more memory than there is: ask for fewer columns or rows."
        )

    def warm(self) -> None:
        """Start the process of the first query, so that it does not wait for it."""
        if self._lock.acquire(blocking=False):
            try:
                self._next = self._ready()
            finally:
                self._lock.release()

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._next:
            if self._next.poll() is None:
                return self._next
            self._next.communicate()  # it was ended from outside
        pipe = subprocess.PIPE
        return subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=pipe)


def _answer(out: bytes, seconds: float) -> Answer:
    table = pa.ipc.open_stream(out).read_all()
    return Answer(table.to_pandas(types_mapper=pd.ArrowDtype), CUT in (table.schema.metadata or {}), seconds)


def views(datasets: Iterable[str]) -> dict[str, str]:
    """Give each view's name and the prefix of its objects; of two names that differ in case alone, the first."""
    found = {}
    for dataset in sorted(datasets):
        found[f"clean_{dataset}"] = f"{CLEAN}{dataset}/"
        found[f"rejected_{dataset}"] = f"{REJECTED}{dataset}/"
        found[f"published_summary_{dataset}"] = summary_key(dataset)
    found["published_loads"] = LOADS
    first = {name.lower(): name for name in reversed(found)}
    return {name: prefix for name, prefix in found.items() if first[name.lower()] == name}


def schemas(store: ObjectStore, views: Mapping[str, str]) -> dict[str, pa.Schema]:
    """Give the columns of each view that has an object, as the first one has them; a damaged one has none."""
    firsts = {name: next(iter(store.list(prefix)), None) for name, prefix in views.items()}
    found = {name: _schema(store, first.key) for name, first in firsts.items() if first}
    return {name: schema for name, schema in found.items() if schema is not None}


def _schema(store: ObjectStore, key: str) -> pa.Schema | None:
    try:
        return store.dataset(key).schema
    except (pa.ArrowException, OSError):
        with suppress(FileNotFoundError):
            store.stat(key)  # which tells a store that is away or refuses, while Arrow has one error for all
        return None


def examples(schemas: Mapping[str, pa.Schema]) -> dict[str, str]:
    """Give queries to start from, each by what it asks."""
    found = {}
    for name, schema in schemas.items():
        view, (kind, _, dataset) = quoted(name), name.partition("_")
        if kind == "clean":
            found[f"{dataset}: the first rows"] = f"SELECT *\nFROM {view}\nLIMIT 100"
            found[f"{dataset}: rows by file"] = (
                f"SELECT _source_key, count(*) AS rows\nFROM {view}\nGROUP BY ALL\nORDER BY rows DESC"
            )
            found |= _sums(dataset, view, schema)
        elif kind == "rejected":
            found[f"{dataset}: what is rejected, and how often"] = (
                f'SELECT rule, "column", count(*) AS problems, any_value(message) AS example\nFROM {view}\n'
                "GROUP BY ALL\nORDER BY problems DESC"
            )
    if "published_loads" in schemas:
        found["The slowest loads"] = (
            "SELECT source_key, date_diff('millisecond', landed_at, loaded_at) AS ms, rows_read\n"
            "FROM published_loads\nWHERE status = 'loaded'\nORDER BY ms DESC\nLIMIT 20"
        )
    return found


def _sums(dataset: str, view: str, schema: pa.Schema) -> dict[str, str]:
    own = [field for field in schema if not field.name.startswith("_")]
    text = next((field.name for field in own if pa.types.is_string(field.type)), None)
    numbers = [f.name for f in own if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)][:3]
    if not text or not numbers:
        return {}
    sums = ", ".join(f"sum({quoted(name)}) AS {quoted(name)}" for name in numbers)
    return {f"{dataset}: sums by {text}": f"SELECT {quoted(text)}, {sums}\nFROM {view}\nGROUP BY ALL\nORDER BY ALL"}


def quoted(name: str) -> str:
    """Write a name as SQL reads it."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
