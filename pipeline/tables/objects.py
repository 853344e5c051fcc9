"""Rows for a table from the objects of its sources, as a stream of bounded memory."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.layout import CLEAN, REJECTED, clean_key, rejected_key
from lake.stores.base import ObjectStore
from lake.stores.common_schema import Conflict, convert, fits
from pipeline.ledger.changes import Change
from pipeline.readers.prefetch import in_order

IN_MEMORY = 16 << 20  # bytes of an object; a larger one is copied to a file first
ROWS = 16_000  # of a batch


@dataclass
class Objects:
    """Reads the objects of sources, all of `outputs` (`CLEAN` or `REJECTED`), as rows of one schema.

    `left_out` counts the objects of an older contract whose values do not fit the schema; `example` is the first one.
    """

    store: ObjectStore
    outputs: str
    schema: pa.Schema
    staging: Path
    left_out: int = 0
    example: str = ""

    def reader(self, changes: Iterable[Change]) -> pa.RecordBatchReader:
        """Return the rows of the sources as they are now, one object after the other."""
        return pa.RecordBatchReader.from_batches(self.schema, self._batches(changes))

    def _batches(self, changes: Iterable[Change]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of small files in batches of many files: each batch costs the library as much as a file."""
        tables, count = list[pa.Table](), 0
        for table in chain.from_iterable(in_order(self._read, self._keys(changes))):
            tables.append(table)
            count += table.num_rows
            if count >= ROWS:
                yield from pa.concat_tables(tables).combine_chunks().to_batches()
                tables, count = [], 0
        if tables:
            yield from pa.concat_tables(tables).combine_chunks().to_batches()

    def _keys(self, changes: Iterable[Change]) -> Iterator[str]:
        """Yield the key of each object."""
        for change in changes:
            if self.outputs == CLEAN and change.clean_etag:
                yield clean_key(change.source_key)
            elif self.outputs == REJECTED and change.rejected_etag:
                yield rejected_key(change.source_key)

    def _read(self, key: str) -> Iterable[pa.Table]:
        """Return the rows of an object as it is now.

        It may have been replaced after the result in the ledger. The result of that version comes later and replaces
        the same rows once more; without them the table would have no row of the source until then.
        """
        try:
            with self.store.open(key) as (info, stream):
                if info.size <= IN_MEMORY:
                    return list(self._rows(key, pa.BufferReader(stream.read())))
                copy = TemporaryFile(dir=self.staging)  # noqa: SIM115 (it is closed when its rows were read)
                shutil.copyfileobj(stream, copy, 1 << 20)
        except FileNotFoundError:
            return ()
        return self._rows(key, copy)

    def _rows(self, key: str, source: Any) -> Iterator[pa.Table]:
        file = pq.ParquetFile(source)
        if not self._fits(file):
            self.left_out, self.example = self.left_out + 1, self.example or key
        elif file.metadata.num_rows <= ROWS:
            yield self._converted(file.read(use_threads=False))
        else:
            for batch in file.iter_batches(ROWS, use_threads=False):
                yield self._converted(pa.Table.from_batches([batch]))

    def _converted(self, table: pa.Table) -> pa.Table:
        known = set(table.schema.names)
        table = table.replace_schema_metadata().select([name for name in self.schema.names if name in known])
        return table if table.schema.equals(self.schema) else convert(table, self.schema)

    def _fits(self, file: pq.ParquetFile) -> bool:
        """Return whether every value has a form in the schema; only a file of another schema is read for that."""
        types = {field.name: field.type for field in file.schema_arrow}
        common = [(types[field.name], field.type) for field in self.schema if field.name in types]
        if all(type_ == target for type_, target in common):
            return True
        if not all(fits(type_, target) for type_, target in common):
            return False
        try:
            for batch in file.iter_batches(ROWS):
                convert(pa.Table.from_batches([batch]), self.schema)
        except Conflict:
            return False
        return True
