"""Parquet objects as one Arrow dataset, although they may have been written under different contracts.

Arrow itself uses the schema of the first file by name for all files, and casts the values of the others to it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds

from lake.stores.base import SAMPLE, ObjectChanged, ObjectInfo
from lake.stores.common_schema import Conflict, SchemaConflict, convert, is_held, unified

THREADS = 8  # that open files
WINDOW = 32  # files that are open at a time
REPLACED = 5  # times that an object may be replaced just as it is opened
FORMAT = ds.ParquetFileFormat()

OpenFile = Callable[[ObjectInfo, bool], pa.NativeFile]  # True: all of it will be read, not the footer alone


class SchemaChanged(OSError):
    """The schema changed in the middle of a scan, by a file beyond the sample: scan again."""


class DamagedObject(OSError):
    """The named object cannot be read as Parquet."""


class _File(NamedTuple):
    info: ObjectInfo
    fragment: ds.Fragment
    schema: pa.Schema


class ObjectDataset(ds.InMemoryDataset):  # type: ignore[misc]
    """Arrow dataset over listed objects; each object is read in a single version.

    `schema` has all columns of all files. A file that was written under another contract is converted if that keeps
    each value; otherwise it is an error (see `common_schema.py`). After a scan that failed, `error` has the reason,
    because an engine that scans the dataset raises its own error.
    """

    def __init__(
        self,
        objects: Iterable[ObjectInfo],
        open_file: OpenFile,
        stat: Callable[[str], ObjectInfo],
        sample: int = SAMPLE,
    ) -> None:
        """Read the footers of a `sample` of `objects`, with the oldest and the newest among them."""
        super().__init__(pa.table({}))
        self.objects = sorted(objects, key=lambda info: info.key)
        self.error: Exception | None = None
        self._open_file, self._stat, self._sample = open_file, stat, sample
        self._files_by_schema: dict[pa.Schema, list[ObjectInfo]] = {}
        for info, schema in self._looked_at():
            self._files_by_schema.setdefault(schema, []).append(info)
        self._unified = self._of_all()

    def _of_all(self) -> pa.Schema:
        try:
            return unified(self._files_by_schema)
        except SchemaConflict as error:
            error.more = self.more
            raise

    @property
    def more(self) -> bool:
        """Return whether there are files beyond the sample."""
        return len(self.objects) > self._sample

    @property
    def schema(self) -> pa.Schema:
        """Return all columns of the sampled files."""
        return self._unified

    @property
    def older(self) -> int:
        """Count the sampled files whose schema differs from that of the newest file."""
        latest = {schema: max(info.modified for info in infos) for schema, infos in self._files_by_schema.items()}
        newest = max(latest.values(), default=None)
        return sum(len(infos) for schema, infos in self._files_by_schema.items() if latest[schema] != newest)

    def scanner(self, **options: Any) -> "Scan":
        """Return a scan; takes the options of Arrow's scanner."""
        return Scan(self, **options)

    def _looked_at(self) -> Iterator[tuple[ObjectInfo, pa.Schema]]:
        whole = len(self.objects) == 1  # its columns are read next
        with ThreadPoolExecutor(THREADS) as pool:
            for file in pool.map(lambda info: self._opened(info, whole=whole), sampled(self.objects, self._sample)):
                if file:
                    yield file.info, file.schema

    def _opened(self, info: ObjectInfo, *, whole: bool) -> _File | None:
        """Open the current version of a file; None if it is gone, as after a refused load."""
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
            # Without nullability, which changes no value.
            return _File(info, fragment, pa.schema([(field.name, field.type) for field in fragment.physical_schema]))
        except pa.ArrowException as error:
            raise DamagedObject(f"{info.key} cannot be read: {error}") from error

    def files(self) -> Iterator[_File]:
        """Yield the opened files; the next `WINDOW` files are opened in advance."""
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
        if file.schema not in self._files_by_schema:
            self._files_by_schema[file.schema] = [file.info]
            before, self._unified = self._unified, self._of_all()
            if self._unified != before:
                raise SchemaChanged(f"{file.info.key} changes the schema of what is read")
        return file


def sampled(objects: Iterable[ObjectInfo], most: int = SAMPLE) -> list[ObjectInfo]:
    """Return at most `most` objects, evenly by age, with the oldest and newest: contracts change over time."""
    by_age = sorted(objects, key=lambda info: (info.modified, info.key))
    step = max(1.0, (len(by_age) - 1) / (most - 1))
    return [by_age[round(index * step)] for index in range(min(len(by_age), most))]


class Scan:
    """One pass over the files of a dataset, with the columns and the filter pushed down to each."""

    def __init__(self, dataset: ObjectDataset, columns: Any = None, filter: Any = None, **options: Any) -> None:  # noqa: A002 - Arrow's name
        """Prepare a scan; takes the options of Arrow's scanner."""
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
        """Return all rows."""
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
