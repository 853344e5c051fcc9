"""Rows for a table from the objects of its sources, as a stream of bounded memory."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.layout import CLEAN, clean_key, rejected_key
from lake.stores.base import ObjectStore
from lake.stores.common_schema import Conflict, convert, fits
from pipeline.ledger.changes import Change

IN_MEMORY = 16 << 20  # bytes of an object; a larger one is copied to a file first
ROWS = 64_000  # of a batch


@dataclass
class Objects:
    """Reads the objects of sources, all of `outputs` (`CLEAN` or `REJECTED`), as rows of one schema.

    `left_out` has the keys of objects of an older contract whose values do not fit the schema.
    """

    store: ObjectStore
    outputs: str
    schema: pa.Schema
    staging: Path
    left_out: list[str] = field(default_factory=list)

    def reader(self, changes: Sequence[Change]) -> pa.RecordBatchReader:
        """Return the rows of the sources as they are now, one object after the other."""
        return pa.RecordBatchReader.from_batches(self.schema, self._batches(changes))

    def _batches(self, changes: Sequence[Change]) -> Iterator[pa.RecordBatch]:
        clean = self.outputs == CLEAN
        for change in changes:
            if etag := change.clean_etag if clean else change.rejected_etag:
                yield from self._rows((clean_key if clean else rejected_key)(change.source_key), etag)

    def _rows(self, key: str, etag: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of an object; none if it is of another version, for the result of that one comes later."""
        with SpooledTemporaryFile(IN_MEMORY, dir=str(self.staging)) as copy:
            if not self._copied(key, etag, copy):
                return
            file = pq.ParquetFile(copy)
            if not self._fits(file):
                self.left_out.append(key)
                return
            for batch in file.iter_batches(ROWS):
                yield from convert(pa.Table.from_batches([batch]), self.schema).to_batches()

    def _copied(self, key: str, etag: str, copy: IO[Any]) -> bool:
        try:
            with self.store.open(key) as (info, stream):
                if info.etag != etag:
                    return False
                shutil.copyfileobj(stream, copy, 1 << 20)
        except FileNotFoundError:
            return False
        copy.seek(0)
        return True

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
