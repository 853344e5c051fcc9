from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread

import pytest

from lake.stores.base import Gap, ObjectInfo, ObjectStore
from lake.stores.local import LocalStore

# By kind, how a new and empty store is made. Add one here, and every test of the contract is a test of it.
BACKENDS: dict[str, Callable[[pytest.FixtureRequest], ObjectStore]] = {
    "local": lambda request: LocalStore(request.getfixturevalue("tmp_path") / "lake"),
    "s3": lambda request: request.getfixturevalue("minio").new_store(),
}


@dataclass
class Watching:
    """Watch in a thread of its own, and what it has told so far."""

    items: SimpleQueue[ObjectInfo | Gap] = field(default_factory=SimpleQueue)

    def next_gap(self, seconds: float = 60) -> Gap:
        while not isinstance(item := self._next(seconds, "a gap"), Gap):
            pass
        return item

    def next_write(self, key: str, seconds: float = 60) -> ObjectInfo:
        """Wait for the write of `key`; what comes before it is passed over."""
        while not (isinstance(item := self._next(seconds, key), ObjectInfo) and item.key == key):
            pass
        return item

    def put_until_told(self, store: ObjectStore, key: str, seconds: float = 60) -> None:
        """Put an object until an event tells of it: once, and once more after each gap, where a listing would tell."""
        etag = store.put(key, b"x")
        while (item := self._next(seconds, key)) and not (isinstance(item, ObjectInfo) and item.etag == etag):
            if isinstance(item, Gap):
                etag = store.put(key, b"x")

    def _next(self, seconds: float, what: str) -> ObjectInfo | Gap:
        try:
            return self.items.get(timeout=seconds)
        except Empty:
            raise AssertionError(f"the watch did not tell of {what} within {seconds} s") from None


@contextmanager
def watching(store: ObjectStore, prefix: str = "raw/") -> Iterator[Watching]:
    """Watch `prefix` while the block runs; the thread must end with it."""
    stop, seen = Event(), Watching()

    def follow() -> None:
        for item in store.watch(prefix, stop):
            seen.items.put(item)

    thread = Thread(target=follow)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive(), "the watch did not stop"
