"""The protocol of an object store: its methods, facts about objects, errors and the rules for keys."""

import re
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:  # Arrow is loaded where it is used: a command that only asks for health runs every few seconds
    from lake.stores.arrow_dataset import ObjectDataset

MAX_KEY_BYTES = 1024  # S3's own limit
STATS = 16  # objects that are looked at at the same time
SAMPLE = 256  # objects whose schema is read before a scan; other schemas are read during the scan
# Seconds since 1970: the years that pandas' and Arrow's 64 bits of nanoseconds hold.
_EARLIEST = datetime(1678, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(2262, 1, 1, tzinfo=UTC).timestamp()
_NO_PART = {"", ".", ".."}
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class ObjectChanged(OSError):
    """The object was rewritten while it was read, so the bytes belong to no version: read it again."""


class PutRefused(OSError):
    """The object is not the one that the put expected: another put came first, and nothing was written."""


class InvalidKey(ValueError):
    """The key breaks the rules of `check_key`; nothing was read or written."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One version of one object: `etag` changes with the bytes, `size` is in bytes, `modified` in UTC.

    `being_written` is set when an object is opened: True if a program still has it open for writing, so that its bytes
    are not final; None if that is unknown.
    """

    key: str
    etag: str
    size: int
    modified: datetime
    being_written: bool | None = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """Writes may have been missed up to now, so that only a listing shows what exists; `reason` is for the log."""

    reason: str


class ObjectStore(Protocol):
    """Named bytes. Every method can raise `InvalidKey` for its key, and `StoreUnavailable`."""

    url: str
    remote: bool  # on a server, not in a folder of this machine

    def put(self, key: str, source: bytes | Path, *, move: bool = False, expected: str | None = None) -> str:
        """Write an object and return its etag. Atomic: a reader sees the old object or the new one.

        Args:
            move: the caller no longer needs the file `source`, so the store may rename it.
            expected: etag of the object that is to be replaced; "": there must be no such object; None: no condition.

        Raises:
            PutRefused: the object has another etag than `expected`.
        """

    def conditional_puts(self) -> bool:
        """Return whether `put` can have a condition; the store tries it at the first call."""

    def open(self, key: str) -> AbstractContextManager[tuple[ObjectInfo, BinaryIO]]:
        """Open an object: its facts, and the stream of exactly this version's bytes.

        Raises:
            FileNotFoundError: there is no such object.
            ObjectChanged: at the end of the block, if the bytes changed while they were read.
        """

    def stat(self, key: str) -> ObjectInfo:
        """Return an object's facts, or raise `FileNotFoundError`."""

    def list(self, prefix: str = "", unread: set[str] | None = None) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, in no particular order; `InvalidKey` if it has a `..`.

        A folder that cannot be read does not hide others: its error is raised after they are listed.

        Args:
            unread: if given, receives the prefix of each unreadable folder instead of an error; the log names it once.
        """

    def delete(self, key: str) -> None:
        """Remove an object, if it exists."""

    def watch(self, prefix: str, stop: Event) -> Iterator[ObjectInfo | Gap]:
        """Yield each finished write below `prefix`, until `stop` is set.

        Yields a `Gap` as soon as it listens, and whenever it may have missed writes. The watch reconnects to a store
        that was unavailable. Events may repeat or come late.
        """

    def dataset(self, prefix: str | Collection[str], limit: int | None = None, sample: int = SAMPLE) -> "ObjectDataset":
        """Return the Parquet objects under `prefix` as one dataset; at most the first `limit` in the listing.

        A `prefix` that does not end in a slash is the key of one object; a collection has keys. Objects that were
        written under different contracts get one schema (see `lake.stores.arrow_dataset`); where none fits, it raises
        `SchemaConflict`. The schemas of a `sample` are read at once, the others during a scan.
        """

    def address(self, prefix: str) -> tuple[str, dict[str, str]]:
        """Return the place of a prefix as engines take it, a path or an `s3://` URL, and their options for it."""


def check_key(key: str) -> str:
    """Return `key` if every store can hold it; otherwise raise `InvalidKey` with the reason."""
    if not key or len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise InvalidKey(f"key {key!r:.80}: expected 1 to {MAX_KEY_BYTES} bytes")
    if not _NO_PART.isdisjoint(key.split("/")):
        raise InvalidKey(f"key {key!r:.80}: it is absolute, or a part of it is empty, '.' or '..'")
    if _NO_TEXT.search(key):
        raise InvalidKey(f"key {key!r:.80}: it has a control character or is not valid text")
    return key


def time_of(seconds: float) -> datetime:
    """Return the UTC time `seconds` after 1970, limited to the years that readers of the lake can hold.

    A file system can hold years that a `datetime` cannot: negative years, and years after 9999.
    """
    return datetime.fromtimestamp(min(max(seconds, _EARLIEST), _LATEST), UTC)


def listed(store: ObjectStore, prefix: str | Collection[str], limit: int | None = None) -> list[ObjectInfo]:
    """Return the objects below `prefix`, at most `limit`, or those of the given keys that exist.

    A `prefix` without a slash at its end is the key of one object.
    """
    if isinstance(prefix, str) and prefix.endswith("/"):
        return list(islice(store.list(prefix), limit))

    def stat(key: str) -> ObjectInfo | None:
        try:
            return store.stat(key)
        except FileNotFoundError:
            return None

    keys = list(islice([prefix] if isinstance(prefix, str) else prefix, limit))
    with ThreadPoolExecutor(STATS) as pool:
        return [info for info in pool.map(stat, keys) if info]
