"""Wrong settings, a second pipeline, a store that is away: what is said, and that nothing is lost."""

import json
import shutil
import sqlite3
import time
from collections import defaultdict
from contextlib import closing

import pytest

from lake.stores import open_store
from pipeline.ledger.ledger import Ledger
from pipeline.service import lease, service
from tests.support.lake import Lake, company_csv, new_lake
from tests.support.minio_server import until
from tests.support.truth import company_sums


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"LAKE_URL": "ftp://lake"}, "LAKE_URL"),
        ({"LAKE_URL": "s3://lake"}, "AWS_ENDPOINT_URL"),
        ({"LAKE_URL": "/dev/null/lake"}, "LAKE_URL"),
        ({"PIPELINE_STATE": "/dev/null/state"}, "PIPELINE_STATE"),
        ({"PIPELINE_WORKERS": "many"}, "PIPELINE_WORKERS"),
        ({"SWEEP_SECONDS": "0"}, "SWEEP_SECONDS"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(tmp_path, variables, named):
    lake = new_lake(open_store(str(tmp_path / "lake")), {"LAKE_URL": str(tmp_path / "lake")}, tmp_path / "state")
    ended = lake.command("run", **variables)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_pipeline_on_the_same_state_is_refused(lake):
    with lake.pipeline() as running:
        until(lambda: lake.store.stat("published/status.json") if list(lake.store.list("published/s")) else None)
        ended = lake.command("run")
        assert ended.returncode == 2
        assert str(running.pid) in ended.stderr
        assert "PIPELINE_STATE" in ended.stderr


def test_a_second_pipeline_on_the_same_lake_is_refused_and_a_dead_one_taken_over(lake, tmp_path):
    with lake.pipeline() as running:
        until(lambda: list(lake.store.list("published/status")))
        ended = lake.command("run", PIPELINE_STATE=str(tmp_path / "other"))
        assert ended.returncode == 2
        assert f"process {running.pid}" in ended.stderr
        assert "stop that one first" in ended.stderr
        running.kill()
    lake.put("companydata/a.csv", company_csv(1))
    ended = lake.command("once", prepare=_soon_dead, PIPELINE_STATE=str(tmp_path / "other"))
    assert ended.returncode == 0, ended.stderr
    assert "taken over" in ended.stderr
    assert lake.sums() == company_sums([company_csv(1)])


def _soon_dead() -> None:
    lease.EXPIRES_SECONDS = 4.0  # the one that waits for it is short of time, and the other is dead


def test_of_two_that_start_at_once_one_stays(lake, tmp_path):
    with lake.pipeline() as first, lake.pipeline(PIPELINE_STATE=str(tmp_path / "other")) as second:
        ended = until(lambda: [one for one in (first, second) if not one.alive], what="the end of one of them")
        assert [one.wait() for one in ended] == [2]
        lake.put("companydata/a.csv", company_csv(1))
        lake.wait_loaded("companydata/a.csv")
    assert lake.sums() == company_sums([company_csv(1)])
    assert "stop that one first" in first.log


def test_a_second_pipeline_that_is_stopped_while_it_waits_changes_nothing(lake, tmp_path):
    lake.put("companydata/a.csv", company_csv(1))
    with lake.pipeline():
        lake.wait_loaded("companydata/a.csv")
        with lake.pipeline(PIPELINE_STATE=str(tmp_path / "other")) as second:
            until(lambda: "another writer" in second.log)
        assert lake.sums() == company_sums([company_csv(1)])


def test_the_lake_goes_away_while_it_stops(tmp_path):
    lake = new_lake(open_store(str(tmp_path / "lake")), {"LAKE_URL": str(tmp_path / "lake")}, tmp_path / "state")
    with lake.pipeline() as running:
        until(lambda: list(lake.store.list("published/status")))
        (tmp_path / "lake").rename(tmp_path / "gone")
        until(lambda: "store away" in running.log)
    assert "Traceback" not in running.log


@pytest.mark.needs_engine
def test_one_object_that_cannot_be_read_holds_up_nobody(minio, tmp_path):
    """Enough of them to fill every place there is to load: each is tried again later, and counted."""
    store = minio.new_store()
    lake = new_lake(store, minio.environ(store.bucket), tmp_path / "state")
    for number in range(3):
        lake.put(f"companydata/broken {number}.csv", company_csv(number) * 5000)
    minio.spoil(store.bucket, "raw/companydata/")
    lake.put("companydata/good.csv", company_csv(1))
    with lake.pipeline() as running:
        lake.wait_loaded("companydata/good.csv")
        until(lambda: running.log.count("failed key=") >= 3)
    assert lake.sums() == company_sums([company_csv(1)])


def test_a_lost_staging_folder_loses_no_file(lake):
    with lake.pipeline():
        lake.put("companydata/a.csv", company_csv(1))
        lake.wait_loaded("companydata/a.csv")
        (lake.state / "staging").rmdir()
        lake.put("companydata/b.csv", company_csv(2))
        row = lake.wait_loaded("companydata/b.csv")["companydata/b.csv"]
    assert row["attempts"] == 1
    assert lake.sums() == company_sums([company_csv(1), company_csv(2)])


def test_a_state_folder_that_takes_nothing_pauses_everything(lake):
    with lake.pipeline() as running:
        lake.put("companydata/a.csv", company_csv(1))
        lake.wait_loaded("companydata/a.csv")
        (lake.state / "staging").rmdir()
        (lake.state / "staging").write_text("no folder")
        lake.put("companydata/b.csv", company_csv(2))
        until(lambda: "state away" in running.log)
        (lake.state / "staging").unlink()
        (lake.state / "staging").mkdir()
        row = lake.wait_loaded("companydata/b.csv")["companydata/b.csv"]
    assert row["attempts"] == 1, "nothing is counted against a file"
    assert running.log.count("state away") == running.log.count("state back") == 1
    assert lake.sums() == company_sums([company_csv(1), company_csv(2)])


@pytest.mark.needs_engine
def test_a_store_that_refuses_every_write_pauses_everything(minio, tmp_path):
    store = minio.new_store()
    user = minio.user_without("s3:GetObjectTagging", store.bucket)
    lake = new_lake(store, {**minio.environ(store.bucket), **user}, tmp_path / "state")
    with lake.pipeline() as running:
        lake.put("companydata/a.csv", company_csv(1))
        lake.wait_loaded("companydata/a.csv")
        minio.deny(user["AWS_ACCESS_KEY_ID"], "s3:PutObject", store.bucket)
        lake.put("companydata/b.csv", company_csv(2))
        until(lambda: "store refuses" in running.log)
        minio.deny(user["AWS_ACCESS_KEY_ID"], "s3:GetObjectTagging", store.bucket)
        row = lake.wait_loaded("companydata/b.csv")["companydata/b.csv"]
    assert row["attempts"] == 1
    assert lake.sums() == company_sums([company_csv(1), company_csv(2)])


def damage_the_ledger(lake: Lake) -> None:
    path = lake.state / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what a killed program wrote last
    content = bytearray(path.read_bytes())
    content[4096:4196] = b"\xff" * 100
    path.write_bytes(content)


def take_another_lake(lake: Lake) -> None:
    lake.store.put("published/lake.json", b'{"id": "another"}')


def wipe(lake: Lake) -> None:
    for item in list(lake.store.list()):
        lake.store.delete(item.key)


def spoil_a_contract(lake: Lake) -> None:
    folder = lake.state.parent / "datasets"
    folder.mkdir()
    (folder / "numbers.json").write_text('{"name": "numbers"}')
    lake.environ["PIPELINE_DATASETS"] = str(folder)


@pytest.mark.parametrize("spoil", [damage_the_ledger, take_another_lake, wipe, spoil_a_contract])
def test_why_it_does_not_start_is_where_people_look_until_it_does(local_lake, spoil):
    lake, contracts = local_lake, local_lake.environ["PIPELINE_DATASETS"]
    lake.put("companydata/a.csv", company_csv(1))
    with lake.pipeline() as running:  # which dies, so that its heartbeat is young
        until(lambda: lake.status()["files"]["loaded"] if list(lake.store.list("published/status")) else 0)
        running.kill()
    spoil(lake)
    for _ in range(2):  # and again, as in a loop of restarts
        ended = lake.command("run")
        assert ended.returncode == 2
        [line] = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
        assert lake.status()["problem"]["text"] == line.removeprefix("error: ")
        assert lake.status()["writer"] is None
        well = lake.command("health")
        assert well.returncode == 2
        assert line.removeprefix("error: ") in well.stderr

    if spoil is spoil_a_contract:
        lake.environ["PIPELINE_DATASETS"] = contracts
    else:
        shutil.rmtree(lake.state)
    with lake.pipeline():
        until(lambda: lake.command("health").returncode == 0)
        until(lambda: lake.status()["problem"] is None)
        assert lake.status()["writer"]["state"] == "running"


def test_a_damage_that_shows_late_shows_at_the_next_start(local_lake):
    """The loop of restarts would else look alive for a moment each time."""
    local_lake.put("companydata/a.csv", company_csv(1))
    assert local_lake.finish("once") == 0
    path = local_lake.state / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db:
        [[page]] = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'history'")
        [[size]] = db.execute("PRAGMA page_size")
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : page * size] = b"\xa5" * size
    path.write_bytes(content)
    local_lake.put("companydata/b.csv", company_csv(2))
    for signed_in in (True, False):
        local_lake.store.put("published/status.json", b"{}")
        with local_lake.pipeline() as program:
            seen = until(lambda: None if program.alive else [local_lake.status()])
            assert program.wait() == 2
        assert "damaged" in seen[-1]["problem"]["text"]
        assert bool(seen[-1]["lake"]) == signed_in, "only a pipeline that signs in publishes which lake it is"


def _without_room() -> None:
    def finish(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    Ledger.commit = finish


def test_a_ledger_without_room_is_no_death_of_a_file(local_lake):
    local_lake.put("companydata/a.csv", company_csv(1))
    for _ in range(5):
        ended = local_lake.command("once", prepare=_without_room)
        assert ended.returncode == 2
        assert "is the disk full" in ended.stderr
    assert local_lake.finish("once") == 0
    assert [row["status"] for row in local_lake.loads().values()] == ["loaded"]


def test_a_live_pipeline_is_not_spoken_for(local_lake, tmp_path):
    other = new_lake(open_store(str(tmp_path / "other")), {"LAKE_URL": str(tmp_path / "other")}, tmp_path / "elsewhere")
    assert other.finish("once") == 0  # so that its ledger belongs to another lake
    with local_lake.pipeline() as running:
        until(lambda: list(local_lake.store.list("published/status")))
        for state in (tmp_path / "elsewhere", tmp_path / "new", local_lake.state):
            assert local_lake.command("run", PIPELINE_STATE=str(state)).returncode == 2
            assert local_lake.status()["problem"] is None
            assert local_lake.status()["writer"]["pid"] == running.pid


def _slow_to_list() -> None:
    real = service.reconcile
    service.reconcile = lambda *given, **named: (time.sleep(30), real(*given, **named))


def test_a_pipeline_that_starts_is_seen_and_is_not_alive_yet(local_lake):
    running = local_lake.start("run", prepare=_slow_to_list)
    until(lambda: list(local_lake.store.list("published/status")))
    first = local_lake.status()["writer"]
    assert first["state"] == "starting"
    until(lambda: local_lake.status()["writer"]["heartbeat_at"] > first["heartbeat_at"], 15)
    assert "starting" in local_lake.command("health").stderr
    running.kill()


def test_an_idle_pipeline_writes_next_to_nothing_and_its_heartbeat_moves(local_lake):
    """In a bucket that keeps versions each put is one, so a listing that finds nothing puts nothing either."""
    local_lake.put("companydata/a.csv", company_csv(1))
    seen: dict[str, set[str]] = defaultdict(set)
    with local_lake.pipeline(SWEEP_SECONDS="1"):
        local_lake.wait_loaded("companydata/a.csv")
        until(lambda: local_lake.status()["writer"]["state"] == "running")
        time.sleep(1)
        deadline = time.monotonic() + 16
        while time.monotonic() < deadline:
            for item in local_lake.store.list("published/"):
                seen[item.key].add(item.etag)
            time.sleep(0.05)
    versions = {key: len(etags) for key, etags in seen.items()}
    assert 3 <= versions.pop("published/status.json") <= 5
    assert set(versions.values()) == {1}


def test_a_ledger_of_another_lake_is_refused(lake, tmp_path):
    lake.command("once")
    other = new_lake(open_store(str(tmp_path / "other")), {"LAKE_URL": str(tmp_path / "other")}, lake.state)
    ended = other.command("once")
    assert ended.returncode == 2
    assert "belongs to lake" in ended.stderr


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "between two runs"])
def test_a_lake_that_was_wiped_is_not_taken_for_an_empty_one(lake, running):
    lake.put("companydata/a.csv", company_csv(1))
    assert lake.command("once").returncode == 0

    def wipe() -> None:
        for item in list(lake.store.list()):
            lake.store.delete(item.key)

    if running:
        with lake.pipeline(SWEEP_SECONDS="1") as pipeline:
            until(lambda: lake.status()["writer"])
            wipe()
            code, said = pipeline.wait(), pipeline.log
    else:
        wipe()
        ended = lake.command("once")
        code, said = ended.returncode, ended.stderr
    assert code == 2
    assert "was wiped" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("place", [0, 4096], ids=["the header", "a page"])
def test_a_damaged_ledger_is_named_in_one_line(lake, place):
    lake.put("companydata/a.csv", company_csv(1))
    assert lake.command("once").returncode == 0
    path = lake.state / "ledger.sqlite"
    content = bytearray(path.read_bytes())
    content[place : place + 100] = b"\xff" * 100
    path.write_bytes(content)
    for command in ("once", "status"):
        ended = lake.command(command)
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1
        assert "PIPELINE_STATE" in ended.stderr
        assert "damaged" in ended.stderr
    shutil.rmtree(lake.state)
    assert lake.command("once").returncode == 0
    assert lake.sums() == company_sums([company_csv(1)])


def test_status_and_health(lake):
    assert lake.command("status").returncode == 2
    lake.put("companydata/a.csv", company_csv(1))
    with lake.pipeline():
        lake.wait_loaded("companydata/a.csv")
        assert lake.command("health").returncode == 0
        told = json.loads(lake.command("status", "--json").stdout)
        assert told["files"]["loaded"] == 1
        assert told["rows"] == {"read": 24, "kept": 24, "dropped": 0, "rejected": 0}
        assert told["writer"]["pid"]
        assert set(told) == set(lake.status())
    assert lake.command("health").returncode == 2
    assert "companydata" in lake.command("status").stdout


def test_strict_tells_of_refused_files(lake):
    lake.put("companydata/a.csv", b"nonsense\n")
    assert lake.command("once").returncode == 0
    assert lake.command("once", "--strict").returncode == 1


@pytest.mark.needs_engine
def test_the_server_is_not_up_yet_and_goes_away(minio_to_break, tmp_path):
    store = minio_to_break.new_store()
    lake = new_lake(store, minio_to_break.environ(store.bucket), tmp_path / "state")
    minio_to_break.docker("stop")
    with lake.pipeline(SWEEP_SECONDS="2") as running:
        until(lambda: "store away" in running.log)
        minio_to_break.docker("start")
        until(lambda: "store back" in running.log)
        lake.put("companydata/a.csv", company_csv(1))
        lake.wait_loaded("companydata/a.csv")

        minio_to_break.docker("kill")
        until(lambda: running.log.count("store away") == 2)
        minio_to_break.docker("start")
        until(lambda: running.log.count("store back") == 2)
        until(lambda: _put(lake, "companydata/b.csv", company_csv(2)))
        rows = lake.wait_loaded("companydata/a.csv", "companydata/b.csv")
        assert running.alive
    assert {row["attempts"] for row in rows.values()} == {1}
    assert lake.sums() == company_sums([company_csv(1), company_csv(2)])


def _put(lake, name: str, content: bytes) -> str | None:
    try:
        return lake.put(name, content)
    except ConnectionError:
        return None


@pytest.mark.needs_engine
def test_with_events_cut_the_sweep_finds_everything(minio, tmp_path):
    store = minio.new_store()
    deaf = minio.user_without("s3:ListenBucketNotification", store.bucket)
    lake = new_lake(store, {**minio.environ(store.bucket), **deaf}, tmp_path / "state")
    with lake.pipeline(SWEEP_SECONDS="1") as running:
        until(lambda: "not listening" in running.log)
        lake.put("companydata/a.csv", company_csv(1))
        row = lake.wait_loaded("companydata/a.csv")["companydata/a.csv"]
    assert row["found_by"] == "sweep"
    assert lake.sums() == company_sums([company_csv(1)])
