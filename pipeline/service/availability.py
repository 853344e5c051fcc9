"""Pause all loads while the store or the state folder is unavailable or full; log its start and its end once."""

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import StoreFull, StoreUnavailable, no_room_cause
from common.logs import fields
from lake.layout import PUBLISHED
from pipeline.service.context import NoRoom, Outage, Pipeline

PAUSES = (0.2, 5.0)  # seconds between two probes: the first pause and the longest
PROBE = 64 << 10  # bytes that a probe writes: a disk that is full often still takes a few

log = logging.getLogger(__name__)


def probe(pipeline: Pipeline) -> Outage | None:
    """Write to the store and to the state folder; return the outage that this meets, None if both take the bytes."""
    key = f"{PUBLISHED}.probe"
    try:
        pipeline.store.put(key, bytes(PROBE))
        pipeline.store.delete(key)
    except StoreUnavailable as error:
        return Outage("store away", "store back", str(error))
    except PermissionError as error:
        return Outage("store refuses", "store back", str(error))
    try:
        _probe_folder(pipeline.staging)
    except OSError as error:
        reason = f"PIPELINE_STATE: {pipeline.staging} cannot be written: {error.strerror}"
        return Outage("state away", "state back", reason)
    return None


def _probe_folder(folder: Path) -> None:
    file = folder / "probe"
    try:
        file.write_bytes(bytes(PROBE))
    finally:
        file.unlink(missing_ok=True)


def retry_until_available(pipeline: Pipeline, act: Callable[[], object]) -> None:
    """Call `act`, and again after each outage of the store; return without a call once `stop` is set."""
    while not pipeline.stop.is_set():
        try:
            act()
        except StoreUnavailable as error:
            wait_until_available(pipeline, Outage("store away", "store back", str(error)))
        else:
            return


def wait_until_available(pipeline: Pipeline, outage: Outage | None = None) -> None:
    """Wait until a probe succeeds, or `stop` is set. Log the outage once, and its end once."""
    if pipeline.no_room:
        _wait_for_room(pipeline, pipeline.no_room)
    pause, logged, current = PAUSES[0], None, outage or probe(pipeline)
    while current and not pipeline.stop.is_set():
        if not logged or current.started != logged.started:
            log.warning(fields(current.started, lake=pipeline.store.url, error=current.reason, action="wait"))
        logged = current
        pipeline.stop.wait(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, PAUSES[1])
        current = probe(pipeline)
    if logged and not pipeline.stop.is_set():
        log.info(fields(logged.ended, lake=pipeline.store.url))
        pipeline.gap.set()


def outage_of(error: BaseException) -> Outage | None:
    """Return the outage if a load failed for lack of room: in the store, or on the disk of the state folder."""
    cause = no_room_cause(error)
    if isinstance(cause, StoreFull):
        return Outage("store full", "store has room", str(cause))
    return Outage("state full", "state has room", f"PIPELINE_STATE: {cause}") if cause else None


def pause_for_room(pipeline: Pipeline, key: str, outage: Outage) -> None:
    """Pause all loads because one had no room, and log it once. The bytes of a probe may find room all the same."""
    before = pipeline.no_room if pipeline.no_room and pipeline.no_room.outage.started == outage.started else None
    if before is None:
        log.warning(fields(outage.started, lake=pipeline.store.url, key=key, error=outage.reason, action="wait"))
        pause = PAUSES[0]
    else:  # loads that fail at the same time count once
        pause = before.pause if pipeline.away.is_set() else min(2 * before.pause, PAUSES[1])
    pipeline.no_room = NoRoom(outage, before.key if before else key, pause, _free(pipeline.staging))
    pipeline.away.set()


def resume_with_room(pipeline: Pipeline, key: str) -> None:
    """End the pause for lack of room, and log it, once the file that had no room has another outcome."""
    if pipeline.no_room and pipeline.no_room.key == key:
        log.info(fields(pipeline.no_room.outage.ended, lake=pipeline.store.url))
        pipeline.no_room, pipeline.back_at = None, time.monotonic()


def _wait_for_room(pipeline: Pipeline, no_room: NoRoom) -> None:
    """Wait for the pause, or until the state folder has more room: other files may be small enough."""
    deadline = time.monotonic() + no_room.pause * random.uniform(0.5, 1.0)
    while time.monotonic() < deadline and _free(pipeline.staging) < no_room.free + PROBE:
        if pipeline.stop.wait(min(no_room.pause, PAUSES[0])):
            return


def _free(folder: Path) -> int:
    try:
        file_system = os.statvfs(folder)
    except OSError:
        return 0
    return file_system.f_bavail * file_system.f_frsize


class RetryLater:
    """Guard a recurring step against an unavailable store or disk; log failures of the same kind once."""

    def __init__(self, event: str) -> None:
        self._event, self._logged = event, False

    @contextmanager
    def attempt(self, pipeline: Pipeline) -> Iterator[None]:
        """Run the block. Swallow errors of availability: its caller runs the block again later."""
        try:
            yield
            self._logged = False
        except StoreUnavailable:
            pipeline.away.set()  # whoever waits for the end of the outage logs it
            pipeline.changed.set()
        except OSError as error:
            if not isinstance(error, PermissionError) and not no_room_cause(error):
                raise
            pipeline.changed.set()
            if not self._logged:
                log.error(fields(self._event, error=error, action="will try again"))
            self._logged = True
