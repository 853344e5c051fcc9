"""Executors: where batches of tasks are loaded. They return outcomes, and only the service writes the ledger.

An executor is given `load_batch`, one function that any process can unpickle. Whatever is known of processes, pipes and
signals stays in the executor's own file, so that a cluster can take the place of the processes of this machine.
"""

import os
import time
import traceback
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, Protocol

from common.errors import SettingError, StoreFull, StoreUnavailable, no_room_cause
from lake import status, stores
from lake.stores.base import ObjectChanged, ObjectStore, PutRefused
from pipeline.dataset.dataset import Dataset, make_dataset
from pipeline.dataset.definition import Definition
from pipeline.load.load import load
from pipeline.model.task import BeingWritten, NotReady, Outcome, Skipped, SourceGone, Task
from pipeline.readers.base import Limits

TaskBatch = Sequence[Task]
Outcomes = list[Outcome | Exception]  # one per task, in the order of the batch

VERSION = version("lakelet")
KEPT_EVENTS = 5
NAMED_FILES = 3  # of a worker, in the description of its executor

# The service acts on these by their kind. The more special kinds come first.
_KINDS = (
    SourceGone,
    Skipped,
    BeingWritten,
    NotReady,
    ObjectChanged,
    PutRefused,
    StoreFull,
    StoreUnavailable,
    PermissionError,
)


class BatchLost(Exception):
    """The process that loaded the batch ended, or was ended, before it returned outcomes: the message says how."""


class BatchNotLoaded(Exception):
    """The batch was given back, and no file of it is the reason: the message has it."""


class ExecutorClosed(Exception):
    """The executor was closed while the batch was loaded."""


class LoadFailed(Exception):
    """Unexpected error of a load in another process: its kind and message, and its traceback as a note."""


@dataclass(frozen=True)
class Loads:
    """Outcomes of a batch, and the worker that loaded it: the id of a process, or the name of a cluster's worker.

    `seconds` is the time that the worker took, without the wait for a worker.
    """

    outcomes: Outcomes
    worker: str
    seconds: float = 0.0


class Running(NamedTuple):
    """Batch of tasks that a worker loads now, and since when."""

    batch: TaskBatch
    since: datetime


class Events:
    """The last few events of an executor, for its description; any number of threads may add one."""

    def __init__(self) -> None:
        self._events: deque[status.Event] = deque(maxlen=KEPT_EVENTS)

    def add(self, text: str, batch: TaskBatch = ()) -> None:
        """Add an event, with the batch that has to be loaded again because of it."""
        keys = ", ".join(task.source_key for task in batch[:NAMED_FILES])
        more = f" and {len(batch) - NAMED_FILES:,} more" if len(batch) > NAMED_FILES else ""
        again = f"; loaded again, each by itself: {keys}{more}" if batch else ""
        self._events.appendleft(status.Event(at=datetime.now(UTC), text=text + again))

    def list(self) -> list[status.Event]:
        """Return the events, the newest first."""
        return list(self._events)


class Executor(Protocol):
    """Loads batches. Any number of threads may call it."""

    def room(self) -> int:
        """Return how many batches may be loaded at a time now; 0 while there is nobody to load one."""

    def wait_until_ready(self) -> None:
        """Wait until a batch can be loaded, so that no batch is in flight during the wait."""

    def load(self, batch: TaskBatch) -> Loads:
        """Load a batch and return the outcome of each task, as `pipeline.load.load` does.

        Raises:
            BatchLost: no outcome is known, because the process that loaded the batch ended.
            BatchNotLoaded: no outcome is known, through no fault of the batch: it may be loaded again at once.
            ExecutorClosed: no outcome is known, because `close` was called.
        """

    def renew(self, definitions: Iterable[Definition], fingerprints: Mapping[str, str]) -> None:
        """Load by these datasets from now on, which have these fingerprints; what is being loaded ends as it began."""

    def describe(self) -> status.Executor:
        """Return what the executor is and what its workers load now. The call is cheap and never waits."""

    def return_waiting(self) -> None:
        """End the loads that have not begun with `BatchNotLoaded`: the pipeline is about to stop."""

    def close(self) -> None:
        """Stop the loads that are running, and release what the executor holds."""


def worker_state(
    name: str, running: Sequence[Running], *, host: str = "", version: str = VERSION, other: str = ""
) -> status.WorkerState:
    """Return the description of a worker that loads these batches now."""
    keys = [task.source_key for batch, _ in running for task in batch]
    since = min((since for _, since in running), default=None)
    return status.WorkerState(
        name=name, host=host, version=version, other=other, loads=len(keys), files=keys[:NAMED_FILES], since=since
    )


class InlineExecutor:
    """Loads each batch in the thread that asks for it, so that a debugger sees an ordinary call."""

    def __init__(self, store: ObjectStore, datasets: dict[str, Dataset], staging: Path) -> None:
        self._store, self._datasets, self._staging = store, datasets, staging
        self._running: list[Running] = []
        self._worker = str(os.getpid())

    def room(self) -> int:
        """Return 1: there is one main thread."""
        return 1

    def wait_until_ready(self) -> None:
        """Do nothing: the caller's thread is ready."""

    def load(self, batch: TaskBatch) -> Loads:
        """Load a batch in this thread; see `Executor.load`."""
        self._running = [Running(batch, datetime.now(UTC))]
        began = time.monotonic()
        try:
            outcomes = load(self._store, self._datasets, self._staging, batch)
            return Loads(outcomes, self._worker, time.monotonic() - began)
        finally:
            self._running = []

    def renew(self, definitions: Iterable[Definition], fingerprints: Mapping[str, str]) -> None:
        """Do nothing: nothing is taken up where transforms run in the main process; see `Contracts`."""

    def describe(self) -> status.Executor:
        """Return what the main thread loads now; see `Executor.describe`."""
        return status.Executor(kind="main thread", workers=[worker_state(self._worker, self._running)])

    def return_waiting(self) -> None:
        """Do nothing: each load begins at once."""

    def close(self) -> None:
        """Do nothing: the caller's thread holds all there is."""


@dataclass(frozen=True)
class BatchSettings:
    """Settings of a process that loads batches; small, picklable and hashable.

    `bucket` has the variables that a bucket is opened with. The datasets come as bytes, so that a process which starts
    later loads by what the pipeline has taken up, whatever is in the files by then.
    """

    lake: str
    bucket: tuple[tuple[str, str], ...]
    limits: Limits
    staging: Path
    definitions: tuple[Definition, ...]


def batch_settings(
    lake: str, environ: Mapping[str, str], limits: Limits, staging: Path, definitions: Iterable[Definition]
) -> BatchSettings:
    """Return the settings of processes that load."""
    bucket = tuple((name, value) for name, value in environ.items() if name.startswith("AWS_"))
    return BatchSettings(lake, bucket, limits, staging, tuple(definitions))


@lru_cache(maxsize=1)
def opened(settings: BatchSettings) -> tuple[ObjectStore, dict[str, Dataset], dict[str, str]]:
    """Open the store and make the datasets, once per process; return why those that cannot be made here cannot."""
    datasets, wrong = dict[str, Dataset](), dict[str, str]()
    for definition in settings.definitions:
        try:
            datasets[definition.name] = make_dataset(definition, settings.limits)
        except SettingError as error:  # such as of a transform that reads a file which is gone
            wrong[definition.name] = str(error)
    store = stores.open_store(settings.lake, dict(settings.bucket), create=False)  # a lake that went away stays away
    return store, datasets, wrong


def load_batch(settings: BatchSettings, batch: TaskBatch) -> Outcomes:
    """Load a batch in a process of its own; every outcome can be pickled.

    A task is `NotReady` where its dataset, which the pipeline could read, cannot be read in this process.
    """
    store, datasets, wrong = opened(settings)
    results = iter(load(store, datasets, settings.staging, [task for task in batch if task.dataset not in wrong]))
    outcomes = list[Outcome | Exception]()
    for task in batch:
        outcomes.append(NotReady(wrong[task.dataset]) if task.dataset in wrong else portable(next(results)))
    return outcomes


def portable(outcome: Outcome | Exception) -> Outcome | Exception:
    """Return an outcome that can be pickled: an error by the kind that the service acts on, any other as text."""
    if not isinstance(outcome, Exception):
        return outcome
    cause = no_room_cause(outcome)
    if isinstance(cause, OSError) and cause.errno is not None:
        return OSError(cause.errno, cause.strerror, cause.filename)
    for kind in _KINDS:
        if isinstance(cause or outcome, kind):
            return kind(str(cause or outcome))
    failure = LoadFailed(f"{type(outcome).__name__}: {outcome}")
    failure.add_note("".join(traceback.format_exception(outcome)))
    return failure
