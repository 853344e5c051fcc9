"""The newest problems, read from the objects under `rejected/`; bounded in files, in problems and in memory."""

import io
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dashboard.shared import formats
from dashboard.shared.objects import fetch
from lake.layout import rejected_key
from lake.schemas import REJECTED_SCHEMA
from lake.stores.base import ObjectInfo, ObjectStore

MAX_FILES = 50  # files that are read: the newest with problems
MAX_OBJECT = 64_000_000  # bytes: a larger object is not fetched
FILE_PROBLEMS = 1000  # problems that are read of one file, so that one bad file does not hide the others
FILE_MEMORY = 1_000_000  # bytes of one file's problems, because a raw record may have 4 KiB
STATE, OPEN, MENDED = "state", "open", "mended"  # of a problem: whether its record was corrected and put back
BATCH = 100  # problems that are read at once: how far those two limits may be exceeded


@dataclass(frozen=True)
class Problems:
    """The problems of the newest files: `frame` has one row per problem, the newest file first."""

    frame: pd.DataFrame
    files: int = 0  # with problems, read or not
    read: int = 0  # files that were read
    total: int = 0  # problems of the files that were read, in `frame` or not
    unread: dict[str, str] = field(default_factory=dict)  # key of an object to the reason why it was not read
    rejected: int = 0  # records of all these files, read or not
    mended: int = 0  # of these records


class _Load(NamedTuple):
    source_key: str
    dataset: str
    etag: str
    latest: object
    mended: tuple[int, ...] = ()  # the first lines whose rejects are mended


class _File(NamedTuple):
    load: _Load
    etag: str
    problems: pa.Table
    total: int
    unread: str = ""


class Rejected:
    """Reader of the newest problems; an object is fetched again only if its etag changed."""

    def __init__(self, store: ObjectStore) -> None:
        """Read from `store`; one instance serves every visitor."""
        self._store, self._lock = store, threading.Lock()
        self._files: dict[str, _File] = {}
        self._newest: tuple[pd.DataFrame, Problems] | None = None

    def newest(self, loads: pd.DataFrame) -> Problems:
        """Return the problems of the newest of `loads`; the same `loads` again cost nothing."""
        with self._lock:
            if self._newest is None or self._newest[0] is not loads:
                bad = loads[(loads["rows_rejected"].fillna(0) > 0) | (loads["status"] == "refused")]
                newest = bad.head(MAX_FILES)[list(_Load._fields)].itertuples(index=False, name=None)
                self._files = dict(self._read([_load(*row) for row in newest]))
                self._newest = loads, _problems(self._files, bad)
            return self._newest[1]

    def _read(self, loads: list[_Load]) -> Iterable[tuple[str, _File]]:
        for load in loads:
            key = rejected_key(load.source_key)
            file = self._files.get(key)
            with suppress(FileNotFoundError):  # the source was corrected: the next loads will show it
                # An object is put before its load is published, so a known load has a known object.
                if file is None or file.load != load:
                    info = self._store.stat(key)
                    file = file._replace(load=load) if file and file.etag == info.etag else self._fetch(info, load)
                yield key, file

    def _fetch(self, info: ObjectInfo, load: _Load) -> _File:
        empty = REJECTED_SCHEMA.empty_table()
        if info.size > MAX_OBJECT:
            reason = f"it has {formats.size(info.size)}, too much for a page: look at it with DuckDB or pandas"
            return _File(load, info.etag, empty, 0, reason)
        info, data = fetch(self._store, info.key)
        try:
            return _File(load, info.etag, *_first_problems(pq.ParquetFile(io.BytesIO(data))))
        except Exception as error:  # the store has answered, so this is a fault of the object
            reason = f"it is not what this version of the pipeline writes: {' '.join(str(error).split()):.200}"
            return _File(load, info.etag, empty, 0, reason)


def _first_problems(file: pq.ParquetFile) -> tuple[pa.Table, int]:
    """Return a file's first problems, and the number of all its problems."""
    batches: list[pa.Table] = [REJECTED_SCHEMA.empty_table()]
    rows = memory = 0
    for batch in file.iter_batches(BATCH):
        batches.append(pa.table(batch).select(REJECTED_SCHEMA.names).cast(REJECTED_SCHEMA))
        rows, memory = rows + batch.num_rows, memory + batch.nbytes
        if rows >= FILE_PROBLEMS or memory >= FILE_MEMORY:
            break
    return pa.concat_tables(batches), file.metadata.num_rows


def _load(source_key: str, dataset: str, etag: str, latest: object, mended: Any) -> _Load:
    lines = () if mended is None or mended is pd.NA else tuple(map(int, mended))
    return _Load(source_key, dataset, etag, latest, lines)


def _problems(files: dict[str, _File], bad: pd.DataFrame) -> Problems:
    tables = [_with_state(file.load, file.problems) for file in files.values()]
    table = pa.concat_tables([_with_state(_Load("", "", "", None), REJECTED_SCHEMA.empty_table()), *tables])
    return Problems(
        table.to_pandas(types_mapper=pd.ArrowDtype),
        files=len(bad),
        read=sum(not file.unread for file in files.values()),
        total=sum(file.total for file in files.values()),
        unread={key: file.unread for key, file in files.items() if file.unread},
        rejected=int(bad["rows_rejected"].sum()),
        mended=int(bad["rows_mended"].sum()),
    )


def _with_state(load: _Load, problems: pa.Table) -> pa.Table:
    """Add to the problems of a file its dataset, and of each whether it is open or mended."""
    is_mended = pc.is_in(problems["line"], pa.array(load.mended, pa.int64()))
    problems = problems.append_column(STATE, pc.if_else(is_mended, MENDED, OPEN).cast(pa.string()))
    return problems.add_column(0, "dataset", pa.repeat(pa.scalar(load.dataset, pa.string()), problems.num_rows))


def matching(frame: pd.DataFrame, chosen: dict[str, list[str]], file: str = "") -> pd.DataFrame:
    """Return the problems whose columns have one of the `chosen` values, in files whose key contains `file`."""
    for column, values in chosen.items():
        frame = frame[frame[column].isin(values)] if values else frame
    return frame[frame["source_key"].str.contains(file, case=False, regex=False)] if file else frame
