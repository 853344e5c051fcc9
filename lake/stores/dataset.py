"""Parquet objects as one Arrow dataset, although they may have been written under different contracts.

Arrow itself takes the schema of the first file by name for all of them, and casts what the others hold to it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds

from lake.stores.base import ObjectChanged, ObjectInfo
from lake.stores.unify import Conflict, SchemaConflict, convert, is_held, unified

SAMPLE = 256  # files whose schema is read before a scan; that of any other is read when the scan comes to it
THREADS = 8  # that open files
WINDOW = 32  # files that are open at a time
REPLACED = 5  # times that an object may be replaced just as it is opened
FORMAT = ds.ParquetFileFormat()

OpenFile = Callable[[ObjectInfo, bool], pa.NativeFile]  # True: all of it will be read, not the footer alone


class SchemaChanged(OSError):
    """A scan came to a file that changes the dataset's schema; scan again."""


class DamagedObject(OSError):
    """An object is not readable as Parquet; the message names it."""


class _File(NamedTuple):
    info: ObjectInfo
    fragment: ds.Fragment
    schema: pa.Schema


class ObjectDataset(ds.InMemoryDataset):  # type: ignore[misc]
    """A dataset over the listed objects, each read in one version of it.

    `schema` has all columns of all files. A file that was written under another contract is converted where that keeps
    each value, and is an error where it does not: see `lake.stores.unify`. What ended a scan stands in `error`, for a
    program that scans the dataset has words of its own.
    """

    def __init__(self, objects: Iterable[ObjectInfo], open_file: OpenFile, stat: Callable[[str], ObjectInfo]) -> None:
        """Take the objects; reads the footers of a sample that has the oldest and the newest."""
        super().__init__(pa.table({}))
        self.objects = sorted(objects, key=lambda info: info.key)
        self.error: Exception | None = None
        self._open_file, self._stat = open_file, stat
        self._found: dict[pa.Schema, list[ObjectInfo]] = {}
        for info, found in self._looked_at():
            self._found.setdefault(found, []).append(info)
        self._unified = self._of_all()

    def _of_all(self) -> pa.Schema:
        try:
            return unified(self._found)
        except SchemaConflict as error:
            error.more = self.more
            raise

    @property
    def more(self) -> bool:
        """Whether there are files that were not looked at before the scan."""
        return len(self.objects) > SAMPLE

    @property
    def schema(self) -> pa.Schema:
        """All columns of all files that were looked at."""
        return self._unified

    @property
    def older(self) -> int:
        """How many of the files that were looked at have another schema than the newest file."""
        latest = {found: max(info.modified for info in infos) for found, infos in self._found.items()}
        newest = max(latest.values(), default=None)
        return sum(len(infos) for found, infos in self._found.items() if latest[found] != newest)

    def scanner(self, **options: Any) -> "Scan":
        """Return a scan with the options of Arrow's own."""
        return Scan(self, **options)

    def _looked_at(self) -> Iterator[tuple[ObjectInfo, pa.Schema]]:
        whole = len(self.objects) == 1  # which is read in a moment anyway
        with ThreadPoolExecutor(THREADS) as pool:
            for file in pool.map(lambda info: self._opened(info, whole=whole), sampled(self.objects)):
                if file:
                    yield file.info, file.schema

    def _opened(self, info: ObjectInfo, *, whole: bool) -> _File | None:
        """Open a file in the version that it has now; None if it is gone, as after a load that was refused."""
        try:
            for _ in range(REPLACED):
                with suppress(ObjectChanged):
                    return self._fragment(info, whole=whole)
                info = self._stat(info.key)
            return self._fragment(info, whole=whole)
        except FileNotFoundError:
            return None

    def _fragment(self, info: ObjectInfo, *, whole: bool) -> _File:
        try:
            fragment = FORMAT.make_fragment(self._open_file(info, whole))
            # Whether a column may have nulls changes no value.
            return _File(info, fragment, pa.schema([(field.name, field.type) for field in fragment.physical_schema]))
        except pa.ArrowException as error:
            raise DamagedObject(f"{info.key} cannot be read: {error}") from error

    def files(self) -> Iterator[_File]:
        """Open each file, some of them ahead; raises what is wrong with one."""
        objects = iter(self.objects)
        with ThreadPoolExecutor(THREADS) as pool:
            opening: deque[Future[_File | None]] = deque()
            try:
                while True:
                    while len(opening) < WINDOW and (info := next(objects, None)):
                        opening.append(pool.submit(self._opened, info, whole=True))
                    if not opening:
                        return
                    if file := opening.popleft().result():
                        yield self._known(file)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _known(self, file: _File) -> _File:
        if file.schema not in self._found:
            self._found[file.schema] = [file.info]
            before, self._unified = self._unified, self._of_all()
            if self._unified != before:
                raise SchemaChanged(f"{file.info.key} changes the schema of what is read")
        return file


def sampled(objects: Iterable[ObjectInfo]) -> list[ObjectInfo]:
    """Return at most `SAMPLE` objects, evenly by age with the oldest and the newest, for contracts follow in time."""
    by_age = sorted(objects, key=lambda info: (info.modified, info.key))
    step = max(1.0, (len(by_age) - 1) / (SAMPLE - 1))
    return [by_age[round(index * step)] for index in range(min(len(by_age), SAMPLE))]


class Scan:
    """One pass over the files of a dataset, with the columns and the filter pushed down to each."""

    def __init__(self, dataset: ObjectDataset, columns: Any = None, filter: Any = None, **options: Any) -> None:  # noqa: A002 - Arrow's name
        """Take what Arrow's own scanner takes."""
        self._dataset, self._wanted = dataset, {"columns": columns, "filter": filter, **options}
        self.dataset_schema = dataset.schema
        self.projected_schema = ds.dataset(dataset.schema.empty_table()).scanner(**self._wanted).projected_schema

    def to_reader(self) -> pa.RecordBatchReader:
        """Return the batches as a stream."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self._kept())

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches."""
        return self._kept()

    def to_table(self) -> pa.Table:
        """Return all of it."""
        return self.to_reader().read_all()

    def count_rows(self) -> int:
        """Count the rows that pass the filter."""
        return sum(batch.num_rows for batch in self._kept())

    def _kept(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._batches()
        except Exception as error:
            self._dataset.error = error
            raise

    def _batches(self) -> Iterator[pa.RecordBatch]:
        alike: list[_File] = []
        for file in self._dataset.files():
            held = is_held(file.schema, self._dataset.schema)
            if alike and (not held or len(alike) == WINDOW // 2):
                yield from self._pushed_down(alike)
                alike = []
            if held:
                alike.append(file)
            else:
                yield from self._converted(file)
        yield from self._pushed_down(alike)

    def _pushed_down(self, files: list[_File]) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._scanned(files)
        except pa.ArrowException as error:
            for file in files if len(files) > 1 else ():
                with suppress(pa.ArrowException):
                    deque(self._scanned([file]), 0)
                    continue
                raise DamagedObject(f"{file.info.key} cannot be read: {error}") from error
            raise DamagedObject(f"{files[0].info.key} cannot be read: {error}") from error

    def _scanned(self, files: list[_File]) -> Iterator[pa.RecordBatch]:
        fragments = [file.fragment for file in files]
        yield from ds.FileSystemDataset(fragments, self._dataset.schema, FORMAT).scanner(**self._wanted).to_batches()

    def _converted(self, file: _File) -> Iterator[pa.RecordBatch]:
        """Read all columns, for those that the filter needs are not known, and filter what they are converted to."""
        for batch in file.fragment.to_batches():
            try:
                table = convert(pa.Table.from_batches([batch]), self._dataset.schema)
            except Conflict as error:
                conflict = SchemaConflict(str(error), [file.info])
                conflict.more = True  # perhaps: the others of its schema were not read
                raise conflict from error
            yield from ds.dataset(table).scanner(**self._wanted).to_batches()
