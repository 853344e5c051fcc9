"""The Delta tables that the real program writes, read by other engines, after kills and on a wire with faults."""

import io
import time
from random import Random
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lake.layout import CLEAN, table_prefix
from tests.support.lake import Lake, company_csv, new_lake
from tests.support.minio_server import until
from tests.support.wire import proxy_to

ORDER = ["_source_key", "_line"]
NAMES = [f"companydata/{name}.csv" for name in ("a", "b c", "_d", "e #1?", "100 %", "f's")]


def table_rows(lake: Lake) -> list[dict[str, Any]]:
    """Return the clean table's rows, by Polars."""
    address, options = lake.store.address(table_prefix(CLEAN, "companydata"))
    known = {name: value for name, value in options.items() if name.startswith(("aws_", "allow_"))}
    return pl.read_delta(address, storage_options=known).sort(ORDER).to_dicts()


def object_rows(lake: Lake) -> list[dict[str, Any]]:
    """Return the rows of the clean objects, by pyarrow."""
    tables = []
    for info in lake.store.list("clean/companydata/"):
        with lake.store.open(info.key) as (_, stream):
            tables.append(pq.read_table(io.BytesIO(stream.read())))
    table = pa.concat_tables(tables).sort_by([(name, "ascending") for name in ORDER])
    return table.select([*ORDER, *(name for name in table.schema.names if name not in ORDER)]).to_pylist()


def test_kills_and_replacements_leave_each_row_once(lake):
    chance = Random(5)
    for round_ in range(6):
        program = lake.start("run", TABLES_SECONDS="0.1")
        deadline = time.monotonic() + chance.uniform(0.8, 2.5)
        while time.monotonic() < deadline:
            name = chance.choice(NAMES)
            lake.put(name, b"nonsense" if chance.random() < 0.1 else company_csv(chance.randint(0, 99)))
            time.sleep(0.05)
        program.kill()
        if round_ == 3:
            lake.store.delete(f"raw/{NAMES[0]}")
    assert lake.finish("once", "--retract-deleted", TABLES_SECONDS="5") == 0
    assert table_rows(lake) == object_rows(lake)
    assert lake.command("verify").returncode == 0


def test_a_running_pipeline_keeps_them_up_to_date_and_a_deleted_one_is_built_anew(local_lake):
    lake = local_lake
    with lake.pipeline(TABLES_SECONDS="0.1"):
        for name in NAMES:
            lake.put(name, company_csv(1))
        lake.wait_loaded(*NAMES)
        until(lambda: _is_right(lake))
        lake.put(NAMES[0], company_csv(2))
        lake.wait_loaded(NAMES[0])
        until(lambda: _is_right(lake))
        for info in list(lake.store.list("tables/clean/companydata/")):
            lake.store.delete(info.key)
        lake.put(NAMES[1], company_csv(3))
        lake.wait_loaded(NAMES[1])
        until(lambda: _is_right(lake))


@pytest.mark.needs_engine
def test_loads_go_on_while_tables_cannot_be_written(minio, tmp_path):
    store = minio.new_store()
    with proxy_to(minio.port) as proxy:
        environ = minio.environ(store.bucket) | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
        lake = new_lake(store, environ, tmp_path / "state")
        fault = proxy.add("PUT /[^ ]*/tables/.*", "reset")
        with lake.pipeline(TABLES_SECONDS="0.1") as program:
            lake.put(NAMES[0], company_csv(1))
            lake.wait_loaded(NAMES[0])
            until(lambda: fault.hits and "table not written" in program.log)
            lake.put(NAMES[1], company_csv(2))
            lake.wait_loaded(NAMES[1])
            proxy.heal()
            until(lambda: _is_right(lake))


def _is_right(lake: Lake) -> bool:
    address, options = lake.store.address(table_prefix(CLEAN, "companydata"))
    return DeltaTable.is_deltatable(address, options) and table_rows(lake) == object_rows(lake)
