"""Lake whose files are loaded, and whose tables are written, when a test asks for it."""

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lake.layout import CLEAN, REJECTED, table_prefix
from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reconcile import reconcile
from pipeline.service.context import Pipeline
from pipeline.service.executor import InlineExecutor
from pipeline.service.workers import process
from pipeline.tables.tables import Tables
from tests.support.stores import BACKENDS

Rows = list[dict[str, Any]]


@dataclass
class TableLake:
    """Pieces of a pipeline with one dataset, `numbers`, which a test may give another contract."""

    store: ObjectStore
    ledger: Ledger
    staging: Path
    datasets: dict[str, Dataset]
    keep: int = 7
    tables: Tables | None = None

    def put(self, name: str, content: str) -> None:
        self.store.put(f"raw/numbers/{name}", content.encode())

    def load(self, *, retract: bool = False) -> None:
        """Load what the store has, as a sweep finds it."""
        reconcile(self.store, self.ledger, retract_deleted=retract)
        executor = InlineExecutor(self.store, self.datasets, self.staging)
        pipeline = Pipeline(self.store, self.ledger, self.datasets, self.staging, executor, workers=0)
        while batch := self.ledger.take():
            process(pipeline, batch)

    def update(self) -> None:
        """Bring the tables up to date, as a pipeline does that has just started if `tables` is None."""
        self.tables = self.tables or Tables(self.store, self.ledger, self.datasets, self.staging, self.keep)
        self.tables.update(Event(), all_due=True)

    def open(self, outputs: str = CLEAN) -> DeltaTable:
        address, options = self.store.address(table_prefix(outputs, "numbers"))
        return DeltaTable(address, storage_options=options)

    def check(self) -> None:
        """Compare the tables with the objects, row by row."""
        for outputs, columns in ((CLEAN, ["_source_key", "_line"]), (REJECTED, ["source_key", "line", "rule"])):
            order: list[tuple[str, Any]] = [(name, "ascending") for name in columns]
            table = self.open(outputs).to_pyarrow_table()
            assert table.sort_by(order).to_pylist() == self.objects(outputs, table.schema, order)

    def objects(self, outputs: str, schema: pa.Schema, order: list[tuple[str, Any]]) -> Rows:
        """Return the rows of all objects, read by pyarrow alone."""
        tables = [schema.empty_table()]
        for info in self.store.list(outputs):
            with self.store.open(info.key) as (_, stream):
                table = pq.read_table(io.BytesIO(stream.read()))
            missing = [field for field in schema if field.name not in table.schema.names]
            for field in missing:
                table = table.append_column(field, pa.nulls(table.num_rows, field.type))
            tables.append(table.select(schema.names).cast(schema))
        return pa.concat_tables(tables).sort_by(order).to_pylist()


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.needs_engine)])
def any_table_lake(request, tmp_path, write_dataset) -> Iterator[TableLake]:
    """Lake in each kind of store."""
    yield from _lake(BACKENDS[request.param](request), tmp_path, write_dataset)


@pytest.fixture
def table_lake(request, tmp_path, write_dataset) -> Iterator[TableLake]:
    """Lake in a folder, for what has nothing to do with the kind of store."""
    yield from _lake(BACKENDS["local"](request), tmp_path, write_dataset)


def _lake(store: ObjectStore, folder: Path, write_dataset: Callable[..., Dataset]) -> Iterator[TableLake]:
    staging = folder / "state/staging"
    staging.mkdir(parents=True)
    with closing(Ledger(folder / "state/ledger.sqlite")) as ledger:
        dataset = write_dataset()
        ledger.start_run({"numbers": dataset.fingerprint})
        yield TableLake(store, ledger, staging, {"numbers": dataset})
