"""Delta tables on bad days: kills at chosen steps of a commit and its upkeep, and a disk of the tables that is full."""

import re

import pytest
from deltalake import DeltaTable

from tests.support.disks import disk
from tests.support.lake import Lake, company_csv, new_lake
from tests.support.minio_server import until
from tests.support.rows import TABLE, object_rows, table_rows
from tests.support.truth import verify
from tests.support.wire import proxy_to

LOG = f"PUT /[^ ]*/{TABLE}_delta_log/"
# Steps of one update. A number is how many versions after the present one; the first update of a program ends with
# its upkeep: compaction, vacuum, checkpoint.
STEPS = {
    "staged rows, before their commit": (LOG, 1, r"\.json"),
    "compacted rows, before their commit": (LOG, 2, r"\.json"),
    "a vacuum": (r"(POST /[^ ]*\?delete|DELETE /[^ ]*tables/)", None, ""),
    "a checkpoint": (LOG + r"[0-9]{20}\.checkpoint", None, ""),
    "its name": (LOG + "_last_checkpoint", None, ""),
}


@pytest.mark.needs_engine
def test_kills_inside_a_commit_a_compaction_and_a_vacuum(minio, tmp_path):
    """The wire holds a request of each step, and the program is killed; then the next one begins."""
    store = minio.new_store()
    with proxy_to(minio.port) as proxy:
        environ = minio.environ(store.bucket) | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
        lake = new_lake(store, environ, tmp_path / "state")
        settings = {"TABLES_SECONDS": "0.1", "TABLES_KEEP": "0"}
        for number in range(2):
            lake.put(f"companydata/{number}.csv", company_csv(number))
            assert lake.finish("once", **settings) == 0
        for number, (before, ahead, after) in enumerate(STEPS.values()):
            lake.put("companydata/0.csv", company_csv(100 + number))
            lake.put(f"companydata/new {number}.csv", company_csv(number))
            version = "" if ahead is None else f"{_open(lake).version() + ahead:020}"
            fault = proxy.add(before + version + after, "hold")
            program = lake.start("run", **settings)
            until(lambda: fault.hits, what=f"{before}{version}{after}")  # noqa: B023
            program.kill()
            proxy.heal()
            _open(lake).to_pyarrow_table()  # a reader is never in the way of it
        assert lake.finish("once", **settings) == 0
        assert table_rows(lake) == object_rows(lake)
        assert verify(lake) == ""
        assert "built anew" not in (lake.state.parent / "pipeline.log").read_text()
        files = [info.key for info in store.list(TABLE) if re.search(r"/part-[^/]*$", info.key)]
        assert len(files) == len(_open(lake).file_uris()), "what a kill left behind is gone"


@pytest.mark.needs_mount
def test_loads_go_on_while_the_tables_have_no_room(local_lake, tmp_path):
    lake = local_lake
    with disk(tmp_path / "lake/tables", 1) as full:
        with lake.pipeline(TABLES_SECONDS="0.1") as program:
            lake.put("companydata/a.csv", company_csv(1))
            lake.wait_loaded("companydata/a.csv")
            until(lambda: DeltaTable.is_deltatable(str(tmp_path / "lake" / TABLE)) and _is_right(lake))
            filler = full.fill()
            lake.put("companydata/a.csv", company_csv(2))
            lake.put("companydata/b.csv", company_csv(3))
            lake.wait_loaded("companydata/a.csv", "companydata/b.csv")
            until(lambda: "table not written" in program.log)
            assert {row["_source_key"] for row in table_rows(lake)} == {"raw/companydata/a.csv"}, "as it was"
            until(lambda: lake.status()["tables"]["files"] == 2, what="a status that says what the tables lack")
            filler.unlink()
            until(lambda: _is_right(lake))
            until(lambda: lake.status()["tables"]["files"] == 0)
        assert verify(lake) == ""
    assert "Traceback" not in program.log


def _is_right(lake: Lake) -> bool:
    return table_rows(lake) == object_rows(lake)


def _open(lake: Lake) -> DeltaTable:
    address, options = lake.store.address(TABLE)
    return DeltaTable(address, storage_options=options)
