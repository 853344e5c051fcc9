"""Object store in a folder."""

import errno
import logging
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from threading import Event
from typing import IO, TYPE_CHECKING, BinaryIO

from common.errors import NO_ROOM, SettingError, StoreFull, StoreUnavailable
from common.logs import fields
from common.retry import Outage
from lake.stores.base import SAMPLE, Gap, InvalidKey, ObjectChanged, ObjectInfo, check_key, listed, time_of
from lake.stores.open_for_writing import being_written

if TYPE_CHECKING:
    from lake.stores.arrow_dataset import ObjectDataset

STAGING = ".staging"  # under the root, so that a rename is atomic, and outside every prefix that is watched
FINAL_AFTER = 0.02  # seconds: two writes within one tick of the file system's clock have the same etag
LEFT_AFTER = 3600.0  # seconds: older staged files belong to no put any more
SETTLED = 1.0  # seconds without a change after which a file is finished, where the system cannot tell
RESTART = 1.0  # seconds before a watch that ended is started again

_AWAY = {errno.EROFS, errno.EIO, errno.ESTALE}

# A file that went away, or a broken link.
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}

log = logging.getLogger(__name__)


class LocalStore:
    """The files below one folder; a key is a path relative to it."""

    remote = False

    def __init__(self, root: Path, *, create: bool = True) -> None:
        """Use `root` as the store and create it if missing; `SettingError` if that is not allowed."""
        self.root = root.absolute()
        self.url = str(root)
        try:
            if create:
                (self.root / STAGING).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(f"LAKE_URL: the folder {root} cannot be made: {error.strerror}") from error
        self._real_root = self.root.resolve()
        self._unread: set[str] = set()  # folders that the last listing could not read; the log has named them
        _clear(self.root / STAGING)

    def put(self, key: str, source: bytes | Path, *, move: bool = False, expected: str | None = None) -> str:
        """Write an object and return its etag (see `ObjectStore.put`); a folder takes no condition."""
        assert expected is None, "a file system renames without a condition: see `conditional_puts`"
        path = self._path(key)
        with self._errors(key, writing=True):
            staging = self.root / STAGING
            staging.mkdir(exist_ok=True)  # without its parents: a lake that went away must not be created again
            path.parent.mkdir(parents=True, exist_ok=True)
            if move and isinstance(source, Path) and (etag := _moved(source, path)):
                return etag
            descriptor, staged = tempfile.mkstemp(dir=staging)
            try:
                with os.fdopen(descriptor, "wb") as target:
                    _copy(source, target)
                # Opened for reading only, so that the object does not look as if it is still being written.
                with Path(staged).open("rb") as written:
                    return _placed(Path(staged), path, written.fileno())
            except BaseException:
                Path(staged).unlink(missing_ok=True)
                raise

    def conditional_puts(self) -> bool:
        """Return that a folder has no conditional puts."""
        return False

    @contextmanager
    def open(self, key: str) -> Iterator[tuple[ObjectInfo, BinaryIO]]:
        """Open an object (see `ObjectStore.open`); waits until the etag of a new version is final."""
        with self._errors(key):
            stream = self._path(key).open("rb")
        # Outside of `_errors`, because errors in the block are the reader's. The reader may close the stream.
        with stream, os.fdopen(os.dup(stream.fileno()), "rb") as watched:
            age = time.time() - os.fstat(watched.fileno()).st_mtime
            if 0 <= age < FINAL_AFTER:
                time.sleep(FINAL_AFTER - age)
            before = os.fstat(watched.fileno())
            yield _info(key, before, being_written=_being_written(watched.fileno(), before)), stream
            after = os.fstat(watched.fileno())
            if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
                raise ObjectChanged(f"{key} was written to while it was read")

    def stat(self, key: str) -> ObjectInfo:
        """Return an object's facts (see `ObjectStore.stat`)."""
        with self._errors(key):
            path = self._path(key)
            if path.is_dir():
                raise FileNotFoundError(errno.ENOENT, "it is a folder", key)
            return _info(key, path.stat())

    def list(self, prefix: str = "", unread: set[str] | None = None) -> Iterator[ObjectInfo]:
        """Yield the objects below `prefix` (see `ObjectStore.list`)."""
        self._check_present()
        if ".." in prefix.split("/"):
            raise InvalidKey(f"prefix {prefix!r:.80}: a part of it is '..'")
        if prefix.startswith("/"):
            return  # no key starts so, and it would name a folder outside
        top = self.root / prefix.rpartition("/")[0]
        folders, errors = deque([top]), dict[Path, OSError]()
        while folders:
            yield from self._objects(folders.pop(), prefix, folders, errors)
        self._check_present()  # a folder that went away meanwhile would look empty
        for folder, error in errors.items():
            if folder == top or unread is None:
                with self._errors(str(folder)):
                    raise error
        if unread is not None:
            places = {}
            for folder, error in errors.items():
                places[f"{self._key(str(folder))}/"] = error
            unread.update(places)
            if places or self._unread:
                self._log_unread(prefix, places)

    def _objects(
        self, folder: Path, prefix: str, folders: deque[Path], errors: dict[Path, OSError]
    ) -> Iterator[ObjectInfo]:
        """Yield the objects directly in a folder; add its folders to `folders`, and errors to `errors`."""
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            if f"{(key := self._key(entry.path))}/".startswith(prefix) and key != STAGING:
                                folders.append(Path(entry.path))
                        elif (key := self._key(entry.path)).startswith(prefix) and entry.is_file():
                            yield _info(key, entry.stat())
                    except OSError as error:
                        if not entry.is_symlink():  # an error of a link's target is not an error of this folder
                            _note_unread(errors, folder, error)
        except OSError as error:
            _note_unread(errors, folder, error)

    def _log_unread(self, prefix: str, unread: dict[str, OSError]) -> None:
        known = {place for place in self._unread if place.startswith(prefix)}
        for place in unread.keys() - known:
            reason = _cannot(self.root / place, unread[place], "read")
            log.warning(fields("not listed", folder=place, reason=reason, action="leave its files as they are known"))
        for place in known - unread.keys():
            log.info(fields("listed again, or gone", folder=place))
        self._unread = self._unread - known | unread.keys()

    def delete(self, key: str) -> None:
        """Remove an object (see `ObjectStore.delete`)."""
        with self._errors(key, missing_ok=True):
            self._path(key).unlink()

    def watch(self, prefix: str, stop: Event) -> Iterator[ObjectInfo | Gap]:
        """Yield each finished write below `prefix` (see `ObjectStore.watch`)."""
        folder = self.root / prefix.rpartition("/")[0]
        outage = Outage(log, "not listening", "listening again", first=RESTART, folder=folder)
        return outage.reopen(lambda: self._writes(folder, prefix, stop), stop)

    def _writes(self, folder: Path, prefix: str, stop: Event) -> Iterator[ObjectInfo | Gap]:
        from lake.stores.local_watch import finished_writes  # only a watch needs watchdog

        self._check_present()
        folder.mkdir(parents=True, exist_ok=True)
        for item in finished_writes(folder, stop):
            if isinstance(item, Gap):
                yield item
            elif (key := self._key(item)).startswith(prefix):
                # An unreadable file is no event: the next listing logs its folder.
                with suppress(PermissionError), self._errors(key, missing_ok=True):
                    if Path(item).is_file():  # not a pipe: to open it would block
                        yield _info(key, Path(item).stat())

    def dataset(self, prefix: str | Collection[str], limit: int | None = None, sample: int = SAMPLE) -> "ObjectDataset":
        """Return the listed Parquet objects as one dataset (see `ObjectStore.dataset`)."""
        import pyarrow as pa

        from lake.stores.arrow_dataset import ObjectDataset

        def opened(info: ObjectInfo, _: bool) -> pa.NativeFile:
            with self._errors(info.key):
                return pa.OSFile(str(self._path(info.key)))  # an open file keeps its version when it is replaced

        return ObjectDataset(listed(self, prefix, limit), opened, self.stat, sample)

    def address(self, prefix: str) -> tuple[str, dict[str, str]]:
        """Return the path of a prefix (see `ObjectStore.address`)."""
        return str(self._path(prefix.rstrip("/"))), {}

    def _check_present(self) -> None:
        if not self.root.is_dir():  # unavailable is not the same as empty
            raise StoreUnavailable(f"the folder {self.url} is gone")

    @contextmanager
    def _errors(self, place: str, *, missing_ok: bool = False, writing: bool = False) -> Iterator[None]:
        """Translate errors of the file system: a missing object, no room, no permission, or an unavailable store."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            self._check_present()
            if writing:
                raise OSError(f"{place} cannot be written: {error}") from error
            if not missing_ok:
                raise FileNotFoundError(errno.ENOENT, "there is no such object", place) from error
        except OSError as error:
            if error.errno in NO_ROOM:
                raise StoreFull(f"{place}: {error.strerror}") from error
            if error.errno in _AWAY:
                raise StoreUnavailable(f"{place}: {error.strerror}") from error
            self._check_present()
            if isinstance(error, PermissionError):
                raise PermissionError(_cannot(place, error, "written" if writing else "read")) from error
            raise

    def _path(self, key: str) -> Path:
        path = self.root / check_key(key)
        self._check_present()
        steps = list(accumulate([str(self.root), *key.split("/")], os.path.join))
        # Only with a link: to resolve a path takes as long as to read a small file.
        if any(map(os.path.islink, steps[1:])) and not path.resolve().is_relative_to(self._real_root):
            raise InvalidKey(f"key {key!r:.80}: a symbolic link leads out of {self.url}")
        return path

    def _key(self, path: str) -> str:
        return path.removeprefix(str(self.root)).replace(os.sep, "/").lstrip("/")


def _cannot(place: object, error: OSError, act: str) -> str:
    way_out = "change its owner or its mode" if isinstance(error, PermissionError) else "look at its disk"
    return f"{place} cannot be {act} by user {os.geteuid()} ({error.strerror}): {way_out}"


def _clear(staging: Path) -> None:
    """Remove staged files of puts that were killed; other processes may still write younger ones."""
    with suppress(OSError):  # a read-only lake, or another process clears it too
        for leftover in staging.iterdir():
            if time.time() - leftover.stat().st_mtime > LEFT_AFTER:
                leftover.unlink()


def _being_written(file: int, facts: os.stat_result) -> bool | None:
    writing = being_written(file)
    if writing is None and abs(time.time() - max(facts.st_mtime, facts.st_ctime)) > SETTLED:
        return False
    return writing


def _note_unread(errors: dict[Path, OSError], folder: Path, error: OSError) -> None:
    """Record the first error of a folder; a file that went away meanwhile is not an error."""
    if error.errno not in _GONE:
        errors.setdefault(folder, error)


def _info(key: str, facts: os.stat_result, *, being_written: bool | None = False) -> ObjectInfo:
    return ObjectInfo(key, _etag(facts), facts.st_size, time_of(facts.st_mtime), being_written)


def _etag(facts: os.stat_result) -> str:
    return f"{facts.st_size:x}-{facts.st_mtime_ns:x}-{facts.st_ctime_ns:x}-{facts.st_ino:x}"


def _moved(source: Path, path: Path) -> str | None:
    """Rename a file to the object, which avoids a copy; None if impossible, as from another file system."""
    try:
        with source.open("rb") as stream:
            return _placed(source, path, stream.fileno())
    except OSError:
        return None


def _placed(staged: Path, path: Path, descriptor: int) -> str:
    """Rename a staged file to its object; return the etag of the open `descriptor`, not of a later version."""
    staged.chmod(0o644)
    staged.replace(path)
    return _etag(os.fstat(descriptor))


def _copy(source: bytes | Path, target: IO[bytes]) -> None:
    if isinstance(source, bytes):
        target.write(source)
    else:
        with source.open("rb") as stream:
            shutil.copyfileobj(stream, target, 1 << 20)
    target.flush()
