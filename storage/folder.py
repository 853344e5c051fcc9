"""Finished writes in a folder: by inotify on Linux, elsewhere by watchdog and a second look."""

import os
import queue
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Protocol

from storage.base import Gap
from storage.writers import being_written

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

LOOK_AGAIN = 1.0  # seconds between the two looks that must agree where no event tells that a file is closed
TICK = 0.25  # seconds until a watch sees that it should stop

_LINUX = sys.platform == "linux"


class _Events(Protocol):
    """What tells of the files in a folder, until it is not alive any more."""

    @property
    def alive(self) -> bool: ...

    def get(self, seconds: float) -> tuple[str, bool] | Gap | None:
        """Return the next file, and whether a write to it is known to have ended; None after so many seconds."""

    def close(self) -> None: ...


def finished_writes(folder: Path, stop: Event) -> Iterator[str | Gap]:
    """Yield the path of each finished write below `folder`, until `stop` is set or the folder is gone.

    A file is finished when it is closed or renamed into place (Linux), elsewhere when two looks a second apart agree.
    """
    watched = _look(folder)  # before the watch begins: a folder that is replaced meanwhile ends it
    with closing(_events(folder)) as events:
        yield Gap("listening")
        yield from _finished(events, folder, watched, stop)


def _events(folder: Path) -> _Events:
    if not _LINUX:
        return _Watchdog(folder)
    from storage.inotify import Tree

    return Tree(str(folder))


def _finished(events: _Events, folder: Path, watched: os.stat_result | None, stop: Event) -> Iterator[str | Gap]:
    unsure: dict[str, tuple[float, os.stat_result | None]] = {}  # path: when to look again, what the last look saw
    # Until the folder is another one of its name, or none.
    while not stop.is_set() and events.alive and watched and (now := _look(folder)) and os.path.samestat(watched, now):
        event = events.get(TICK)
        if isinstance(event, Gap):
            yield event
        elif event:
            path, ended = event
            finished = ended or _has_no_writer(path)
            if finished:
                unsure.pop(path, None)
                yield path
            elif finished is None:
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


def _has_no_writer(path: str) -> bool | None:
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


def _look(path: str | Path) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except OSError:
        return None


class _Watchdog:
    """The events of a folder as watchdog tells them; that a write has ended it tells of a move alone."""

    def __init__(self, folder: Path) -> None:
        from watchdog.events import FileCreatedEvent, FileModifiedEvent, FileMovedEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        self._seen: queue.SimpleQueue[FileSystemEvent] = queue.SimpleQueue()
        self._observer, handler = Observer(), FileSystemEventHandler()
        handler.on_any_event = lambda event: self._seen.put(event)  # type: ignore[method-assign]
        events = [FileCreatedEvent, FileModifiedEvent, FileMovedEvent]
        self._observer.schedule(handler, str(folder), recursive=True, event_filter=events)
        self._observer.start()

    @property
    def alive(self) -> bool:
        """Return whether all of watchdog's threads run, which end in silence by an error of theirs."""
        return self._observer.is_alive() and all(emitter.is_alive() for emitter in self._observer.emitters)

    def get(self, seconds: float) -> tuple[str, bool] | Gap | None:
        try:
            event = self._seen.get(timeout=seconds)
        except queue.Empty:
            return None
        return os.fsdecode(event.dest_path or event.src_path), event.event_type == "moved"

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()
