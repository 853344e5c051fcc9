"""Object store in a folder."""

import errno
import logging
import os
import tempfile
import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, BinaryIO

from common.errors import NO_ROOM, SettingError, StoreFull, StoreUnavailable
from common.logs import fields
from common.retry import Backoff
from lake.stores.base import SAMPLE, Gap, InvalidKey, ObjectChanged, ObjectInfo, check_key, listed
from lake.stores.local_files import (
    cannot,
    clear_staging,
    copy_content,
    info_of,
    is_being_written,
    moved,
    note_unread,
    placed,
)

if TYPE_CHECKING:
    from lake.stores.arrow_dataset import ObjectDataset

STAGING = ".staging"  # under the root, so that a rename is atomic, and outside every prefix that is watched
FINAL_AFTER = 0.02  # seconds: two writes within one tick of the file system's clock have the same etag
RESTART = 1.0  # seconds before a watch that ended is started again

_AWAY = {errno.EROFS, errno.EIO, errno.ESTALE}

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
        clear_staging(self.root / STAGING)

    def put(self, key: str, source: bytes | Path, *, move: bool = False, expected: str | None = None) -> str:
        """Write an object and return its etag (see `ObjectStore.put`); a folder takes no condition."""
        assert expected is None, "a file system renames without a condition: see `conditional_puts`"
        path = self._path(key)
        with self._errors(key, writing=True):
            staging = self.root / STAGING
            staging.mkdir(exist_ok=True)  # without its parents: a lake that went away must not be created again
            path.parent.mkdir(parents=True, exist_ok=True)
            if move and isinstance(source, Path) and (etag := moved(source, path)):
                return etag
            descriptor, staged = tempfile.mkstemp(dir=staging)
            try:
                with os.fdopen(descriptor, "wb") as target:
                    copy_content(source, target)
                # Opened for reading only, so that the object does not look as if it is still being written.
                with Path(staged).open("rb") as written:
                    return placed(Path(staged), path, written.fileno())
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
            yield info_of(key, before, being_written=is_being_written(watched.fileno(), before)), stream
            after = os.fstat(watched.fileno())
            if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
                raise ObjectChanged(f"{key} was written to while it was read")

    def stat(self, key: str) -> ObjectInfo:
        """Return an object's facts (see `ObjectStore.stat`)."""
        with self._errors(key):
            path = self._path(key)
            if path.is_dir():
                raise FileNotFoundError(errno.ENOENT, "it is a folder", key)
            return info_of(key, path.stat())

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
                            yield info_of(key, entry.stat())
                    except OSError as error:
                        if not entry.is_symlink():  # an error of a link's target is not an error of this folder
                            note_unread(errors, folder, error)
        except OSError as error:
            note_unread(errors, folder, error)

    def _log_unread(self, prefix: str, unread: dict[str, OSError]) -> None:
        known = {place for place in self._unread if place.startswith(prefix)}
        for place in unread.keys() - known:
            reason = cannot(self.root / place, unread[place], "read")
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
        backoff = Backoff(log, "not listening", "listening again", first=RESTART, folder=folder)
        return backoff.reopen(lambda: self._writes(folder, prefix, stop), stop)

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
                        yield info_of(key, Path(item).stat())

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
                raise PermissionError(cannot(place, error, "written" if writing else "read")) from error
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
