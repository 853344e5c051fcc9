"""Lake with clean objects and a ledger of them, made without any load, for what is measured of tables."""

import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, WriterProperties, write_deltalake

from lake.layout import CLEAN, clean_key, table_prefix
from lake.stores import open_store
from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import read_datasets
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.published import contents
from pipeline.tables.table import ROW_GROUP
from pipeline.tables.tables import Tables
from tests.support.project import DATASETS

NAME = "companydata"
PER_COMMIT = 4  # files


@dataclass
class Made:
    """Lake with clean objects and a ledger of them, made without any load."""

    folder: Path
    store: ObjectStore = field(init=False)
    ledger: Ledger = field(init=False)
    tables: Tables = field(init=False)
    files: int = 0

    def __post_init__(self) -> None:
        """Make an empty lake."""
        (self.folder / "staging").mkdir()
        self.store = open_store(str(self.folder / "lake"))
        self.ledger = Ledger(self.folder / "ledger.sqlite")
        self.datasets = read_datasets(DATASETS)
        self.ledger.start_run({NAME: self.datasets[NAME].fingerprint})
        self.tables = Tables(self.store, self.ledger, {NAME: self.datasets[NAME]}, self.folder / "staging", 7)
        schema = self.datasets[NAME].schema
        rows: dict[str, list[Any]] = {name: [] for name in schema.names}
        for row in range(24):
            for item in schema:
                rows[item.name].append(row if pa.types.is_integer(item.type) else f"{item.name} {row % 3}")
        self.rows = pa.table(rows, schema)

    def add(self, files: int) -> None:
        """Put clean objects, and tell the ledger of them."""
        columns = dict(zip(self.rows.column_names, self.rows.columns, strict=True))
        etags = []
        for number in range(self.files, self.files + files):
            key = f"raw/{NAME}/{number // 1000}/{number}.csv"
            lineage = {"_source_key": pa.array([key] * 24), "_line": pa.array(range(2, 26), pa.int64())}
            sink = io.BytesIO()
            pq.write_table(pa.table({**columns, **lineage}), sink)
            etags.append((self.store.put(clean_key(key), sink.getvalue()), key))
        self.files += files
        with self.ledger.transaction() as db:
            for place, (_, key) in enumerate(etags, self.files - files):
                db.execute(
                    "INSERT INTO source (source_key, dataset, status, etag, size, found_by, landed_at, noticed_at,"
                    " touched, changed_at) VALUES (?, ?, 'loaded', '', 0, 'event', 0, 0, 0, ?)",
                    (key, NAME, place),
                )
            db.executemany("UPDATE source SET clean_etag = ? WHERE source_key = ?", etags)

    def publish(self) -> None:
        """Publish what the Query page reads."""
        for key, content in contents(self.ledger, self.datasets, None):
            self.store.put(key, content)

    def append(self, files: int) -> None:
        """Append the rows of many small files to the clean table alone: no object and no ledger has them."""
        schema = pa.schema(DeltaTable(self.table).schema().to_arrow())
        batches = (_rows_of(range(at, at + 1_000), schema) for at in range(0, files, 1_000))
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        writer = WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP)
        write_deltalake(self.table, reader, mode="append", writer_properties=writer)

    def commit(self) -> float:
        """Add files, and commit them; return the seconds of the commit."""
        self.add(PER_COMMIT)
        began = time.perf_counter()
        self.tables.update(Event())
        return time.perf_counter() - began

    @property
    def table(self) -> str:
        """Return the path of the clean table."""
        return self.store.address(table_prefix(CLEAN, NAME))[0]


def _rows_of(numbers: range, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows of files, other numbers in each."""
    chance = np.random.default_rng(numbers.start)
    count = 24 * len(numbers)
    columns = []
    for item in schema:
        if item.name == "_source_key":
            columns.append(pa.array(np.repeat([f"raw/{NAME}/large/{number}.csv" for number in numbers], 24)))
        elif item.name == "_line":
            columns.append(pa.array(np.tile(np.arange(2, 26), len(numbers))))
        elif pa.types.is_integer(item.type):
            columns.append(pa.array(chance.integers(0, 10_000, count)))
        else:
            columns.append(pa.array([f"{item.name} {row % 3}" for row in range(count)]))
    return pa.RecordBatch.from_arrays(
        [column.cast(item.type) for column, item in zip(columns, schema, strict=True)], schema=schema
    )
