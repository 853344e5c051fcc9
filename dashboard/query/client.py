"""Views, and the process in which each query runs."""

import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import pyarrow as pa

from dashboard.query.newest import Newest, newest_loads
from dashboard.query.result import CUT
from dashboard.query.sandbox import AT_ONCE, NOTE, QueryError, explained
from dashboard.query.tables import has_table, table_view
from lake.layout import CLEAN, LOADS, REJECTED, summary_key
from lake.status import Progress
from lake.stores.arrow_dataset import DamagedObject
from lake.stores.base import ObjectChanged, ObjectStore
from lake.stores.common_schema import SchemaConflict

log = logging.getLogger(__name__)

SECONDS = 10.0  # that a query may take
START_SECONDS = 60.0  # that its process may take to start
TICK = 0.2  # seconds between two calls of a query's `watch`
MAX_DATASETS = 20  # datasets whose columns are listed
FIRST = 1000  # objects of a view that are listed for its columns
WAY_OUT = (
    "Ask for less: fewer columns, or only the first rows (LIMIT without ORDER BY).\n"
    "published_summary_… has the sums already. Without tables (TABLES_SECONDS=0) a query over tens of thousands of\n"
    "files takes longer. A program of your own may take its time: DuckDB and pandas read the same tables."
)


@dataclass(frozen=True)
class Answer:
    """The result of a query: `cut` if it has more rows, `seconds` it took, a `note` for the reader.

    `at` is the time as of which it read the tables, None for the present.
    """

    frame: pd.DataFrame
    cut: bool
    seconds: float
    note: str = ""
    at: datetime | None = None


Watch = Callable[[int], None]
Process = subprocess.Popen[bytes]


class QueryRunner:
    """Runs `AT_ONCE` queries at a time, first come, first served, each in a process of its own.

    The process of the next query is started before it is needed.
    """

    def __init__(self, url: str) -> None:
        """Query the lake at `url`; one instance serves every visitor."""
        self._command = [sys.executable, "-m", "dashboard", "query", "--lake", url]
        self._changed = threading.Condition()
        self._queue: list[object] = []  # of queries: the first of them run, the others wait
        self._next: Process | None = None

    def run(
        self, views: Mapping[str, str], sql: str, watch: Watch = lambda _: None, at: datetime | None = None
    ) -> Answer:
        """Run a query over `views`, each a name and the prefix of its objects.

        Args:
            views: the views that the query may read.
            sql: the query.
            at: the time as of which the query reads; None for the present.
            watch: called every `TICK` seconds with the number of queries before this one, 0 while it runs. If `watch`
                raises, the query is ended, and the next query takes its place.

        Raises:
            QueryError: the query is wrong, refused, or takes more time or memory than it may.
        """
        with self._turn(watch):
            process = self._take()
            try:
                _await_start(process, watch)
                started = time.monotonic()
                request = {"views": dict(views), "sql": sql, "at": at and at.isoformat()}
                out, error = _communicate(process, json.dumps(request).encode(), watch)
            except BaseException:
                process.kill()
                process.communicate()
                raise
            finally:
                self.warm()
        if process.returncode == 0:
            return _answer(out, time.monotonic() - started, at)
        if process.returncode == 1:
            raise QueryError(error.decode(errors="replace").strip())
        raise QueryError("The query was ended: it needed more memory than there is. Ask for fewer columns or rows.")

    @contextmanager
    def _turn(self, watch: Watch) -> Iterator[None]:
        place = object()
        with self._changed:
            self._queue.append(place)
        try:
            while (before := self._before(place)) >= AT_ONCE:
                self.warm()
                watch(before)
            yield
        finally:
            with self._changed:
                self._queue.remove(place)
                self._changed.notify_all()

    def _before(self, place: object) -> int:
        """Return the number of queries before this place, after a tick if it is not this one's turn."""
        with self._changed:
            if self._queue.index(place) >= AT_ONCE:
                self._changed.wait(TICK)
            return self._queue.index(place)

    def warm(self) -> Process:
        """Return the process of the next query, started if necessary."""
        with self._changed:
            if self._next and self._next.poll() is not None:  # it was ended from outside
                self._next.communicate()
                self._next = None
            if not self._next:
                pipe = subprocess.PIPE
                self._next = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: S603 (this program)
            return self._next

    def close(self) -> None:
        """End the process that waits for the next query."""
        with self._changed:
            if self._next:
                self._next.kill()
                self._next.communicate()
                self._next = None

    def _take(self) -> Process:
        with self._changed:
            process, self._next = self.warm(), None
            return process


def _await_start(process: Process, watch: Watch) -> None:
    """Wait for the byte that a process writes when it can take a query: on a busy machine that takes a while."""
    assert process.stdout
    end = time.monotonic() + START_SECONDS
    while not select.select([process.stdout], [], [], TICK)[0]:
        if time.monotonic() > end:
            raise QueryError(f"The query was not run: its process did not start within {START_SECONDS:.0f} seconds.")
        watch(0)
    if not os.read(process.stdout.fileno(), 1):
        log.error("the process of a query did not start: %s", process.communicate()[1].decode(errors="replace"))
        raise QueryError("The query was not run: its process did not start. The dashboard's log says why.")


def _communicate(process: Process, request: bytes, watch: Watch) -> tuple[bytes, bytes]:
    end = time.monotonic() + SECONDS
    while True:
        try:
            return process.communicate(request, TICK)
        except subprocess.TimeoutExpired:
            request = b""  # `communicate` remembers the rest
        if time.monotonic() > end:
            raise QueryError(f"The query was ended after {SECONDS:.0f} seconds.\n\n{WAY_OUT}")
        watch(0)


def _answer(out: bytes, seconds: float, at: datetime | None) -> Answer:
    table = pa.ipc.open_stream(out).read_all()
    metadata = table.schema.metadata or {}
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return Answer(frame, CUT in metadata, seconds, metadata.get(NOTE, b"").decode(), at)


def views(loaded: Collection[str], rejected: Collection[str] | None = None) -> dict[str, str]:
    """Return name and prefix of the views of datasets with loaded files, and of those with rejects (default: the same).

    Of two names that differ in case alone, only the first is returned.
    """
    rejected, prefixes = loaded if rejected is None else rejected, {}
    for dataset in sorted({*loaded, *rejected}):
        if dataset in loaded:
            prefixes[f"clean_{dataset}"] = f"{CLEAN}{dataset}/"
        if dataset in rejected:
            prefixes[f"rejected_{dataset}"] = f"{REJECTED}{dataset}/"
        if dataset in loaded:
            prefixes[f"published_summary_{dataset}"] = summary_key(dataset)
    return _first_spelling(prefixes | {"published_loads": LOADS})


def _first_spelling(views: dict[str, str]) -> dict[str, str]:
    first = {name.lower(): name for name in reversed(views)}
    return {name: prefix for name, prefix in views.items() if first[name.lower()] == name}


def known_views(datasets: Mapping[str, Progress]) -> tuple[dict[str, str], dict[str, str]]:
    """Return all views, and those of them to list: of the first `MAX_DATASETS` datasets that have an object.

    A dataset without contract or files costs no look into the store; a query may name its views all the same.
    """
    loaded = {name for name, progress in datasets.items() if progress.files.loaded or progress.files.missing}
    rejected = {name for name, progress in datasets.items() if progress.files.refused or progress.rows.rejected}
    names = [*sorted(loaded), *sorted(rejected - loaded)][:MAX_DATASETS]
    listed = views(loaded.intersection(names), rejected.intersection(names))
    return _first_spelling(listed | views(datasets)), listed


def schemas(store: ObjectStore, views: Mapping[str, str]) -> dict[str, pa.Schema]:
    """Return the columns of each view that has a sound object.

    Where the files of a view do not fit together, its schema has no columns, and its metadata say why.
    """
    newest = newest_loads(store)
    known = {name: _schema(store, prefix, newest) for name, prefix in views.items()}
    return {name: schema for name, schema in known.items() if schema.names or schema.metadata}


def _schema(store: ObjectStore, prefix: str, newest: Newest | None) -> pa.Schema:
    """Return the columns that a query finds: those of the table, or of the first objects."""
    try:
        view = table_view(store, prefix, newest) if newest and has_table(prefix) else None
        return store.dataset(prefix, FIRST).schema if view is None else view.schema
    except SchemaConflict as error:
        return pa.schema([], {NOTE: explained(error)})
    except (DamagedObject, ObjectChanged, FileNotFoundError):
        return pa.schema([])
