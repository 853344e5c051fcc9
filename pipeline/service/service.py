"""The service: event listener, reconciler, workers and publisher, one thread each, and their shutdown."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

from common.errors import StoreUnavailable
from common.logs import fields
from lake.heartbeat import HEARTBEAT_SECONDS
from lake.layout import RAW
from lake.status import Executor
from lake.stores.base import Gap, ObjectInfo
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reconcile import reconcile
from pipeline.ledger.report import EXECUTOR
from pipeline.ledger.source_row import key_text
from pipeline.service.availability import RetryLater, retry_until_available
from pipeline.service.context import Pipeline
from pipeline.service.lease import check_lake, release_lease, renew_lease
from pipeline.service.publish import Publisher
from pipeline.service.state_folder import forget_reason
from pipeline.service.take_up import follow_contracts
from pipeline.service.workers import STOP_SECONDS, Workers

if TYPE_CHECKING:
    from pipeline.tables.tables import Tables

PUBLISH_PAUSE = 0.25  # seconds: `published/` changes at most four times a second
PROGRESS_PAUSE = 0.1  # seconds between two updates of the progress bar
FIRST_GAP_SECONDS = 2.0  # until the first listing, if the store does not listen by then: MinIO takes half a second
WRITERS_SECONDS = 3.0  # that `once` waits for deferred files, when all others are done
SHORT_GAP_SECONDS = 0.02  # the same where few files are known: the watch of a folder listens by then
FEW = 10_000  # known files: a listing of so few may be repeated when the watch listens later

log = logging.getLogger(__name__)


def follow(pipeline: Pipeline) -> None:
    """Load files as they arrive until `stop` is set; then finish the running loads, and publish."""
    threads = _start(pipeline, watch, sweep_by_the_clock, publish_changes, write_tables, follow_contracts)
    with Workers(pipeline) as workers:
        while not pipeline.stop.is_set():
            workers.start_next(wait=0.5)
    _end(pipeline, threads)


def drain(pipeline: Pipeline, progress: Callable[[], None]) -> None:
    """List once, load until nothing is pending or to be retried, and publish; call `progress` meanwhile.

    Files that cannot be read yet, as while a program writes them, are waited for a little, and then logged.
    """
    retry_until_available(pipeline, lambda: _sweep(pipeline, pipeline.ledger))
    threads, updated_at, idle_since = _start(pipeline, publish_changes), 0.0, math.inf
    with Workers(pipeline) as workers:
        while not pipeline.stop.is_set():
            # Before `start_next`: a load that ends during it may leave more to do.
            done = not workers.running and not pipeline.ledger.has_retries()
            if workers.start_next(wait=0 if done else 0.05) == "nothing" and done:
                idle_since = min(idle_since, time.monotonic())
                if time.monotonic() > idle_since + WRITERS_SECONDS or not pipeline.ledger.deferred():
                    break
                pipeline.stop.wait(0.05)
            if time.monotonic() - updated_at > PROGRESS_PAUSE:
                progress()
                updated_at = time.monotonic()
    progress()
    for row in pipeline.ledger.deferred():
        log.warning(fields("not loaded", key=row["source_key"], reason=row["error"], action="the next start will"))
    if pipeline.tables_seconds:
        with RetryLater("tables not written").attempt(pipeline):
            _update_tables(pipeline, _tables(pipeline, pipeline.ledger), all_due=True)
    pipeline.stop.set()
    _end(pipeline, threads)


def _start(pipeline: Pipeline, *parts: Callable[[Pipeline], None]) -> list[Thread]:
    threads = [Thread(target=_run_part, args=(pipeline, part), name=part.__name__, daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    return threads


def _end(pipeline: Pipeline, threads: list[Thread]) -> None:
    """Wait for the threads, release the lease and publish for the last time; raise a thread's error."""
    deadline = time.monotonic() + STOP_SECONDS / 4
    for event in (pipeline.changed, pipeline.gap):  # threads that wait for one of these check `stop` then
        event.set()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if pipeline.errors:
        raise pipeline.errors[0]
    release_lease(pipeline.ledger)
    forget_reason(pipeline.ledger)
    try:
        if not pipeline.away.is_set():
            check_lake(pipeline.store, pipeline.ledger)
            Publisher(pipeline.store, pipeline.ledger, pipeline.datasets).publish()
    except (StoreUnavailable, PermissionError) as error:
        log.warning(fields("not published", error=error, action="the next start will"))


def watch(pipeline: Pipeline) -> None:
    """Record every write that the store reports. Loading here would make the server drop events."""
    for item in pipeline.store.watch(RAW, pipeline.stop):
        if isinstance(item, Gap):
            pipeline.gap.set()
        elif _note(pipeline.ledger, item):
            pipeline.wake.set()
            pipeline.changed.set()


def _note(ledger: Ledger, item: ObjectInfo) -> bool:
    """Record a write; return True if the file needs loading. Log an ignored file when it is first seen."""
    known = "SELECT 1 FROM source WHERE source_key = ? AND status = 'ignored'"
    if (reason := ledger.classify(item.key).ignored) and not ledger.rows(known, key_text(item.key)):
        log.info(fields("ignored", key=item.key, reason=reason))
    return ledger.notice(item, "event")


def sweep_by_the_clock(pipeline: Pipeline) -> None:
    """List at every gap and at intervals: `sweep_seconds`, or ten times as long as the last listing took."""
    retry = RetryLater("no listing")
    with closing(Ledger(pipeline.ledger.path)) as ledger:  # a connection of its own: a long read blocks no other thread
        pause = SHORT_GAP_SECONDS if ledger.count_files() <= FEW else FIRST_GAP_SECONDS
        while not _wait_any(pipeline.gap, pipeline.stop, pause):
            pipeline.gap.clear()
            began = time.monotonic()
            with retry.attempt(pipeline):
                _sweep(pipeline, ledger)
            pipeline.wake.set()
            pipeline.changed.set()
            pause = max(pipeline.sweep_seconds, 10 * (time.monotonic() - began))


def _sweep(pipeline: Pipeline, ledger: Ledger) -> None:
    ours = partial(check_lake, pipeline.store, ledger)
    ours()
    reconcile(pipeline.store, ledger, ours, retract_deleted=pipeline.retract_deleted)
    pipeline.started.set()


def publish_changes(pipeline: Pipeline) -> None:
    """Publish soon after a change, using a fifth of the time at most, and renew the lease.

    A change is also that the executor describes itself in another way: a load has begun, or a worker has come or gone.
    """
    retry = RetryLater("not published")
    with closing(Ledger(pipeline.ledger.path)) as ledger:
        publisher, started = Publisher(pipeline.store, ledger, pipeline.datasets), 0.0
        executor: Executor | None = None
        while not pipeline.stop.is_set():
            pipeline.changed.clear()
            began = time.monotonic()
            if pipeline.started.is_set():
                started = started or began
                if began - started >= HEARTBEAT_SECONDS:  # a pipeline that ends earlier has not got through its start
                    forget_reason(ledger)
            if (described := pipeline.executor.describe()) != executor:
                ledger.set(EXECUTOR, described.model_dump_json())  # before the store is asked, which may be away
                executor = described
            with retry.attempt(pipeline):
                renew_lease(pipeline.store, ledger, started=pipeline.started.is_set())
                publisher.datasets = pipeline.datasets
                publisher.publish()
            # At most a heartbeat: the program may have been stopped meanwhile, as at a breakpoint.
            pause = min(max(PUBLISH_PAUSE, 4 * (time.monotonic() - began)), HEARTBEAT_SECONDS)
            pipeline.stop.wait(pause)
            _wait_for_change(pipeline, described, HEARTBEAT_SECONDS - pause)


def _wait_for_change(pipeline: Pipeline, executor: Executor, seconds: float) -> None:
    """Wait until there is something to publish or the executor describes itself in another way, at most `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and pipeline.executor.describe() == executor:
        if pipeline.changed.wait(min(left, 0.25)) or pipeline.stop.is_set():
            break


def write_tables(pipeline: Pipeline) -> None:
    """Bring the tables up to date at intervals."""
    if not pipeline.tables_seconds:
        return
    retry = RetryLater("tables not written")
    with closing(Ledger(pipeline.ledger.path)) as ledger:
        tables = _tables(pipeline, ledger)
        while not pipeline.stop.wait(pipeline.tables_seconds):
            if tables.datasets is not pipeline.datasets:
                tables = _tables(pipeline, ledger)
            if not pipeline.away.is_set():
                with retry.attempt(pipeline):
                    _update_tables(pipeline, tables)


def _tables(pipeline: Pipeline, ledger: Ledger) -> "Tables":
    from pipeline.tables.tables import Tables  # the library is loaded only where there are tables

    return Tables(pipeline.store, ledger, pipeline.datasets, pipeline.staging, pipeline.tables_keep)


def _update_tables(pipeline: Pipeline, tables: "Tables", *, all_due: bool = False) -> None:
    check_lake(pipeline.store, tables.ledger)
    tables.update(pipeline.stop, all_due=all_due)
    pipeline.changed.set()


def _run_part(pipeline: Pipeline, part: Callable[[Pipeline], None]) -> None:
    try:
        part(pipeline)
    except BaseException as error:
        pipeline.give_up(error)


def _wait_any(event: Event, stop: Event, seconds: float) -> bool:
    """Wait for either event, at most `seconds`; return whether `stop` is set."""
    deadline = time.monotonic() + seconds
    while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
        if event.wait(min(left, 0.25)):
            break
    return stop.is_set()
