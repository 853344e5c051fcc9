"""Stores that a test can look into or break."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lake.stores.base import ObjectInfo
from lake.stores.local import LocalStore


class CountingStore(LocalStore):
    """Folder that notes which objects were fetched."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.fetched: list[str] = []

    @contextmanager
    def open(self, key: str) -> Iterator[tuple[ObjectInfo, BinaryIO]]:
        self.fetched.append(key)
        with super().open(key) as opened:
            yield opened


class FaultyStore(LocalStore):
    """Folder that answers with `fault` while there is one."""

    fault: OSError | None = None

    def stat(self, key: str) -> ObjectInfo:
        if self.fault:
            raise self.fault
        return super().stat(key)
