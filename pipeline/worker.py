"""The work: a watcher that only notes, a sweeper that lists, workers that load, a publisher that tells."""

import logging
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore, Event, Thread
from typing import Any, Literal

from pipeline.ledger import Ledger, now
from pipeline.load import Result, SourceGone, Task, load
from pipeline.ownership import HEARTBEAT, keep_lake, sign_out
from pipeline.publish import Publisher
from pipeline.recipe import Dataset
from pipeline.sweep import sweep
from storage import Gap, ObjectChanged, ObjectStore, StoreUnavailable
from storage.console import fields
from storage.layout import LAKE, RAW

PUBLISH_PAUSE = 0.25  # seconds: `published/` changes at most four times a second
STOP_SECONDS = 20.0  # what is in flight has this long to end
FIRST_GAP_SECONDS = 2.0  # a watch that does not listen by then is not waited for
AWAY_PAUSES = (0.2, 5.0)  # seconds between two looks whether the store is back: the first and the longest

log = logging.getLogger(__name__)


@dataclass
class Pipeline:
    """The parts of a running pipeline, and the signals between its threads."""

    store: ObjectStore
    ledger: Ledger
    datasets: dict[str, Dataset]
    staging: Path
    workers: int = 4
    sweep_seconds: float = 30.0
    stop: Event = field(default_factory=Event)
    gap: Event = field(default_factory=Event)  # writes may have gone unseen: list
    wake: Event = field(default_factory=Event)  # there may be work, or room for it
    changed: Event = field(default_factory=Event)  # there is something to publish
    away: Event = field(default_factory=Event)  # the store did not answer
    errors: list[BaseException] = field(default_factory=list)


def follow(pipeline: Pipeline) -> None:
    """Load what comes until `stop` is set; then finish what is in flight, and publish."""
    threads = _start(pipeline, watch, sweep_by_the_clock, publish_changes)
    with _Workers(pipeline) as workers:
        while not pipeline.stop.is_set():
            workers.start_next(wait=0.5)
    _end(pipeline, threads)


def drain(pipeline: Pipeline, progress: Callable[[], None]) -> None:
    """List once, load until nothing waits, and publish; `progress` is called after each file."""
    when_there(pipeline, lambda: sweep(pipeline.store, pipeline.ledger))
    threads = _start(pipeline, publish_changes)
    with _Workers(pipeline) as workers:
        while not pipeline.stop.is_set():
            idle = workers.idle  # before the look: what ends during it may leave more to do
            if workers.start_next(wait=0.05) == "nothing" and idle:
                break
            progress()
    pipeline.stop.set()
    _end(pipeline, threads)


def _start(pipeline: Pipeline, *parts: Callable[[Pipeline], None]) -> list[Thread]:
    threads = [Thread(target=_guarded, args=(pipeline, part), name=part.__name__, daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    return threads


def _end(pipeline: Pipeline, threads: list[Thread]) -> None:
    """Wait for the threads, sign out and publish for the last time; where a part broke, raise its error."""
    deadline = time.monotonic() + STOP_SECONDS / 4
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if pipeline.errors:
        raise pipeline.errors[0]
    sign_out(pipeline.ledger)
    try:
        if not pipeline.away.is_set():
            Publisher(pipeline.store, pipeline.ledger, pipeline.datasets).publish()
    except (StoreUnavailable, PermissionError) as error:
        log.warning(fields("not published", error=error, action="the next start will"))


def watch(pipeline: Pipeline) -> None:
    """Note every write that the store tells of; loading here would make the server drop events."""
    for item in pipeline.store.watch(RAW, pipeline.stop):
        if isinstance(item, Gap):
            pipeline.gap.set()
        elif pipeline.ledger.notice(item, "event"):
            pipeline.wake.set()
            pipeline.changed.set()


def sweep_by_the_clock(pipeline: Pipeline) -> None:
    """List at every gap and by the clock, and then not before ten times as long as the last listing took."""
    pause, complaint = FIRST_GAP_SECONDS, _Complaint("no listing")
    with _own_ledger(pipeline) as ledger:
        while not _wait_any(pipeline.gap, pipeline.stop, pause):
            pipeline.gap.clear()
            began = time.monotonic()
            with complaint.about(pipeline):
                sweep(pipeline.store, ledger)
            pipeline.wake.set()
            pipeline.changed.set()
            pause = max(pipeline.sweep_seconds, 10 * (time.monotonic() - began))


def publish_changes(pipeline: Pipeline) -> None:
    """Publish soon after a change, and move the heartbeat."""
    complaint = _Complaint("not published")
    with _own_ledger(pipeline) as ledger:
        publisher = Publisher(pipeline.store, ledger, pipeline.datasets)
        while not pipeline.stop.is_set():
            pipeline.changed.clear()
            with complaint.about(pipeline):
                keep_lake(pipeline.store, ledger)
                publisher.publish()
            pipeline.stop.wait(PUBLISH_PAUSE)
            _wait_any(pipeline.changed, pipeline.stop, HEARTBEAT)


class _Complaint:
    """Says once that the store does not let a part do its work, and lets it try again."""

    def __init__(self, what: str) -> None:
        self.what, self.said = what, False

    @contextmanager
    def about(self, pipeline: Pipeline) -> Iterator[None]:
        """Run the block; a store that is away or refuses makes the part try again, later."""
        try:
            yield
            self.said = False
        except StoreUnavailable:
            pipeline.away.set()  # which says so
            pipeline.changed.set()
        except PermissionError as error:
            pipeline.changed.set()
            if not self.said:
                log.error(fields(self.what, error=error, action="will try again"))
            self.said = True


@contextmanager
def _own_ledger(pipeline: Pipeline) -> Iterator[Ledger]:
    """Give a connection of one's own, so that a long reading holds up nobody."""
    ledger = Ledger(pipeline.ledger.path)
    try:
        yield ledger
    finally:
        ledger.close()


def when_there(pipeline: Pipeline, act: Callable[[], object]) -> None:
    """Do something once the store answers, and again if it goes away meanwhile; not at all after `stop`."""
    while not pipeline.stop.is_set():
        wait_for_store(pipeline)
        try:
            act()
        except StoreUnavailable as error:
            log.warning(fields("store away", lake=pipeline.store.url, error=error, action="wait"))
            pipeline.stop.wait(AWAY_PAUSES[1])
        else:
            return


def wait_for_store(pipeline: Pipeline) -> None:
    """Wait until the store answers; say so once when it does not, and once when it is back."""
    pause, said = AWAY_PAUSES[0], False
    while not pipeline.stop.is_set() and (problem := _silence(pipeline.store)):
        if not said:
            log.warning(fields("store away", lake=pipeline.store.url, error=problem, action="wait"))
        said = True
        pipeline.stop.wait(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, AWAY_PAUSES[1])
    if said and not pipeline.stop.is_set():
        log.info(fields("store back", lake=pipeline.store.url))
        pipeline.gap.set()


def _silence(store: ObjectStore) -> str:
    """Say why the store does not answer; nothing if it does."""
    try:
        with store.open(LAKE):  # a HEAD would not tell a bucket that is not there from an object that is not
            return ""
    except FileNotFoundError:
        return ""
    except StoreUnavailable as error:
        return str(error)


class _Workers:
    """Room for so many loads at a time; with none, a load runs at once in the caller's thread, for a debugger."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.size = max(1, pipeline.workers)
        self.room = BoundedSemaphore(self.size)
        self.pool = ThreadPoolExecutor(self.size, "load") if pipeline.workers else _Inline()
        self.running: set[Future[None]] = set()

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *error: object) -> None:
        """End within 20 s; a load that takes longer is dropped, and runs again at the next start."""
        deadline = time.monotonic() + STOP_SECONDS
        while self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        self.pool.shutdown(wait=False, cancel_futures=True)

    @property
    def idle(self) -> bool:
        return not self.running

    def start_next(self, wait: float) -> Literal["started", "full", "nothing"]:
        """Start the load that has waited longest; where that cannot be, wait a little and say why not."""
        if self.pipeline.away.is_set():
            wait_for_store(self.pipeline)
            self.pipeline.away.clear()
        if not self.room.acquire(timeout=wait):
            return "full"
        self.pipeline.wake.clear()
        task = self.pipeline.ledger.take()
        if task is None:
            self.room.release()
            self.pipeline.wake.wait(wait)
            return "nothing"
        future = self.pool.submit(process, self.pipeline, task)
        self.running.add(future)
        future.add_done_callback(self._ended)
        return "started"

    def _ended(self, future: "Future[None]") -> None:
        self.running.discard(future)
        self.room.release()
        self.pipeline.wake.set()
        self.pipeline.changed.set()
        if not future.cancelled() and (error := future.exception()):
            _give_up(self.pipeline, error)


def process(pipeline: Pipeline, task: Task) -> None:
    """Load one file and note what came of it; whatever is wrong with it, the next file is loaded all the same."""
    ledger = pipeline.ledger
    try:
        result = load(pipeline.store, pipeline.datasets.get(task.dataset), task, pipeline.staging)
    except SourceGone:
        ledger.lose(task)
    except ObjectChanged:
        ledger.release(task)
    except StoreUnavailable as error:
        if _silence(pipeline.store):
            ledger.release(task)
            pipeline.away.set()
        else:  # it answers, but not for this object
            _fail(ledger, task, error)
    except sqlite3.Error:
        raise
    except Exception as error:
        _fail(ledger, task, error)
    else:
        if result is None:
            ledger.keep(task)
        else:
            ledger.finish(task, result)
            _log_result(task, result)


def _fail(ledger: Ledger, task: Task, error: Exception) -> None:
    pause = 2**task.attempts * random.uniform(0.5, 1.5)
    ledger.fail(task, f"{type(error).__name__}: {error}", pause)
    log.error(fields("failed", key=task.source_key, attempt=task.attempts + 1, error=repr(error)), exc_info=error)


def _log_result(task: Task, result: Result) -> None:
    record, took = result.record, (now() - task.landed_at) / 1000
    said = {"rows": record.rows_kept, "ms": took, "found_by": task.found_by, "problem": record.first_problem}
    log.info(fields(record.status, key=task.source_key, **{name: one for name, one in said.items() if one is not None}))


def _guarded(pipeline: Pipeline, part: Callable[[Pipeline], None]) -> None:
    try:
        part(pipeline)
    except BaseException as error:
        _give_up(pipeline, error)


def _give_up(pipeline: Pipeline, error: BaseException) -> None:
    """End the program: a part that is broken must not leave the others to look alive."""
    pipeline.errors.append(error)
    pipeline.stop.set()
    pipeline.wake.set()


def _wait_any(event: Event, stop: Event, seconds: float) -> bool:
    """Wait for either event, at most so long; True if it is time to stop."""
    deadline = time.monotonic() + seconds
    while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
        if event.wait(min(left, 0.25)):
            break
    return stop.is_set()


class _Inline(Executor):
    """Runs what is submitted at once, in the thread that submits it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future
