"""What to do while nothing can be loaded, whatever file it is: wait, say so once, and say once when it is over."""

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import NO_ROOM, StoreFull, StoreUnavailable
from common.logs import fields
from lake.layout import PUBLISHED
from pipeline.service.context import Full, Obstacle, Pipeline

PAUSES = (0.2, 5.0)  # seconds between two looks whether it is over: the first and the longest
PROBE = 64 << 10  # bytes that must find room: a disk that is full often still takes a few

log = logging.getLogger(__name__)


def obstacle(pipeline: Pipeline) -> Obstacle | None:
    """Say what stands in the way of every load; None if the store takes an object and the state folder a file."""
    probe = f"{PUBLISHED}.probe"
    try:
        pipeline.store.put(probe, bytes(PROBE))
        pipeline.store.delete(probe)
    except StoreUnavailable as error:
        return Obstacle("store away", "store back", str(error))
    except PermissionError as error:
        return Obstacle("store refuses", "store back", str(error))
    try:
        _probe_folder(pipeline.staging)
    except OSError as error:
        reason = f"PIPELINE_STATE: {pipeline.staging} cannot be written: {error.strerror}"
        return Obstacle("state away", "state back", reason)
    return None


def _probe_folder(folder: Path) -> None:
    probe = folder / "probe"
    try:
        probe.write_bytes(bytes(PROBE))
    finally:
        probe.unlink(missing_ok=True)


def when_there(pipeline: Pipeline, act: Callable[[], object]) -> None:
    """Do something once the store answers, and again if it goes away meanwhile; not at all after `stop`."""
    while not pipeline.stop.is_set():
        try:
            act()
        except StoreUnavailable as error:
            wait_until_clear(pipeline, Obstacle("store away", "store back", str(error)))
        else:
            return


def wait_until_clear(pipeline: Pipeline, seen: Obstacle | None = None) -> None:
    """Wait until nothing stands in the way; say so once when something does, and once when it is over."""
    if pipeline.full:
        _wait_for_room(pipeline, pipeline.full)
    pause, said, now = PAUSES[0], None, seen or obstacle(pipeline)
    while now and not pipeline.stop.is_set():
        if not said or now.said != said.said:
            log.warning(fields(now.said, lake=pipeline.store.url, error=now.reason, action="wait"))
        said = now
        pipeline.stop.wait(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, PAUSES[1])
        now = obstacle(pipeline)
    if said and not pipeline.stop.is_set():
        log.info(fields(said.over, lake=pipeline.store.url))
        pipeline.gap.set()


def no_room(error: BaseException | None) -> Obstacle | None:
    """Return what had no room, if that is why a load failed: the store, or the disk of the state folder."""
    while error:
        if isinstance(error, StoreFull):
            return Obstacle("store full", "store has room", str(error))
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return Obstacle("state full", "state has room", f"PIPELINE_STATE: {error}")
        error = error.__cause__ or error.__context__
    return None


def note_full(pipeline: Pipeline, key: str, seen: Obstacle) -> None:
    """Pause everything because a load had no room; say so once. The probe of `obstacle` is small, and may find some."""
    before = pipeline.full if pipeline.full and pipeline.full.obstacle.said == seen.said else None
    if before is None:
        log.warning(fields(seen.said, lake=pipeline.store.url, key=key, error=seen.reason, action="wait"))
        pause = PAUSES[0]
    else:  # several that find none at once are one
        pause = before.pause if pipeline.away.is_set() else min(2 * before.pause, PAUSES[1])
    pipeline.full = Full(seen, before.key if before else key, pause, _free(pipeline.staging))
    pipeline.away.set()


def note_room(pipeline: Pipeline, key: str) -> None:
    """Say that there is room again, once the file that had none has another outcome."""
    if pipeline.full and pipeline.full.key == key:
        log.info(fields(pipeline.full.obstacle.over, lake=pipeline.store.url))
        pipeline.full = None


def _wait_for_room(pipeline: Pipeline, full: Full) -> None:
    """Wait a little, and no longer once the state folder has more room: what else waits may be small enough."""
    deadline = time.monotonic() + full.pause * random.uniform(0.5, 1.0)
    while time.monotonic() < deadline and _free(pipeline.staging) < full.free + PROBE:
        if pipeline.stop.wait(min(full.pause, PAUSES[0])):
            return


def _free(folder: Path) -> int:
    try:
        facts = os.statvfs(folder)
    except OSError:
        return 0
    return facts.f_bavail * facts.f_frsize


class Complaint:
    """Says once that the store, or a full disk, does not let a part do its work, and lets it try again."""

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
        except OSError as error:
            if not isinstance(error, PermissionError) and not no_room(error):
                raise
            pipeline.changed.set()
            if not self.said:
                log.error(fields(self.what, error=error, action="will try again"))
            self.said = True
