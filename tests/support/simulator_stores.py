"""Store that can be away or refuse: a real folder behind a switch."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event
from typing import BinaryIO

from common.errors import StoreUnavailable
from lake.stores.arrow_dataset import ObjectDataset
from lake.stores.base import SAMPLE, Gap, ObjectInfo
from lake.stores.local import LocalStore


class FaultyStore:
    """Answers as the folder does while `error` is None, else raises it and counts."""

    def __init__(self, root: Path) -> None:
        self.inner = LocalStore(root)
        self.url, self.remote = self.inner.url, self.inner.remote
        self.error: OSError | None = None
        self.refused = 0

    def away(self) -> None:
        self.error = StoreUnavailable("connection refused")

    def back(self) -> None:
        self.error = None

    def _answer(self) -> LocalStore:
        if self.error is not None:
            self.refused += 1
            raise self.error
        return self.inner

    def put(self, key: str, source: bytes | Path, *, move: bool = False, expected: str | None = None) -> str:
        return self._answer().put(key, source, move=move, expected=expected)

    def conditional_puts(self) -> bool:
        return self._answer().conditional_puts()

    def open(self, key: str) -> AbstractContextManager[tuple[ObjectInfo, BinaryIO]]:
        return self._answer().open(key)

    def stat(self, key: str) -> ObjectInfo:
        return self._answer().stat(key)

    def list(self, prefix: str = "", unread: set[str] | None = None) -> Iterator[ObjectInfo]:
        return self._answer().list(prefix, unread)

    def delete(self, key: str) -> None:
        self._answer().delete(key)

    def watch(self, prefix: str, stop: Event) -> Iterator[ObjectInfo | Gap]:
        return self._answer().watch(prefix, stop)

    def dataset(self, prefix: str | Collection[str], limit: int | None = None, sample: int = SAMPLE) -> ObjectDataset:
        return self._answer().dataset(prefix, limit, sample)
