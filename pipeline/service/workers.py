"""The workers: room for so many loads at a time, of some small files or of one, and what becomes of each."""

import logging
import random
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any, Literal, Self

from common.errors import StoreUnavailable
from common.logs import fields
from lake.stores.base import ObjectChanged, ObjectInfo
from pipeline.ledger.ledger import now
from pipeline.load.load import load, remove_outputs
from pipeline.model.problem import LIST_LIMIT, shortened
from pipeline.model.task import BeingWritten, NotReady, Result, Skipped, SourceGone, Task
from pipeline.readers import is_small
from pipeline.service.availability import no_room, note_full, note_room, obstacle, wait_until_clear
from pipeline.service.context import Pipeline
from pipeline.service.executor import Closed, Died, Outcomes
from pipeline.service.lease import check_lake

STOP_SECONDS = 20.0  # what is in flight has this long to end
CHANGING_SECONDS = 0.5  # until a file that was written to while it was read is read again

log = logging.getLogger(__name__)


class Workers:
    """Room for so many loads at a time; with none, a load runs at once in the caller's thread, for a debugger."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.size = max(1, pipeline.workers)
        self.room = BoundedSemaphore(self.size)
        self.pool = ThreadPoolExecutor(self.size, "load") if pipeline.workers else _Inline()
        self.running: set[Future[None]] = set()

    def __enter__(self) -> Self:
        """Begin with nothing running."""
        return self

    def __exit__(self, *error: object) -> None:
        """End within 20 s; a load that takes longer is dropped, and runs again at the next start."""
        deadline = time.monotonic() + STOP_SECONDS
        while self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        self.pool.shutdown(wait=False, cancel_futures=True)
        if self.running:
            self.pipeline.ledger.release_all()

    def start_next(self, wait: float) -> Literal["started", "full", "nothing"]:
        """Start to load what has waited longest; where that cannot be, wait a little and say why not."""
        if self.pipeline.away.is_set():
            wait_until_clear(self.pipeline)
            if not self.pipeline.stop.is_set():
                self.pipeline.away.clear()
        if not self.room.acquire(timeout=wait):
            return "full"
        self.pipeline.wake.clear()
        tasks = self.pipeline.ledger.take(self.pipeline.workers, self.pipeline.pace)
        if not tasks:
            self.room.release()
            self.pipeline.wake.wait(wait)
            return "nothing"
        future = self.pool.submit(process, self.pipeline, tasks)
        self.running.add(future)
        future.add_done_callback(self._ended)
        return "started"

    def _ended(self, future: "Future[None]") -> None:
        self.running.discard(future)
        self.room.release()
        self.pipeline.wake.set()
        self.pipeline.changed.set()
        if not future.cancelled() and (error := future.exception()):
            self.pipeline.give_up(error)


def process(pipeline: Pipeline, tasks: Sequence[Task]) -> None:
    """Load files and note what came of each; whatever is wrong with one, the others are loaded all the same."""
    began = time.monotonic()
    try:
        check_lake(pipeline.store, pipeline.ledger)  # so that nothing is loaded into one that was wiped
    except Exception as error:
        for task in tasks:
            pipeline.ledger.release(task, harmless=True)
        if not isinstance(error, StoreUnavailable | PermissionError):
            raise
        pipeline.away.set()
        pipeline.stop.wait(CHANGING_SECONDS)  # it may take a probe, and yet not be read
        return
    try:
        outcomes = _load(pipeline, tasks)
    except Closed:  # at the end of the program, which has let them wait again
        return
    except Died as death:
        for key in pipeline.ledger.count_deaths(tasks, str(death)):
            log.error(fields("failed", key=key, error=f"the process that loaded it alone {death}"))
        return
    pipeline.pace |= dict.fromkeys((task.dataset for task in tasks), (time.monotonic() - began) / len(tasks))
    _note(pipeline, outcomes)


def _note(pipeline: Pipeline, outcomes: Outcomes) -> None:
    """Commit results, and settle the other tasks."""
    if results := {task: one for task, one in outcomes.items() if isinstance(one, Result)}:
        _finish(pipeline, results)
    if any(isinstance(one, ObjectChanged) for one in outcomes.values()):
        pipeline.stop.wait(CHANGING_SECONDS)
    for task, one in outcomes.items():
        if not isinstance(one, Result):
            _settle(pipeline, task, one)
        if not isinstance(one, Skipped) and not (isinstance(one, Exception) and no_room(one)):
            note_room(pipeline, task.source_key)


def _load(pipeline: Pipeline, tasks: Sequence[Task]) -> Outcomes:
    """Load small files in a process beside this one, and whatever a process has died of before."""
    fit = all(is_small(task.source_key, task.size) or task.alone for task in tasks)
    beside = pipeline.cores.load(tasks) if pipeline.cores and fit else {}
    here = [task for task in tasks if task not in beside]
    loaded = load(pipeline.store, pipeline.datasets, pipeline.staging, here)
    return beside | dict(zip(here, loaded, strict=True))


def _finish(pipeline: Pipeline, results: Mapping[Task, Result]) -> None:
    """Commit loads, all at once; where one of them cannot be, that one alone fails."""
    try:
        pipeline.ledger.commit(results)
    except sqlite3.Error:
        raise
    except Exception as error:
        for task, result in results.items():
            if len(results) > 1:
                _finish(pipeline, {task: result})
            else:
                _release_or_fail(pipeline, task, error)
    else:
        for task, result in results.items():
            _log_result(task, result)


def _settle(pipeline: Pipeline, task: Task, outcome: ObjectInfo | Exception) -> None:
    """Note what came of a file that has no new result."""
    ledger = pipeline.ledger
    if isinstance(outcome, ObjectInfo):
        ledger.mark_unchanged(task, outcome)
    elif isinstance(outcome, Skipped):
        ledger.release(task)
    elif isinstance(outcome, ObjectChanged):
        ledger.release(task, harmless=True)
    elif isinstance(outcome, NotReady):
        if ledger.defer(task, str(outcome)):
            level = logging.INFO if isinstance(outcome, BeingWritten) else logging.WARNING
            log.log(level, fields("waits", key=task.source_key, reason=outcome, action="try again"))
    elif not isinstance(outcome, SourceGone):
        _release_or_fail(pipeline, task, outcome)
    elif not task.retract:
        ledger.mark_missing(task)
    else:
        try:
            remove_outputs(pipeline.store, task.source_key)
        except Exception as error:
            _release_or_fail(pipeline, task, error)
        else:
            ledger.retract(task)
            log.info(fields("retracted", key=task.source_key))


def _release_or_fail(pipeline: Pipeline, task: Task, error: Exception) -> None:
    if seen := no_room(error):
        pipeline.ledger.release(task)
        note_full(pipeline, task.source_key, seen)
        return
    if pipeline.away.is_set() or obstacle(pipeline):  # it would be the same for every file
        pipeline.ledger.release(task)
        pipeline.away.set()
        return
    pause = 2**task.attempts * random.uniform(0.5, 1.5)
    pipeline.ledger.mark_failed(task, f"{type(error).__name__}: {shortened(str(error), LIST_LIMIT)}", pause)
    log.error(fields("failed", key=task.source_key, attempt=task.attempts + 1, error=repr(error)), exc_info=error)


def _log_result(task: Task, result: Result) -> None:
    record, took = result.record, (now() - task.landed_at) / 1000
    counts = {name: getattr(record, f"rows_{name}") for name in ("kept", "dropped", "rejected")}
    problem = {"problem": record.first_problem} if record.first_problem else {}
    facts = {"rows": record.rows_read, **counts, "ms": took, "found_by": task.found_by, **problem}
    level = logging.WARNING if problem else logging.INFO  # a file with a problem lost records, or is refused
    log.log(level, fields(record.status, key=task.source_key, **facts))


class _Inline(Executor):
    """Runs what is submitted at once, in the thread that submits it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future
