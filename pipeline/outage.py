"""What to do while the store is away, or refuses: wait, say so once, and say once when it is back."""

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.parts import Pipeline
from storage import ObjectStore, StoreUnavailable
from storage.console import fields
from storage.layout import LAKE

PAUSES = (0.2, 5.0)  # seconds between two looks whether the store is back: the first and the longest

log = logging.getLogger(__name__)


def when_there(pipeline: Pipeline, act: Callable[[], object]) -> None:
    """Do something once the store answers, and again if it goes away meanwhile; not at all after `stop`."""
    while not pipeline.stop.is_set():
        wait_for_store(pipeline)
        try:
            act()
        except StoreUnavailable as error:
            log.warning(fields("store away", lake=pipeline.store.url, error=error, action="wait"))
            pipeline.stop.wait(PAUSES[1])
        else:
            return


def wait_for_store(pipeline: Pipeline) -> None:
    """Wait until the store answers; say so once when it does not, and once when it is back."""
    pause, said = PAUSES[0], False
    while not pipeline.stop.is_set() and (problem := silence(pipeline.store)):
        if not said:
            log.warning(fields("store away", lake=pipeline.store.url, error=problem, action="wait"))
        said = True
        pipeline.stop.wait(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, PAUSES[1])
    if said and not pipeline.stop.is_set():
        log.info(fields("store back", lake=pipeline.store.url))
        pipeline.gap.set()


def silence(store: ObjectStore) -> str:
    """Say why the store does not answer; nothing if it does."""
    try:
        with store.open(LAKE):  # a HEAD would not tell a bucket that is not there from an object that is not
            return ""
    except FileNotFoundError:
        return ""
    except StoreUnavailable as error:
        return str(error)


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
