"""The newest problems, read from the objects under `rejected/`; bounded in files, in problems and in memory."""

import io
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.shared import formats
from lake.layout import rejected_key
from lake.published import REJECTED_SCHEMA
from lake.stores.base import ObjectChanged, ObjectInfo, ObjectStore

MAX_FILES = 50  # the newest that have problems
READS = 3  # of an object that is replaced while it is read
MAX_OBJECT = 64_000_000  # bytes of one object: more is not fetched
FILE_PROBLEMS = 1000  # of one file: every file of a bad delivery tells what is wrong with it
FILE_MEMORY = 1_000_000  # bytes of one file's problems, for a raw record may have 4 KiB
BATCH = 100  # problems that are read at once: how far those two may be passed


@dataclass(frozen=True)
class Problems:
    """What is wrong with the newest files: `frame` has a row per problem, the newest file first."""

    frame: pd.DataFrame
    files: int = 0  # that have problems, whether they were read or not
    read: int = 0  # of them
    there: int = 0  # problems in the files that were read, whether in `frame` or not
    unread: dict[str, str] = field(default_factory=dict)  # key of an object to why it is not in `frame`


class _File(NamedTuple):
    etag: str
    problems: pa.Table
    there: int
    unread: str = ""


class _Load(NamedTuple):
    source_key: str
    dataset: str
    etag: str
    latest: object

    @property
    def key(self) -> str:
        return rejected_key(self.source_key)


class Rejected:
    """The newest problems; an object whose etag did not change is not fetched again."""

    def __init__(self, store: ObjectStore) -> None:
        """Read from `store`; one instance serves every visitor."""
        self._store, self._lock = store, threading.Lock()
        self._known: dict[_Load, _File] = {}
        self._newest: tuple[pd.DataFrame, Problems] | None = None

    def newest(self, loads: pd.DataFrame) -> Problems:
        """Give the problems of the newest of `loads`; the same `loads` again cost nothing."""
        with self._lock:
            if self._newest is None or self._newest[0] is not loads:
                self._newest = loads, self._read(loads)
            return self._newest[1]

    def _read(self, loads: pd.DataFrame) -> Problems:
        bad = loads[(loads["rows_rejected"].fillna(0) > 0) | (loads["status"] == "refused")]
        newest = bad.head(MAX_FILES)[list(_Load._fields)].itertuples(index=False, name=None)
        self._known = dict(self._files([_Load(*row) for row in newest]))
        return _joined(self._known, len(bad))

    def _files(self, loads: list[_Load]) -> Iterable[tuple[_Load, _File]]:
        # The object is put before its load is published, so that a load that is known has an object that is known.
        before = {load.key: file for load, file in self._known.items()}
        for load in loads:
            if file := self._known.get(load) or self._file(load.key, before.get(load.key)):
                yield load, file

    def _file(self, key: str, before: _File | None) -> _File | None:
        try:
            info = self._store.stat(key)
            if before and before.etag == info.etag:
                return before
            return self._fetched(info)
        except FileNotFoundError:
            return None  # corrected meanwhile: the next loads tell

    def _fetched(self, info: ObjectInfo) -> _File:
        if info.size > MAX_OBJECT:
            return _unread(
                info, f"it has {formats.size(info.size)}, too much for a page: look at it with DuckDB or pandas"
            )
        opened, data = fetch(self._store, info.key)
        try:
            return _File(opened.etag, *_first(pq.ParquetFile(io.BytesIO(data))))
        except Exception as error:  # whatever is in the object: the store has answered
            reason = f"{' '.join(str(error).split()):.200}"
            return _unread(opened, f"it is not what this version of the pipeline writes: {reason}")


def fetch(store: ObjectStore, key: str) -> tuple[ObjectInfo, bytes]:
    """Return an object's facts and bytes, read again where it was replaced meanwhile.

    Raises:
        FileNotFoundError: there is no such object.
        ObjectChanged: it was replaced during each of `READS` reads.
    """
    for _ in range(READS - 1):
        with suppress(ObjectChanged), store.open(key) as (info, stream):
            return info, stream.read()
    with store.open(key) as (info, stream):
        return info, stream.read()


def _unread(info: ObjectInfo, reason: str) -> _File:
    return _File(info.etag, REJECTED_SCHEMA.empty_table(), 0, reason)


def _first(file: pq.ParquetFile) -> tuple[pa.Table, int]:
    """Read a file's first problems, and how many there are."""
    batches: list[pa.Table] = [REJECTED_SCHEMA.empty_table()]
    rows = memory = 0
    for batch in file.iter_batches(BATCH):
        batches.append(pa.table(batch).select(REJECTED_SCHEMA.names).cast(REJECTED_SCHEMA))
        rows, memory = rows + batch.num_rows, memory + batch.nbytes
        if rows >= FILE_PROBLEMS or memory >= FILE_MEMORY:
            break
    return pa.concat_tables(batches), file.metadata.num_rows


def _joined(files: dict[_Load, _File], bad: int) -> Problems:
    tables = [_of_dataset(load.dataset, file.problems) for load, file in files.items()]
    table = pa.concat_tables([_of_dataset("", REJECTED_SCHEMA.empty_table()), *tables])
    return Problems(
        table.to_pandas(types_mapper=pd.ArrowDtype),
        files=bad,
        read=sum(not file.unread for file in files.values()),
        there=sum(file.there for file in files.values()),
        unread={load.key: file.unread for load, file in files.items() if file.unread},
    )


def _of_dataset(name: str, problems: pa.Table) -> pa.Table:
    return problems.add_column(0, "dataset", pa.repeat(pa.scalar(name, pa.string()), problems.num_rows))


def matching(frame: pd.DataFrame, chosen: dict[str, list[str]], file: str = "") -> pd.DataFrame:
    """Keep the problems whose columns have one of the `chosen` values, in files whose key contains `file`."""
    for column, values in chosen.items():
        frame = frame[frame[column].isin(values)] if values else frame
    return frame[frame["source_key"].str.contains(file, case=False, regex=False)] if file else frame
