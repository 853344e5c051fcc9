"""The Delta tables that the real program writes, read by other engines, after kills and on a wire with faults."""

import shutil
import signal
import time
from functools import partial
from random import Random

import pytest
from deltalake import DeltaTable, write_deltalake

from lake.layout import CLEAN, table_prefix
from pipeline.service import lease
from tests.support.lake import Lake, company_csv, new_lake
from tests.support.minio_server import until
from tests.support.project import DATASETS
from tests.support.rows import TABLE, object_rows, oracle_rows, table_rows
from tests.support.truth import BAD_ROWS
from tests.support.wire import proxy_to

NAMES = [f"companydata/{name}.csv" for name in ("a", "b c", "_d", "e #1?", "100 %", "f's")]


@pytest.mark.needs_oracle
def test_a_storm_leaves_each_row_once_for_every_reader(lake, tmp_path):
    """Loads, replacements, refusals, a retraction and other columns, while the pipeline is killed again and again."""
    chance, datasets = Random(5), tmp_path / "datasets"
    shutil.copytree(DATASETS, datasets)
    lake.environ["PIPELINE_DATASETS"] = str(datasets)
    for round_ in range(6):
        program = lake.start("run", TABLES_SECONDS="0.1")
        deadline = time.monotonic() + chance.uniform(0.8, 2.5)
        while time.monotonic() < deadline:
            name = chance.choice(NAMES)
            bad = BAD_ROWS if chance.random() < 0.2 else b""
            lake.put(name, b"nonsense" if chance.random() < 0.1 else company_csv(chance.randint(0, 99)) + bad)
            time.sleep(0.05)
        program.kill()
        if round_ == 3:
            lake.store.delete(f"raw/{NAMES[0]}")
            contract = datasets / "companydata.json"
            integer, number = (f'"Ordered", "type": "{type_}"' for type_ in ("integer", "number"))
            contract.write_text(contract.read_text().replace(integer, number))
    assert lake.finish("replay", "--all") == 0
    assert lake.finish("once", "--retract-deleted", TABLES_SECONDS="5") == 0
    rows = object_rows(lake)
    assert {type(row["Ordered"]) for row in rows} == {float}
    assert table_rows(lake) == rows
    assert oracle_rows(lake) == rows
    assert lake.command("verify").returncode == 0


def test_a_running_pipeline_keeps_them_up_to_date_whoever_deletes_or_writes_one(local_lake):
    lake = local_lake
    with lake.pipeline(TABLES_SECONDS="0.1") as program:
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
        table = DeltaTable(lake.store.address(TABLE)[0])
        write_deltalake(table, table.to_pyarrow_table().slice(0, 5), mode="append")
        lake.put(NAMES[2], company_csv(4))
        lake.wait_loaded(NAMES[2])
        until(lambda: _is_right(lake))
    assert "it is missing" in program.log
    assert "another program wrote its version" in program.log


def test_two_pipelines_spoil_no_table(local_lake, tmp_path):
    """The first is stopped until the second has taken the lake over, and goes on; then one of them ends by itself."""
    lake, folders = local_lake, [str(tmp_path / name) for name in ("one", "other")]
    start = partial(lake.start, "run", prepare=_soon_dead, TABLES_SECONDS="0.1")
    programs = [start(PIPELINE_STATE=folders[0])]
    try:
        for name in NAMES:
            lake.put(name, company_csv(1))
        lake.wait_loaded(*NAMES)
        until(lambda: _is_right(lake))
        programs[0].signal(signal.SIGSTOP)
        lake.put(NAMES[0], company_csv(2))
        programs.append(start(PIPELINE_STATE=folders[1]))
        lake.wait_loaded(*NAMES)
        programs[0].signal(signal.SIGCONT)
        for number in range(3, 8):
            lake.put(NAMES[number % 3], company_csv(number))
            lake.wait_loaded(NAMES[number % 3])
        until(lambda: not all(one.alive for one in programs), what="the end of one of them")
        [left] = [number for number, one in enumerate(programs) if one.alive]
        assert programs[1 - left].wait() == 2
        lake.put(NAMES[1], company_csv(9))
        lake.wait_loaded(NAMES[1])
        until(lambda: _is_right(lake))
        programs[left].stop()
        assert lake.finish("verify", PIPELINE_STATE=folders[left]) == 0
    finally:
        for program in programs:
            program.kill()


def _soon_dead() -> None:
    lease.EXPIRES_SECONDS = 4.0  # the one that waits for it is short of time


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
