"""A load to do, its possible outcomes, and the errors that a load can end with."""

from dataclasses import dataclass

from lake.stores.base import ObjectInfo
from pipeline.model.load_record import LoadRecord

NO_CONTRACT = "none"  # of a dataset without a contract


class SourceGone(Exception):
    """The file is not there any more."""


class Skipped(Exception):
    """Nothing was done for the file: the store had not answered for one that was loaded together with it."""


class NotReady(Exception):
    """The file cannot be read as things are, which is no fault of its: the reason is for a person."""


class BeingWritten(NotReady):
    """A program has the file open for writing, so its bytes are not final."""


@dataclass(frozen=True)
class Task:
    """A file to load, and what the ledger knows of the result it has now."""

    source_key: str
    dataset: str
    etag: str
    found_by: str
    attempts: int
    landed_at: int
    loaded_etag: str | None = None
    fingerprint: str | None = None
    retract: int = 0  # 1: its source is gone, so take its rows back
    size: int = 0  # bytes, as they were noticed
    first: int = 0  # 1: nothing was ever made of it, so there is nothing to remove
    alone: int = 0  # 1: it was in flight when a process died, so nothing else is in flight now


@dataclass(frozen=True)
class Result:
    """What is in the store after a load; an etag is None where there is no such object."""

    record: LoadRecord
    clean_etag: str | None
    rejected_etag: str | None


Outcome = Result | ObjectInfo
