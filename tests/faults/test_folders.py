"""What may happen to files and folders that a person moves, protects or writes to while the pipeline looks at them."""

import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage import open_store
from tests.end_to_end.conftest import Lake, company_csv, company_sums, new_lake
from tests.faults.truth import assert_true, verify

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has this")


@pytest.fixture
def raw(local_lake) -> Path:
    """The folder of the dataset that the tests bring their files to."""
    folder = Path(local_lake.environ["LAKE_URL"], "raw/companydata")
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def memory_lake(tmp_path) -> Iterator[Lake]:
    """A lake in memory, where a file may have any time."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as url:
        yield new_lake(open_store(url), {"LAKE_URL": url}, tmp_path / "state")


@linux
def test_a_file_of_any_time_is_loaded(memory_lake):
    """A time that no calendar has is shown as the nearest that all readers can hold."""
    times = {"0": -(10**15), "1": -62_170_000_000, "2": 253_402_300_800, "3": 2**63 - 1, "4": -(2**63), "5": -(10**9)}
    for name, seconds in times.items():
        memory_lake.put(f"companydata/{name}.csv", company_csv(int(name)))
        path = Path(memory_lake.environ["LAKE_URL"], f"raw/companydata/{name}.csv")
        os.utime(path, ns=(0, seconds * 10**9 + 999_999_999))
    assert memory_lake.finish("once", "--strict") == 0
    with memory_lake.pipeline(SWEEP_SECONDS="1"):
        for name, seconds in times.items():
            memory_lake.put(f"companydata/late {name}.csv", company_csv(7))
            path = Path(memory_lake.environ["LAKE_URL"], f"raw/companydata/late {name}.csv")
            os.utime(path, ns=(0, seconds * 10**9))
        memory_lake.wait_loaded(*(f"companydata/late {name}.csv" for name in times))
    landed = {name: row["landed_at"] for name, row in memory_lake.loads().items()}
    bounds = [datetime(year, 1, 1, tzinfo=UTC) for year in (1678, 2262)]
    assert [landed[f"companydata/{name}.csv"] for name in "0123"] == [bounds[0], bounds[0], bounds[1], bounds[1]]
    assert landed["companydata/5.csv"].year == 1938
    assert "2262-01-01" in memory_lake.command("status", "--json", "raw/companydata/3.csv").stdout
    assert_true(memory_lake)


@pytest.mark.parametrize("folder_first", [True, False])
def test_a_file_beside_a_folder_that_is_named_as_its_result(lake, folder_first):
    """Their results cannot both be in a folder, so the one inside is ignored, whichever came first, in every store."""
    names = ["companydata/a.CSV", "companydata/a.CSV.parquet/b.csv"]
    for name in reversed(names) if folder_first else names:
        lake.put(name, company_csv(1))
    assert lake.finish("once", "--strict") == 0
    rows = lake.loads()
    assert [rows[name]["status"] for name in names] == ["loaded", "ignored"]
    assert "rename that folder" in rows[names[1]]["first_problem"]
    assert_true(lake)


@linux
def test_a_file_that_becomes_a_folder_of_its_name_and_back(local_lake, raw):
    local_lake.put("companydata/a.csv", company_csv(1))
    with local_lake.pipeline(SWEEP_SECONDS="1", PIPELINE_RETRACT_DELETED="on"):
        local_lake.wait_loaded("companydata/a.csv")
        (raw / "a.csv").unlink()
        local_lake.put("companydata/a.csv/b.csv", company_csv(2))
        local_lake.wait_loaded("companydata/a.csv/b.csv")
        (raw / "a.csv/b.csv").rename(raw / "b.csv")
        (raw / "a.csv").rmdir()
        local_lake.put("companydata/a.csv", company_csv(3))
        local_lake.wait_loaded("companydata/a.csv", "companydata/b.csv")
    assert local_lake.finish("once", "--strict", "--retract-deleted") == 0
    assert local_lake.sums() == company_sums([company_csv(2), company_csv(3)])
    assert verify(local_lake) == ""
