"""SQL to an answer: which views there are, and the process that each query runs in."""

import json
import logging
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from dashboard.query.sandbox import AT_ONCE, CUT, NOTE, QueryError, explained
from lake.layout import CLEAN, LOADS, REJECTED, summary_key
from lake.status import Progress
from lake.stores.base import ObjectChanged, ObjectStore
from lake.stores.dataset import DamagedObject
from lake.stores.unify import SchemaConflict

log = logging.getLogger(__name__)

SECONDS = 10.0  # that a query may take
START_SECONDS = 60.0  # that its process may take to start
TICK = 0.2  # seconds between two looks whether the visitor still waits
MAX_DATASETS = 20  # whose columns are listed
FIRST = 1000  # objects of a view that are listed for its columns
WAY_OUT = (
    "Ask for less: fewer columns, or the first rows alone (LIMIT without ORDER BY).\n"
    "All of a dataset of tens of thousands of files takes longer, whatever is asked of it: published_summary_… is\n"
    "added up already, and a program of your own may take its time: DuckDB and pandas read the same objects."
)


@dataclass(frozen=True)
class Answer:
    """What came of a query; `cut` says that there are more rows, `seconds` what it took, `note` what to know of it."""

    frame: pd.DataFrame
    cut: bool
    seconds: float
    note: str = ""


Watch = Callable[[int], None]


class Asker:
    """Runs a few queries at a time, first come, first served, each in a process that ends with it.

    The process is started before it is needed.
    """

    def __init__(self, url: str) -> None:
        """Ask the lake at `url`; one instance serves every visitor."""
        self._command = [sys.executable, "-m", "dashboard", "query", "--lake", url]
        self._changed = threading.Condition()
        self._line: list[object] = []  # of those who ask: the first of them run, the others wait
        self._next: subprocess.Popen[bytes] | None = None

    def ask(self, views: Mapping[str, str], sql: str, watch: Watch = lambda _: None) -> Answer:
        """Run a query over `views`; `QueryError` if it is wrong, refused, or takes more time or memory than it may.

        `watch` is called every `TICK` seconds with how many queries are before this one, 0 once it runs. What it raises
        ends the query and gives its place to the next one.
        """
        with self._turn(watch):
            process = self._taken()
            try:
                _await_start(process, watch)
                started = time.monotonic()
                out, error = _communicate(process, json.dumps({"views": dict(views), "sql": sql}).encode(), watch)
            except BaseException:
                process.kill()
                process.communicate()
                raise
            finally:
                self.warm()
        if process.returncode == 0:
            return _answer(out, time.monotonic() - started)
        raise QueryError(
            error.decode(errors="replace").strip()
            if process.returncode == 1
            else "The query was ended, for it needed more memory than there is: ask for fewer columns or rows."
        )

    @contextmanager
    def _turn(self, watch: Watch) -> Iterator[None]:
        place = object()
        with self._changed:
            self._line.append(place)
        try:
            while (before := self._before(place)) >= AT_ONCE:
                self.warm()
                watch(before)
            yield
        finally:
            with self._changed:
                self._line.remove(place)
                self._changed.notify_all()

    def _before(self, place: object) -> int:
        """Return how many are before this place, after a tick if these are too many."""
        with self._changed:
            if self._line.index(place) >= AT_ONCE:
                self._changed.wait(TICK)
            return self._line.index(place)

    def warm(self) -> None:
        """Start the process of the next query, so that it does not wait for it."""
        with self._changed:
            self._next = self._ready()

    def _taken(self) -> subprocess.Popen[bytes]:
        with self._changed:
            process, self._next = self._ready(), None
            return process

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._next:
            if self._next.poll() is None:
                return self._next
            self._next.communicate()  # it was ended from outside
        pipe = subprocess.PIPE
        return subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: S603 (this program)


def _await_start(process: "subprocess.Popen[bytes]", watch: Watch) -> None:
    """Wait for the byte that a process writes once it can take a query: a busy machine starts none in a moment."""
    assert process.stdout
    end = time.monotonic() + START_SECONDS
    while not select.select([process.stdout], [], [], TICK)[0]:
        if time.monotonic() > end:
            raise QueryError(f"The query was not run: its process did not start within {START_SECONDS:.0f} seconds.")
        watch(0)
    if not os.read(process.stdout.fileno(), 1):
        log.error("the process of a query did not start: %s", process.communicate()[1].decode(errors="replace"))
        raise QueryError("The query was not run: its process did not start. The dashboard's log says why.")


def _communicate(process: "subprocess.Popen[bytes]", request: bytes, watch: Watch) -> tuple[bytes, bytes]:
    end, left = time.monotonic() + SECONDS, request
    while True:
        try:
            return process.communicate(left, TICK)
        except subprocess.TimeoutExpired:
            left = b""  # what is left of the request is known there
        if time.monotonic() > end:
            raise QueryError(f"The query was ended after {SECONDS:.0f} seconds.\n\n{WAY_OUT}")
        watch(0)


def _answer(out: bytes, seconds: float) -> Answer:
    table = pa.ipc.open_stream(out).read_all()
    told = table.schema.metadata or {}
    return Answer(table.to_pandas(types_mapper=pd.ArrowDtype), CUT in told, seconds, told.get(NOTE, b"").decode())


def views(datasets: Iterable[str]) -> dict[str, str]:
    """Return each view's name and the prefix of its objects; of two names that differ in case alone, the first."""
    found = {}
    for dataset in sorted(datasets):
        found[f"clean_{dataset}"] = f"{CLEAN}{dataset}/"
        found[f"rejected_{dataset}"] = f"{REJECTED}{dataset}/"
        found[f"published_summary_{dataset}"] = summary_key(dataset)
    found["published_loads"] = LOADS
    return _first_spelling(found)


def _first_spelling(views: dict[str, str]) -> dict[str, str]:
    first = {name.lower(): name for name in reversed(views)}
    return {name: prefix for name, prefix in views.items() if first[name.lower()] == name}


def known_views(datasets: Mapping[str, Progress]) -> tuple[dict[str, str], dict[str, str]]:
    """Return all views, and those of them to list: of the first datasets that have something to ask for.

    What has no contract, or no file yet, costs no look into the store; a query may name it all the same.
    """
    loaded = [name for name, one in datasets.items() if one.files.loaded or one.files.missing]
    bad = [name for name, one in datasets.items() if one.files.refused or one.rows.rejected]
    names = [*sorted(loaded), *sorted(set(bad) - set(loaded))][:MAX_DATASETS]
    found = views(names)
    unused = [view for name in names for view in _empty(name, name in loaded, name in bad)]
    listed = {name: prefix for name, prefix in found.items() if name not in unused}
    return _first_spelling(listed | views(datasets)), listed


def _empty(dataset: str, loaded: bool, bad: bool) -> list[str]:
    clean = [] if loaded else [f"clean_{dataset}", f"published_summary_{dataset}"]
    return clean if bad else [*clean, f"rejected_{dataset}"]


def schemas(store: ObjectStore, views: Mapping[str, str]) -> dict[str, pa.Schema]:
    """Return the columns of each view that has an object; a damaged one has none.

    Where files do not fit together there are no columns, and the metadata say why.
    """
    found = {name: _schema(store, prefix) for name, prefix in views.items()}
    return {name: schema for name, schema in found.items() if schema.names or schema.metadata}


def _schema(store: ObjectStore, prefix: str) -> pa.Schema:
    try:
        return store.dataset(prefix, FIRST).schema
    except SchemaConflict as error:
        return pa.schema([], {NOTE: explained(error)})
    except (DamagedObject, ObjectChanged, FileNotFoundError):
        return pa.schema([])


def examples(schemas: Mapping[str, pa.Schema]) -> dict[str, str]:
    """Give queries to start from, each by what it asks."""
    found = {}
    for name, schema in schemas.items():
        if not schema.names:
            continue
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
