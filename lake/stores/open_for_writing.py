"""Ask the kernel whether a program still has a file open for writing."""

import errno
import fcntl
import os
import signal
import sys
from pathlib import Path

# File systems whose every writer this kernel knows. Of network and FUSE file systems it knows only its own.
_ALL_WRITERS_KNOWN = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}
_known: dict[int, bool] = {}  # by device


def being_written(file: int) -> bool | None:
    """Return whether any program has a file, open here for reading, open or mapped for writing; None if unknown.

    Linux grants a read lease only on a file without writers, in whatever container they run, and only to the file's
    owner or a user with CAP_LEASE.
    """
    if sys.platform != "linux" or not _writers_known(file):
        return None
    try:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)  # the default signal of a lease, SIGIO, would end the process
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    return False


def _writers_known(file: int) -> bool:
    device = os.fstat(file).st_dev
    if device not in _known:
        _known[device] = _kind(file) in _ALL_WRITERS_KNOWN
    return _known[device]


def _kind(file: int) -> str:
    """Return the type of the file system that an open file is on, by its mount (see proc(5))."""
    try:
        facts = dict(line.split(":", 1) for line in Path(f"/proc/self/fdinfo/{file}").read_text().splitlines())
        mount = facts["mnt_id"].strip()
        with Path("/proc/self/mountinfo").open(errors="replace") as mounts:
            return next(line.split(" - ")[1].split()[0] for line in mounts if line.split()[0] == mount)
    except (OSError, KeyError, ValueError, IndexError, StopIteration):
        return ""
