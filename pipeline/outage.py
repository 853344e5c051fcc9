"""What to do while nothing can be loaded, whatever file it is: wait, say so once, and say once when it is over."""

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pipeline.parts import Pipeline
from storage import StoreUnavailable
from storage.console import fields
from storage.layout import PUBLISHED

PAUSES = (0.2, 5.0)  # seconds between two looks whether it is over: the first and the longest
PROBE = 64 << 10  # bytes that must find room: a disk that is full often still takes a few

log = logging.getLogger(__name__)


class Obstacle(NamedTuple):
    """Why nothing can be loaded: a word for the log while it stands, one for when it is over, and the reason."""

    said: str
    over: str
    reason: str


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


class Complaint:
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
