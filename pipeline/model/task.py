"""Tasks of the queue, their outcomes, and the errors that a load can end with."""

from dataclasses import dataclass

from lake.stores.base import ObjectInfo
from pipeline.model.load_record import LoadRecord

NO_CONTRACT = "none-2"  # of a dataset without a contract; the number goes with the message that its files get


class SourceGone(Exception):
    """The file is not there any more."""


class Skipped(Exception):
    """Not loaded: the store became unavailable earlier in the same batch."""


class NotReady(Exception):
    """The file cannot be read now, through no fault of its own; the text is the reason for a person."""


class BeingWritten(NotReady):
    """Another program has the file open for writing, so its bytes are not final."""


@dataclass(frozen=True)
class Task:
    """One source to load, and what the ledger knows of the result that it has now."""

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
    # Etags of its outputs as they are in the store now; "": there is none; None: not known. Puts expect what they say.
    clean_etag: str | None = None
    rejected_etag: str | None = None
    alone: int = 0  # 1: it was in flight when a process ended, so it is a batch of its own


@dataclass(frozen=True)
class Result:
    """The outcome of a load: its record, and the etags of its objects; None where there is no such object."""

    record: LoadRecord
    clean_etag: str | None
    rejected_etag: str | None


Outcome = Result | ObjectInfo
