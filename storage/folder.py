"""Finished writes in a folder, by watchdog."""

import logging
import os
import queue
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from storage.base import Gap
from storage.writers import being_written

LOOK_AGAIN = 1.0  # seconds between the two looks that must agree where no event tells that a file is closed
TICK = 0.25  # seconds until a watch sees that it should stop

# Watchdog says this of each folder that is made inside another new one; it then watches it as it should.
warnings.filterwarnings("ignore", "Callback with id .* already exists", RuntimeWarning)

_LINUX = sys.platform == "linux"
_EVENTS: list[type[FileSystemEvent]] = [FileClosedEvent, FileMovedEvent, FileCreatedEvent]
_Seen = queue.SimpleQueue["FileSystemEvent | Gap"]


def finished_writes(folder: Path, stop: Event) -> Iterator[str | Gap]:
    """Yield the path of each finished write below `folder`, until `stop` is set or the folder is gone.

    A file is finished when it is closed or renamed into place (Linux), elsewhere when two looks a second apart agree.
    """
    watched = _look(str(folder))  # before the watch begins: a folder that is replaced meanwhile ends it
    seen: _Seen = queue.SimpleQueue()
    overflow = _Overflow(seen)
    observer = Observer(generate_full_events=True) if _LINUX else Observer()  # type: ignore[call-arg]
    events = _EVENTS if _LINUX else [*_EVENTS, FileModifiedEvent]
    observer.schedule(_Collect(seen), str(folder), recursive=True, event_filter=events)
    observer.start()
    logging.getLogger("watchdog").addHandler(overflow)
    try:
        yield Gap("listening")
        yield from _finished(seen, folder, watched, stop)
    finally:
        logging.getLogger("watchdog").removeHandler(overflow)
        observer.stop()
        observer.join()


def _finished(seen: _Seen, folder: Path, watched: os.stat_result | None, stop: Event) -> Iterator[str | Gap]:
    unsure: dict[str, tuple[float, os.stat_result | None]] = {}  # path: when to look again, what the last look saw
    # Until the folder is another one of its name, or none.
    while not stop.is_set() and watched and (now := _look(str(folder))) and os.path.samestat(watched, now):
        try:
            event = seen.get(timeout=TICK)
        except queue.Empty:
            event = None
        if isinstance(event, Gap):
            yield event
        elif isinstance(event, FileClosedEvent | FileMovedEvent):
            path = os.fsdecode(event.dest_path or event.src_path)
            unsure.pop(path, None)
            yield path
        elif event is not None and (written := _has_no_writer(event.src_path)) is not False:
            path = os.fsdecode(event.src_path)
            if written:
                yield path
            else:
                unsure.setdefault(path, (time.monotonic() + LOOK_AGAIN, _look(path)))
        yield from _settled(unsure)


def _settled(unsure: dict[str, tuple[float, os.stat_result | None]]) -> Iterator[str]:
    """Take out and yield what two looks saw alike."""
    now = time.monotonic()
    for path, (due, before) in list(unsure.items()):
        if due > now:
            break  # in order of time: the rest is due later
        del unsure[path]
        after = _look(path)
        if after is not None and after != before:
            unsure[path] = (now + LOOK_AGAIN, after)
        elif after is not None:
            yield path


def _has_no_writer(path: str | bytes) -> bool | None:
    """Return whether nobody has a new file open for writing, as after a rename or in a new folder; None if unknown."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        writing = being_written(file)
    finally:
        os.close(file)
    return None if writing is None else not writing  # the close of one that is being written will be told


def _look(path: str | bytes) -> os.stat_result | None:
    try:
        return Path(os.fsdecode(path)).stat()
    except OSError:
        return None


class _Collect(FileSystemEventHandler):
    """Puts every event into a queue, for watchdog's thread must not wait."""

    def __init__(self, seen: _Seen) -> None:
        self.seen = seen

    def dispatch(self, event: FileSystemEvent) -> None:
        if not event.is_directory and (event.dest_path or not isinstance(event, FileMovedEvent)):
            self.seen.put(event)


class _Overflow(logging.Handler):
    """Hears watchdog say that the kernel dropped events, which it tells in its log alone."""

    def __init__(self, seen: _Seen) -> None:
        super().__init__(logging.WARNING)
        self.seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self.seen.put(Gap("the kernel dropped file events"))
