"""Reads of objects that the pipeline may replace meanwhile."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from lake.stores.base import ObjectChanged, ObjectInfo, ObjectStore

READS = 3  # attempts to read an object that is replaced during each of them

T = TypeVar("T")


def reread(read: Callable[[], T]) -> T:
    """Call `read`, again where it raises `ObjectChanged`, at most `READS` times; return its result."""
    for _ in range(READS - 1):
        with suppress(ObjectChanged):
            return read()
    return read()


def fetch(store: ObjectStore, key: str) -> tuple[ObjectInfo, bytes]:
    """Return an object's facts and bytes.

    Raises:
        FileNotFoundError: there is no such object.
        ObjectChanged: the object was replaced during each of `READS` reads.
    """

    def read() -> tuple[ObjectInfo, bytes]:
        with store.open(key) as (info, stream):
            return info, stream.read()

    return reread(read)
