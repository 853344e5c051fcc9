"""The record of a load, and how it is kept in a Parquet footer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from lake.schemas import METADATA_KEY
from pipeline.model.exact_sums import Share

Counts = list[list[str | int | None]]  # of problems: [[rule, column, count], …], the most first

_RARE = ("drift", "mends")  # values that a footer has only if there is something to tell


@dataclass(frozen=True)
class LoadRecord:
    """The outcome of one load, without clock, host or chance: the same version and fingerprint give the same record."""

    source_key: str
    dataset: str
    etag: str
    size: int
    fingerprint: str
    status: str = "loaded"
    rows_read: int = 0
    rows_kept: int = 0
    rows_dropped: int = 0
    rows_rejected: int = 0
    first_problem: str | None = None
    problems: Counts | None = None
    share: Share | None = None
    drift: str | None = None  # how its columns differ from those of the contract, in words
    mends: dict[str, Any] | None = None  # of a fixed file: its marks, as `lake.mending.Mends` has them

    @property
    def footer(self) -> dict[bytes, bytes]:
        """The record as Parquet's key and value."""
        values = {name: value for name, value in vars(self).items() if name not in _RARE or value is not None}
        return {METADATA_KEY: json.dumps(values, ensure_ascii=False).encode()}


def read_load_record(content: BinaryIO | Path) -> LoadRecord:
    """Read the record of a load from a clean or rejected object; `ValueError` if it has none."""
    try:
        metadata = pq.read_metadata(content).metadata or {}
        record = json.loads(metadata[METADATA_KEY])
        if "recipe" in record:  # the name until version 0.2
            record["fingerprint"] = record.pop("recipe")
        return LoadRecord(**record)
    except (OSError, KeyError, TypeError) as error:
        raise ValueError(f"it has no record of a load in its footer ({error})") from error
