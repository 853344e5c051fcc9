"""The files of a folder and of all folders below it, as Linux's inotify tells of them (see inotify(7)).

It speaks to the kernel itself: watchdog's tables are wrong after some moves of folders (a KeyError ends its thread, in
silence), and it does not tell which folders it could not watch.
"""

import ctypes
import errno
import logging
import os
import select
import struct
import time
from collections import deque
from pathlib import Path

from storage.base import Gap
from storage.console import fields

TRY_AGAIN = 10.0  # seconds until folders that could not be watched are tried again

_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE = 0x8, 0x40, 0x80, 0x100
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLYDIR, _DONT_FOLLOW, _EXCL_UNLINK, _ISDIR = 0x0100_0000, 0x0200_0000, 0x0400_0000, 0x4000_0000
_EVENTS = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _ONLYDIR | _EXCL_UNLINK
_TOP_ENDS = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED
_HEAD = struct.Struct("iIII")  # of an event: watch, mask, cookie, length of the name
_LIMITS = {errno.ENOSPC: "fs.inotify.max_user_watches", errno.EMFILE: "fs.inotify.max_user_instances"}

_libc = ctypes.CDLL(None, use_errno=True)

log = logging.getLogger(__name__)


class Tree:
    """A folder with all folders below it, watched; symbolic links below it are not followed.

    Two rules keep it right whatever is moved where: a folder that comes is watched first and read after that, so that
    nothing in it goes unseen, and one that goes takes all watches below it along.
    """

    def __init__(self, top: str) -> None:
        """Watch `top`; `OSError` says why that cannot be."""
        self.alive = True  # until the folder is deleted, moved or unmounted
        self._top, self._top_watch = top, -1
        self._paths: dict[int, str] = {}  # by watch
        self._unwatched: dict[str, int] = {}  # folders, with the error's number
        self._said, self._try_again_at = False, 0.0
        self._items: deque[tuple[str, bool] | Gap] = deque()
        self._descriptor = _call("inotify_init1", os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._top_watch = self._watch(top, _DELETE_SELF | _MOVE_SELF)
            self._add(top, tell=False)
        except BaseException:
            self.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def close(self) -> None:
        """Watch no more."""
        os.close(self._descriptor)

    def get(self, seconds: float) -> tuple[str, bool] | Gap | None:
        """Return the next file, and whether a write to it has ended or it was moved here; None after so many seconds.

        Whoever does not know that a write has ended must ask. A `Gap` tells that the kernel dropped events.
        """
        # What is there is read with every call, so that the kernel's queue does not run full.
        if self._poll.poll(0 if self._items else seconds * 1000):
            self._read()
        if self._unwatched and time.monotonic() > self._try_again_at:
            self._watch_more()
        return self._items.popleft() if self._items else None

    def _read(self) -> None:
        events, at = os.read(self._descriptor, 1 << 18), 0
        while at < len(events):
            watch, mask, _, length = _HEAD.unpack_from(events, at)
            at += _HEAD.size
            name = os.fsdecode(events[at : at + length].rstrip(b"\0"))
            at += length
            if mask & _OVERFLOW:
                self._begin_anew()
            elif watch == self._top_watch and mask & _TOP_ENDS:
                self.alive = False
            elif mask & _IGNORED:
                self._paths.pop(watch, None)
            elif watch in self._paths:
                self._take(f"{self._paths[watch]}{os.sep}{name}", mask)

    def _take(self, path: str, mask: int) -> None:
        if mask & _ISDIR:
            if mask & _MOVED_FROM:
                self._drop(path)
            elif mask & (_CREATE | _MOVED_TO):
                self._add(path, tell=True)
        elif not mask & _MOVED_FROM:
            self._items.append((path, bool(mask & (_CLOSE_WRITE | _MOVED_TO))))

    def _add(self, path: str, *, tell: bool) -> None:
        """Watch a folder and those below it; `tell` of the files that are in them."""
        folders = [path]
        while folders:
            folder = folders.pop()
            self._unwatched.pop(folder, None)
            try:
                if folder != self._top:
                    self._watch(folder, _DONT_FOLLOW)
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
                        elif tell:
                            self._items.append((entry.path, False))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):  # it went away, or is a link by now
                    self._unwatched[folder] = error.errno or 0
        self._say()

    def _watch(self, path: str, more: int) -> int:
        watch = _call("inotify_add_watch", self._descriptor, os.fsencode(path), _EVENTS | more)
        self._paths[watch] = path  # of a folder that is watched already it is the place where it is now
        return watch

    def _drop(self, path: str) -> None:
        below = path + os.sep
        for watch, folder in list(self._paths.items()):
            if folder == path or folder.startswith(below):
                _libc.inotify_rm_watch(self._descriptor, watch)
                del self._paths[watch]
        for folder in [folder for folder in self._unwatched if folder == path or folder.startswith(below)]:
            del self._unwatched[folder]

    def _begin_anew(self) -> None:
        """Watch every folder again, for of some the event may be lost that it came or went."""
        for watch in [watch for watch in self._paths if watch != self._top_watch]:
            _libc.inotify_rm_watch(self._descriptor, watch)
            del self._paths[watch]
        self._add(self._top, tell=False)
        self._items.append(Gap("the kernel dropped file events"))

    def _watch_more(self) -> None:
        self._try_again_at = time.monotonic() + TRY_AGAIN
        for folder in list(self._unwatched):
            self._add(folder, tell=True)
            if self._unwatched.get(folder) == errno.ENOSPC:
                break  # it would be the same for the others

    def _say(self) -> None:
        """Name the kernel's limit once where it is reached, and say once when it is over."""
        short = next((folder for folder, code in self._unwatched.items() if code == errno.ENOSPC), None)
        if short and not self._said:
            reason = _way_out(errno.ENOSPC)
            log.warning(fields("not listening", folder=short, reason=reason, action="listings find the files there"))
        elif self._said and not short:
            log.info(fields("listening again", folder=self._top))
        self._said = bool(short)


def _call(name: str, *arguments: object) -> int:
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, _way_out(code) if code in _LIMITS else os.strerror(code))
    return result


def _way_out(code: int) -> str:
    """Name the limit of the kernel that an error tells of, its number, and the command that raises it."""
    limit = _LIMITS[code]
    try:
        number = int(Path("/proc/sys", *limit.split(".")).read_text())
    except (OSError, ValueError):
        number = 0
    return f"the limit {limit} = {number} is reached: raise it by `sudo sysctl {limit}={max(2 * number, 1024)}`"
