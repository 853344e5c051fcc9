"""Clean rows of companydata in a lake, by readers that are not ours."""

import io
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lake.layout import CLEAN, table_prefix
from tests.support.lake import Lake
from tests.support.oracle import oracle

ORDER = ["_source_key", "_line"]
TABLE = table_prefix(CLEAN, "companydata")

Rows = list[dict[str, Any]]


def table_rows(lake: Lake) -> Rows:
    """Return the clean table's rows, by Polars."""
    address, options = lake.store.address(TABLE)
    known = {name: value for name, value in options.items() if name.startswith(("aws_", "allow_"))}
    return pl.read_delta(address, storage_options=known).sort(ORDER).to_dicts()


def oracle_rows(lake: Lake) -> Rows:
    """Return the clean table's rows, by DuckDB's own reader."""
    with oracle(*lake.store.address(TABLE)) as ask:
        return ask(f"FROM t ORDER BY {', '.join(ORDER)}")


def object_rows(lake: Lake) -> Rows:
    """Return the rows of the clean objects, by pyarrow."""
    tables = []
    for info in lake.store.list("clean/companydata/"):
        with lake.store.open(info.key) as (_, stream):
            tables.append(pq.read_table(io.BytesIO(stream.read())))
    table = pa.concat_tables(tables, promote_options="permissive").sort_by([(name, "ascending") for name in ORDER])
    return table.select([*ORDER, *(name for name in table.schema.names if name not in ORDER)]).to_pylist()
