"""What a store of objects is: the protocol, the facts it gives, its errors and the rules for keys."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:  # Arrow is loaded where it is used: a command that only asks for health runs every few seconds
    from lake.stores.dataset import ObjectDataset

MAX_KEY_BYTES = 1024  # S3's own limit
# Seconds since 1970: the years that pandas' and Arrow's 64 bits of nanoseconds hold.
_EARLIEST, _LATEST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1678, 2262))
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class ObjectChanged(OSError):
    """The object was rewritten while it was read: the bytes belong to no version, read it again."""


class InvalidKey(ValueError):
    """The key breaks the rules of `check_key`; nothing was touched."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One version of one object: `etag` changes with the bytes, `size` is in bytes, `modified` in UTC.

    `being_written` is of an object that was opened: a program still has it open for writing, so its bytes are not
    final; None where that may be so.
    """

    key: str
    etag: str
    size: int
    modified: datetime
    being_written: bool | None = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """Writes may have gone unseen up to now, so only a listing tells what is there; `reason` says why."""

    reason: str


class ObjectStore(Protocol):
    """Named bytes. Every method refuses a bad key with `InvalidKey` and a silent store with `StoreUnavailable`."""

    url: str
    remote: bool  # on a server, not in a folder of this machine

    def put(self, key: str, source: bytes | Path, *, move: bool = False) -> str:
        """Write an object and return its etag. Atomic: a reader sees the old object or the new one.

        Args:
            move: the file `source` is not needed any more, so it may become the object.
        """

    def open(self, key: str) -> AbstractContextManager[tuple[ObjectInfo, BinaryIO]]:
        """Give an object's stream and the facts of the very bytes in it.

        Raises:
            FileNotFoundError: there is no such object.
            ObjectChanged: on leaving the block, where the bytes changed under the reader.
        """

    def stat(self, key: str) -> ObjectInfo:
        """Give an object's facts; `FileNotFoundError` where there is none."""

    def list(self, prefix: str = "", unread: set[str] | None = None) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, in no certain order; `InvalidKey` if it has a `..`.

        A folder that cannot be read hides no other: its error is raised when all others are listed.

        Args:
            unread: takes the prefix of each such folder instead, which the log names once: nothing is known below it.
        """

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    def watch(self, prefix: str, stop: Event) -> Iterator[ObjectInfo | Gap]:
        """Yield each finished write below `prefix`, until `stop` is set.

        Yields a `Gap` as soon as it is really listening, and whenever writes may have gone unseen.
        A silent store ends nothing: the watch reconnects. Events may repeat or come late.
        """

    def dataset(self, prefix: str, limit: int | None = None) -> "ObjectDataset":
        """Return the Parquet objects that are listed now under `prefix` as one dataset, whatever their names.

        Without a slash at its end, `prefix` is the key of one object. A `limit` takes the first that are listed alone.
        What was written under several contracts has one schema (see `lake.stores.dataset`), or is a `SchemaConflict`.
        """


def check_key(key: str) -> str:
    """Return `key` if every store can hold it, else raise `InvalidKey` saying what is wrong with it."""
    if not key or len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise InvalidKey(f"key {key!r:.80}: expected 1 to {MAX_KEY_BYTES} bytes")
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise InvalidKey(f"key {key!r:.80}: it is absolute, or a part of it is empty, '.' or '..'")
    if _NO_TEXT.search(key):
        raise InvalidKey(f"key {key!r:.80}: it has a control character or is not valid text")
    return key


def time_of(seconds: float) -> datetime:
    """Return the UTC time that is `seconds` after 1970; one that readers cannot hold becomes the nearest they can.

    A file system keeps years that a `datetime` does not: negative ones, and those beyond 9999.
    """
    return datetime.fromtimestamp(min(max(seconds, _EARLIEST), _LATEST), UTC)


def listed(store: ObjectStore, prefix: str, limit: int | None = None) -> list[ObjectInfo]:
    """Return the objects below `prefix`, at most `limit`; or the one of that key, where it ends in no slash."""
    if prefix.endswith("/"):
        return list(islice(store.list(prefix), limit))
    try:
        return [store.stat(prefix)]
    except FileNotFoundError:
        return []
