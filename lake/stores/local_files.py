"""Files of a store in a folder: what is known of one, and how it gets to its place in one step."""

import errno
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from lake.stores.base import ObjectInfo, time_of
from lake.stores.open_for_writing import being_written

LEFT_AFTER = 3600.0  # seconds: older staged files belong to no put any more
SETTLED = 1.0  # seconds without a change after which a file is finished, where the system cannot tell

# A file that went away, or a broken link.
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def cannot(place: object, error: OSError, act: str) -> str:
    """Return why a person cannot have a file read or written, and the way out."""
    way_out = "change its owner or its mode" if isinstance(error, PermissionError) else "look at its disk"
    return f"{place} cannot be {act} by user {os.geteuid()} ({error.strerror}): {way_out}"


def clear_staging(staging: Path) -> None:
    """Remove staged files of puts that were killed; other processes may still write younger ones."""
    with suppress(OSError):  # a read-only lake, or another process clears it too
        for leftover in staging.iterdir():
            if time.time() - leftover.stat().st_mtime > LEFT_AFTER:
                leftover.unlink()


def is_being_written(file: int, facts: os.stat_result) -> bool | None:
    """Return whether a program has an open file open for writing; None where the system cannot tell."""
    writing = being_written(file)
    if writing is None and abs(time.time() - max(facts.st_mtime, facts.st_ctime)) > SETTLED:
        return False
    return writing


def note_unread(errors: dict[Path, OSError], folder: Path, error: OSError) -> None:
    """Record the first error of a folder; a file that went away meanwhile is not an error."""
    if error.errno not in _GONE:
        errors.setdefault(folder, error)


def info_of(key: str, facts: os.stat_result, *, being_written: bool | None = False) -> ObjectInfo:
    """Return what a listing has of an object."""
    return ObjectInfo(key, _etag(facts), facts.st_size, time_of(facts.st_mtime), being_written)


def _etag(facts: os.stat_result) -> str:
    return f"{facts.st_size:x}-{facts.st_mtime_ns:x}-{facts.st_ctime_ns:x}-{facts.st_ino:x}"


def moved(source: Path, path: Path) -> str | None:
    """Rename a file to the object, which avoids a copy; None if impossible, as from another file system."""
    try:
        with source.open("rb") as stream:
            return placed(source, path, stream.fileno())
    except OSError:
        return None


def placed(staged: Path, path: Path, descriptor: int) -> str:
    """Rename a staged file to its object; return the etag of the open `descriptor`, not of a later version."""
    staged.chmod(0o644)
    staged.replace(path)
    return _etag(os.fstat(descriptor))


def copy_content(source: bytes | Path, target: IO[bytes]) -> None:
    """Write bytes, or those of a file, to an open file."""
    if isinstance(source, bytes):
        target.write(source)
    else:
        with source.open("rb") as stream:
            shutil.copyfileobj(stream, target, 1 << 20)
    target.flush()
