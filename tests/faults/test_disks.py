"""Full, read-only and damaged disks, a locked ledger, a wiped lake: nothing is lost, and it is said what to do."""

import gzip
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from random import Random

import pytest

from lake.status import Status
from lake.stores import open_store
from pipeline.ledger.ledger import Ledger
from tests.support.disks import Disk, disk
from tests.support.dying import Death
from tests.support.lake import HEADER, Lake, company_csv, new_lake
from tests.support.minio_server import until
from tests.support.program import Program
from tests.support.truth import BAD_ROWS, assert_true, company_sums

FILES = {f"companydata/{number}.csv": company_csv(number, rows=200) for number in range(6)}


def put_all(lake: Lake) -> None:
    for name, content in FILES.items():
        lake.put(name, content)


@pytest.fixture
def lake_disk(tmp_path) -> Iterator[Disk]:
    with disk(tmp_path / "lake", 4) as made:
        yield made


@pytest.fixture
def state_disk(tmp_path) -> Iterator[Disk]:
    with disk(tmp_path / "state", 4) as made:
        yield made


def attempts(lake: Lake) -> set[int]:
    return {row["attempts"] for row in lake.loads().values()}


@pytest.mark.needs_mount
def test_a_full_lake(lake_disk, local_lake):
    """While there is no room nothing is attempted, and no attempt is counted; with room, all goes on."""
    put_all(local_lake)
    filler = lake_disk.fill()
    with local_lake.pipeline(SWEEP_SECONDS="1") as program:
        until(lambda: "space" in program.log, what="a word about the space that is missing")
        time.sleep(3)  # long enough for five attempts, if they were counted
        assert program.alive
        filler.unlink()
        local_lake.wait_loaded(*FILES)
        assert attempts(local_lake) == {1}
    assert_true(local_lake)


@pytest.mark.needs_mount
def test_a_lake_with_room_for_what_is_small_alone(lake_disk, local_lake):
    """The store answers and takes the status, but no clean object: each load waits for room."""
    names, chance = [f"companydata/large {number}.csv" for number in range(3)], Random(1)
    for name in names:
        rows = (f"1-Jan,Dept 1,{chance.randbytes(20).hex()},1,1,1" for _ in range(8_000))  # no two stores are the same
        local_lake.put(name, "\n".join([HEADER, *rows]).encode())
    filler = lake_disk.fill()
    os.truncate(filler, filler.stat().st_size - (96 << 10))
    with local_lake.pipeline(SWEEP_SECONDS="1") as program:
        until(lambda: "store full" in program.log, what="a word about the space that is missing")
        time.sleep(3)
        filler.unlink()
        local_lake.wait_loaded(*names)
        until(lambda: "store has room" in program.log)
    assert attempts(local_lake) == {1}
    assert_full_once(program, "store")
    assert_true(local_lake)


def assert_full_once(program: Program, what: str) -> None:
    """Nothing was counted against a file, and it was said once that there was no room, and once that there is."""
    assert "failed key=" not in program.log
    assert "Traceback" not in program.log
    assert program.log.count(f"{what} full") == program.log.count(f"{what} has room") == 1


def large_csv(seed: int, mib: float) -> bytes:
    """Return a file that is half as large in Parquet: no two stores are the same."""
    chance = Random(seed)
    rows = (f"1-Jan,Dept 1,{chance.randbytes(40).hex()},1,1,1" for _ in range(int(mib * (1 << 20) / 98)))
    return "\n".join([HEADER, *rows]).encode()


@pytest.mark.needs_mount
@pytest.mark.usefixtures("state_disk")
@pytest.mark.parametrize(("name", "packed"), [("large.csv", bytes), ("large.csv.gz", gzip.compress)])
@pytest.mark.parametrize("workers", ["0", "4"])
def test_a_state_disk_with_no_room_for_one_load(local_lake, workers, name, packed):
    """Small files are loaded while a large one waits for room, and the large one waits no longer than it must."""
    local_lake.put(f"companydata/{name}", packed(large_csv(1, 12)))
    with local_lake.pipeline(SWEEP_SECONDS="1", PIPELINE_WORKERS=workers) as program:
        until(lambda: "state full" in program.log, what="a word about the space that is missing")
        put_all(local_lake)
        local_lake.wait_loaded(*FILES)
        time.sleep(3)
        local_lake.put(f"companydata/{name}", packed(company_csv(1)))
        local_lake.wait_loaded(f"companydata/{name}")
        until(lambda: "state has room" in program.log)
    assert attempts(local_lake) == {1}
    assert_full_once(program, "state")
    assert local_lake.sums() == company_sums([*FILES.values(), company_csv(1)])


@pytest.mark.needs_mount
def test_a_load_goes_on_as_soon_as_the_state_disk_has_room(state_disk, local_lake):
    filler = state_disk.fill()
    os.truncate(filler, filler.stat().st_size - (2 << 20))  # enough for the ledger
    local_lake.put("companydata/large.csv", large_csv(1, 5))
    with local_lake.pipeline(SWEEP_SECONDS="600") as program:
        until(lambda: "state full" in program.log, what="a word about the space that is missing")
        time.sleep(6)
        filler.unlink()
        local_lake.wait_loaded("companydata/large.csv", seconds=10)
    assert attempts(local_lake) == {1}
    assert_full_once(program, "state")


@pytest.mark.needs_mount
@pytest.mark.parametrize("command", ["dry-run", "verify"])
def test_a_command_that_finds_no_room_says_so_in_one_line(tmp_path, state_disk, local_lake, command):
    local_lake.put("companydata/large.csv", large_csv(1, 12))
    local_lake.put("companydata/small.csv", company_csv(1))
    roomy = {"PIPELINE_STATE": str(tmp_path / "roomy"), "TMPDIR": str(state_disk.path)}
    if command == "verify":
        assert local_lake.finish("once", PIPELINE_STATE=roomy["PIPELINE_STATE"]) == 0
        for path in (tmp_path / "roomy").glob("ledger.*"):
            shutil.copy(path, state_disk.path)
        roomy = {}
    ended = local_lake.command(command, *(["raw/companydata/large.csv"] if command == "dry-run" else []), **roomy)
    assert ended.returncode == 2
    [line] = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert "No space left" in line
    assert "Traceback" not in ended.stderr


@pytest.mark.needs_mount
def test_a_full_state_folder(state_disk, local_lake):
    """Without room the ledger can remember nothing: it ends with the way out, and the next start goes on."""
    program = local_lake.start("run", SWEEP_SECONDS="1")
    until(lambda: list(local_lake.store.list("published/status")))
    filler = state_disk.fill()
    put_all(local_lake)
    assert program.wait() == 2
    [line] = [line for line in program.log.splitlines() if line.startswith("error:")]
    assert "PIPELINE_STATE" in line
    assert "is full" in line
    assert "Traceback" not in program.log
    filler.unlink()
    assert local_lake.finish("once") == 0
    assert attempts(local_lake) == {1}
    assert_true(local_lake)


@pytest.mark.needs_mount
def test_a_lake_that_becomes_read_only(lake_disk, local_lake):
    put_all(local_lake)
    assert local_lake.finish("once") == 0
    changed = dict.fromkeys(FILES, company_csv(77))
    for name, content in changed.items():
        local_lake.put(name, content)
    lake_disk.read_only(True)
    with local_lake.pipeline(SWEEP_SECONDS="1") as program:
        until(lambda: "ead-only" in program.log, what="a word about the lake that cannot be written")
        time.sleep(1)
        lake_disk.read_only(False)
        local_lake.wait_loaded(*changed)
        assert attempts(local_lake) == {1}
    assert_true(local_lake)


def test_a_ledger_that_another_process_locks_for_a_while(local_lake):
    with local_lake.pipeline(SWEEP_SECONDS="1"):
        until(lambda: list(local_lake.store.list("published/status")))
        with closing(sqlite3.connect(local_lake.state / "ledger.sqlite", isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            put_all(local_lake)
            time.sleep(3)
            db.execute("ROLLBACK")
        local_lake.wait_loaded(*FILES)
    assert_true(local_lake)


@pytest.mark.parametrize("place", ["head", "pages"])
def test_a_damaged_ledger_is_named_with_the_way_out(local_lake, place):
    put_all(local_lake)
    assert local_lake.finish("once") == 0
    path = local_lake.state / "ledger.sqlite"
    content = bytearray(path.read_bytes())
    first, last = (0, 100) if place == "head" else (4096, len(content))
    content[first:last] = b"\xa5" * (last - first)
    path.write_bytes(content)
    log = local_lake.state.parent / "pipeline.log"
    log.write_text("")

    assert local_lake.finish("once") == 2

    said = log.read_text()
    [line] = [line for line in said.splitlines() if line.startswith("error:")]
    assert "PIPELINE_STATE" in line
    assert "remove" in line
    assert "Traceback" not in said
    for file in local_lake.state.glob("ledger.sqlite*"):
        file.unlink()
    assert local_lake.finish("once") == 0
    assert_true(local_lake)


def test_a_ledger_that_is_lost_while_a_load_was_in_flight(local_lake):
    put_all(local_lake)
    assert local_lake.finish("once", prepare=Death("put clean/", "after", nth=3)) == -9
    for file in local_lake.state.glob("ledger.sqlite*"):
        file.unlink()
    local_lake.store.delete("published/status.json")  # else the new ledger waits for the heartbeat of the old
    assert local_lake.finish("once") == 0
    assert_true(local_lake)


def wipe(lake: Lake) -> None:
    for item in list(lake.store.list()):
        lake.store.delete(item.key)


@pytest.mark.parametrize("command", ["once", "run"])
def test_a_lake_wiped_under_a_kept_state(local_lake, command):
    put_all(local_lake)
    assert local_lake.finish("once") == 0
    wipe(local_lake)
    program = local_lake.start(command)
    assert program.wait() == 2
    assert "PIPELINE_STATE: the ledger" in program.log
    assert "Traceback" not in program.log
    assert local_lake.sums() == {}


def test_a_lake_wiped_while_it_runs(local_lake):
    """The ledger tells of another lake then: nothing of it may be published again."""
    with local_lake.pipeline(SWEEP_SECONDS="600") as program:
        put_all(local_lake)
        local_lake.wait_loaded(*FILES)
        wipe(local_lake)
        put_all(local_lake)  # at once, long before the next listing
        assert program.wait() == 2
        assert local_lake.outputs() == {}
        assert [item.key for item in local_lake.store.list("published/")] == ["published/status.json"]
        assert "was wiped" in local_lake.status()["problem"]["text"]
        errors = [line for line in program.log.splitlines() if line.startswith("error:")]
        assert len(errors) == 1
        assert "Traceback" not in program.log
    local_lake.put("companydata/new.csv", company_csv(9))
    for file in local_lake.state.glob("ledger.sqlite*"):
        file.unlink()
    for item in list(local_lake.store.list("published/")):
        local_lake.store.delete(item.key)
    assert local_lake.finish("once") == 0
    assert_true(local_lake)


def test_a_state_folder_that_is_removed_while_it_runs(local_lake):
    program = local_lake.start("run", SWEEP_SECONDS="1")
    put_all(local_lake)
    local_lake.wait_loaded(*FILES)
    shutil.rmtree(local_lake.state)
    assert program.wait() == 2
    [line] = [line for line in program.log.splitlines() if line.startswith("error:")]
    assert "PIPELINE_STATE" in line
    local_lake.put("companydata/new.csv", company_csv(9))
    local_lake.store.delete("published/status.json")  # else the new ledger waits for the heartbeat of the old
    assert local_lake.finish("once") == 0
    assert_true(local_lake)


def test_a_ledger_of_another_lake(local_lake, tmp_path):
    assert local_lake.finish("once") == 0
    url = str(tmp_path / "other")
    other = new_lake(open_store(url), {"LAKE_URL": url}, local_lake.state)
    other.put("companydata/a.csv", company_csv(1))
    assert other.finish("once") == 2
    assert {item.key for item in other.store.list()} == {"raw/companydata/a.csv", "published/status.json"}
    assert Status.model_validate({**other.status(), "problem": None}) == Status(), "nothing but why it does not run"
    assert "belongs to lake" in other.status()["problem"]["text"]


def test_what_a_lost_ledger_left_is_removed(local_lake):
    local_lake.put("companydata/a.csv", company_csv(1) + BAD_ROWS)
    assert local_lake.finish("once") == 0
    assert outputs_are(local_lake) == "ours"
    assert list(local_lake.store.list("rejected/"))
    for file in local_lake.state.glob("ledger.*"):
        file.unlink()
    local_lake.store.delete("published/status.json")  # else the new ledger waits for the heartbeat of the old
    local_lake.put("companydata/a.csv", company_csv(1))
    assert local_lake.finish("once") == 0
    assert outputs_are(local_lake) == "strange"
    assert list(local_lake.store.list("rejected/")) == []
    assert_true(local_lake)
    assert local_lake.finish("once") == 0
    assert outputs_are(local_lake) == "ours"


def outputs_are(lake: Lake) -> str | None:
    """Return whether the last listing had an output of a file that the ledger had never taken."""
    with closing(Ledger(lake.state / "ledger.sqlite")) as ledger:
        return ledger.get("outputs")
