"""What runs: a watcher that only notes, a sweeper that lists, workers that load, a publisher that tells."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from threading import Event, Thread

from common.errors import StoreUnavailable
from common.logs import fields
from lake.heartbeat import HEARTBEAT_SECONDS
from lake.layout import RAW, source
from lake.stores.base import Gap, ObjectInfo
from pipeline.ledger.ledger import Ledger, key_text
from pipeline.ledger.reconcile import reconcile
from pipeline.service.availability import Complaint, when_there
from pipeline.service.context import Pipeline
from pipeline.service.lease import check_lake, release_lease, renew_lease
from pipeline.service.publish import Publisher
from pipeline.service.state_folder import forget_reason
from pipeline.service.workers import STOP_SECONDS, Workers

PUBLISH_PAUSE = 0.25  # seconds: `published/` changes at most four times a second
PROGRESS_PAUSE = 0.1  # seconds between two looks at how far it is
FIRST_GAP_SECONDS = 2.0  # a watch that does not listen by then is not waited for: MinIO's takes half a second
WRITERS_SECONDS = 3.0  # that `once` waits for files which cannot be read yet, when all others are done
AT_ONCE = 0.02  # seconds, in which the watch of a folder listens
FEW = 10_000  # known files: so few are rather listed at once, and again where the watch listens later

log = logging.getLogger(__name__)


def follow(pipeline: Pipeline) -> None:
    """Load what comes until `stop` is set; then finish what is in flight, and publish."""
    threads = _start(pipeline, watch, sweep_by_the_clock, publish_changes)
    with Workers(pipeline) as workers:
        while not pipeline.stop.is_set():
            workers.start_next(wait=0.5)
    _end(pipeline, threads)


def drain(pipeline: Pipeline, progress: Callable[[], None]) -> None:
    """List once, load until nothing waits or is to be tried again, and publish; `progress` is called meanwhile.

    Files that cannot be read as things are, as while a program writes them, are waited for a little, and then named.
    """
    when_there(pipeline, lambda: _sweep(pipeline, pipeline.ledger))
    threads, told, idle_since = _start(pipeline, publish_changes), 0.0, math.inf
    with Workers(pipeline) as workers:
        while not pipeline.stop.is_set():
            # Before the look, for what ends during it may leave more to do.
            done = not workers.running and not pipeline.ledger.has_retries()
            if workers.start_next(wait=0 if done else 0.05) == "nothing" and done:
                idle_since = min(idle_since, time.monotonic())
                if time.monotonic() > idle_since + WRITERS_SECONDS or not pipeline.ledger.deferred():
                    break
                pipeline.stop.wait(0.05)
            if time.monotonic() - told > PROGRESS_PAUSE:
                progress()
                told = time.monotonic()
    progress()
    for row in pipeline.ledger.deferred():
        log.warning(fields("not loaded", key=row["source_key"], reason=row["error"], action="the next start will"))
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
    for event in (pipeline.changed, pipeline.gap):  # who waits for one of these is to look whether it is time to stop
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
    """Note every write that the store tells of; loading here would make the server drop events."""
    for item in pipeline.store.watch(RAW, pipeline.stop):
        if isinstance(item, Gap):
            pipeline.gap.set()
        elif _note(pipeline.ledger, item):
            pipeline.wake.set()
            pipeline.changed.set()


def _note(ledger: Ledger, item: ObjectInfo) -> bool:
    """Note a write, and return whether it is news; what is not ours is logged when it is first seen."""
    known = "SELECT 1 FROM source WHERE source_key = ? AND status = 'ignored'"
    if (reason := source(item.key).ignored) and not ledger.rows(known, key_text(item.key)):
        log.info(fields("ignored", key=item.key, reason=reason))
    return ledger.notice(item, "event")


def sweep_by_the_clock(pipeline: Pipeline) -> None:
    """List at every gap and by the clock, and then not before ten times as long as the last listing took."""
    complaint = Complaint("no listing")
    with closing(Ledger(pipeline.ledger.path)) as ledger:  # one's own connection: a long reading holds up nobody
        pause = AT_ONCE if ledger.count_files() <= FEW else FIRST_GAP_SECONDS
        while not _wait_any(pipeline.gap, pipeline.stop, pause):
            pipeline.gap.clear()
            began = time.monotonic()
            with complaint.about(pipeline):
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
    """Publish soon after a change, in a fifth of the time at most, and move the heartbeat."""
    complaint = Complaint("not published")
    with closing(Ledger(pipeline.ledger.path)) as ledger:
        publisher, started = Publisher(pipeline.store, ledger, pipeline.datasets), 0.0
        while not pipeline.stop.is_set():
            pipeline.changed.clear()
            began = time.monotonic()
            if pipeline.started.is_set():
                started = started or began
                if began - started >= HEARTBEAT_SECONDS:  # one that ends at once has not got through its start
                    forget_reason(ledger)
            with complaint.about(pipeline):
                renew_lease(pipeline.store, ledger, started=pipeline.started.is_set())
                publisher.publish()
            # No longer than a heartbeat: the program may have stood still meanwhile, as at a breakpoint.
            pause = min(max(PUBLISH_PAUSE, 4 * (time.monotonic() - began)), HEARTBEAT_SECONDS)
            pipeline.stop.wait(pause)
            _wait_any(pipeline.changed, pipeline.stop, HEARTBEAT_SECONDS - pause)


def _guarded(pipeline: Pipeline, part: Callable[[Pipeline], None]) -> None:
    try:
        part(pipeline)
    except BaseException as error:
        pipeline.give_up(error)


def _wait_any(event: Event, stop: Event, seconds: float) -> bool:
    """Wait for either event, at most so long; True if it is time to stop."""
    deadline = time.monotonic() + seconds
    while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
        if event.wait(min(left, 0.25)):
            break
    return stop.is_set()
