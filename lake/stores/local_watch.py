"""Finished writes in a folder, by watchdog."""

import errno
import logging
import os
import queue
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

from watchdog.events import (
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.utils import BaseThread

from lake.stores.base import Gap
from lake.stores.open_for_writing import being_written

LOOK_AGAIN = 1.0  # seconds between the two looks that must agree where no event tells that a file is closed
TICK = 0.25  # seconds until a watch sees that it should stop

_LINUX = sys.platform == "linux"
_LIMITS = {errno.ENOSPC: "fs.inotify.max_user_watches", errno.EMFILE: "fs.inotify.max_user_instances"}
_Seen = queue.SimpleQueue[FileSystemEvent | Gap]

# Watchdog warns of each folder that is created inside another new one, and watches it correctly.
warnings.filterwarnings("ignore", "Callback with id .* already exists", RuntimeWarning)


def finished_writes(folder: Path, stop: Event) -> Iterator[str | Gap]:
    """Yield the path of each finished write below `folder`, until `stop` is set or the folder is gone.

    A file is finished when it is closed or renamed into place (Linux), elsewhere when two looks a second apart agree.
    """
    watched = _look(folder)  # before the watch begins: a folder that is replaced meanwhile ends it
    with closing(_Watch(folder)) as watch:
        yield Gap("listening")
        yield from _finished(watch, folder, watched, stop)


def _finished(watch: "_Watch", folder: Path, watched: os.stat_result | None, stop: Event) -> Iterator[str | Gap]:
    unsure: dict[str, tuple[float, os.stat_result | None]] = {}  # path: when to look again, what the last look saw
    # Until the folder is another one of its name, or none.
    while not stop.is_set() and watch.sound and watched and (now := _look(folder)) and os.path.samestat(watched, now):
        event = watch.get(TICK)
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
    """Remove and yield the files that did not change between two looks."""
    now = time.monotonic()
    for path, (due, before) in list(unsure.items()):
        if due > now:
            break  # the entries are in order of time
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
    return None if writing is None else not writing  # if it is being written, an event will report its close


def _look(path: str | Path) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except OSError:
        return None


class _Watch:
    """Watchdog's events of a folder and of all folders below it."""

    def __init__(self, folder: Path) -> None:
        """Watch `folder`; `OSError` gives the reason why it cannot be watched."""
        self._folder, self._real = str(folder), os.path.realpath(folder)  # watchdog follows no link
        self._seen: _Seen = queue.SimpleQueue()
        self._moved = False
        self._overflow = _Overflow(self._seen)
        logging.getLogger("watchdog").addHandler(self._overflow)
        self._threads: list[BaseThread] = []
        self._errors: list[OSError] = []
        try:
            self._start()
        except OSError as error:
            self.close()
            raise _explained(error) from error

    def _start(self) -> None:
        events: list[type[FileSystemEvent]] = [FileCreatedEvent, FileMovedEvent, DirMovedEvent]
        if _LINUX:
            observer = self._inotify_observer()
            events.append(FileClosedEvent)
        else:
            observer = Observer()
            events.append(FileModifiedEvent)
        handler = FileSystemEventHandler()
        handler.on_any_event = self._note  # type: ignore[method-assign]
        observer.schedule(handler, self._real, recursive=True, event_filter=events)
        observer.start()
        self._threads += [observer, *observer.emitters]
        if self._errors:
            raise self._errors[0]

    def _inotify_observer(self) -> BaseObserver:
        """Return watchdog's observer for Linux, on a kernel connection that records folders it could not watch."""
        from watchdog.observers.inotify import InotifyFullEmitter
        from watchdog.observers.inotify_c import InotifyFD

        errors = self._errors

        class Kernel(InotifyFD):
            def add_callback(self, *arguments: Any) -> Any:
                try:
                    return super().add_callback(*arguments)
                except OSError as error:  # the observer ignores it
                    if error.errno in _LIMITS:
                        errors.append(error)
                    raise

        kernel = Kernel()
        kernel.start()
        self._threads.append(kernel)
        return BaseObserver(InotifyFullEmitter, inotify_fd=kernel)

    @property
    def sound(self) -> bool:
        """Return whether the watch is reliable; otherwise it must be replaced.

        After some moves of folders watchdog's tables are wrong: later events have a wrong path, or a KeyError ends one
        of its threads without notice.

        Raises:
            OSError: a limit of the kernel leaves folders unwatched.
        """
        if self._errors:
            raise _explained(self._errors[0])
        return not self._moved and all(thread.is_alive() for thread in self._threads)

    def get(self, seconds: float) -> tuple[str, bool] | Gap | None:
        """Return the next file and whether its write has certainly ended; None after `seconds`."""
        try:
            event = self._seen.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(event, Gap):
            return event
        path = os.fsdecode(event.dest_path or event.src_path)
        return self._folder + path.removeprefix(self._real), event.event_type in ("moved", "closed")

    def close(self) -> None:
        """Stop watching."""
        logging.getLogger("watchdog").removeHandler(self._overflow)
        for thread in reversed(self._threads):
            thread.stop()
        for thread in self._threads:
            thread.join()

    def _note(self, event: FileSystemEvent) -> None:
        if event.is_directory:
            self._moved = self._moved or bool(event.src_path)  # a folder from outside is watched correctly
        elif event.dest_path or event.event_type != "moved":  # except for a file that was moved out
            self._seen.put(event)


def _explained(error: OSError) -> OSError:
    """Return an error that names the kernel's limit that was reached, its number, and the command that raises it."""
    if error.errno not in _LIMITS:
        return error
    limit = _LIMITS[error.errno]
    try:
        number = int(Path("/proc/sys", *limit.split(".")).read_text())
    except (OSError, ValueError):
        number = 0
    reason = f"the limit {limit} = {number} is reached: raise it by `sudo sysctl {limit}={max(2 * number, 1024)}`"
    return OSError(error.errno, reason)


class _Overflow(logging.Handler):
    """Report a gap when the kernel dropped events; watchdog only logs it."""

    def __init__(self, events: _Seen) -> None:
        super().__init__(logging.WARNING)
        self.events = events

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self.events.put(Gap("the kernel dropped file events"))
