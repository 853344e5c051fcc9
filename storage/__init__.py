"""Where objects are: one interface over a folder and an S3 bucket, and the names of the lake's keys."""

from storage.base import Gap, InvalidKey, ObjectChanged, ObjectInfo, ObjectStore, StoreFull, StoreUnavailable
from storage.url import open_store

__all__ = [
    "Gap",
    "InvalidKey",
    "ObjectChanged",
    "ObjectInfo",
    "ObjectStore",
    "StoreFull",
    "StoreUnavailable",
    "open_store",
]
