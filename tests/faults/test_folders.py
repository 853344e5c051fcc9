"""Files and folders that a person moves, protects or writes to while the pipeline looks at them."""

import ctypes
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from lake.stores import open_for_writing, open_store
from tests.support import program as support
from tests.support.disks import without_rights
from tests.support.lake import Lake, company_csv, history, new_lake
from tests.support.minio_server import until
from tests.support.truth import assert_true, company_sums, verify

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has this")


@pytest.fixture
def raw(local_lake) -> Path:
    """The folder of the dataset that the tests bring their files to."""
    folder = Path(local_lake.environ["LAKE_URL"], "raw/companydata")
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def memory_lake(tmp_path) -> Iterator[Lake]:
    """Lake in memory, where a file may have any time."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as url:
        yield new_lake(open_store(url), {"LAKE_URL": url}, tmp_path / "state")


@linux
def test_a_file_of_any_time_is_loaded(memory_lake):
    """The time that no calendar has is shown as the nearest that all readers can hold."""
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


@linux
@pytest.mark.parametrize("way", ["sweep", "event", "mapped", "moved"])
def test_a_file_that_a_program_has_open_for_writing_is_not_loaded(local_lake, raw, way):
    """The writer has flushed the first half of a number; what comes is the whole file, once, when it is closed."""
    content, path = company_csv(1), raw / "a.csv"
    half = content[:-1].rindex(b",") + 1
    local_lake.put("companydata/b.csv", company_csv(2))
    writer = (raw.parent.parent / "elsewhere.csv" if way == "moved" else path).open("w+b", buffering=0)
    try:
        writer.write(content[:half])
        if way == "mapped":
            writer.truncate(len(content))
            mapped = mmap.mmap(writer.fileno(), len(content))
            writer.close()
        with local_lake.pipeline(SWEEP_SECONDS="1") as program:
            local_lake.wait_loaded("companydata/b.csv")
            if way == "moved":
                (raw.parent.parent / "elsewhere.csv").rename(path)
            elif way == "event":
                path.open("ab").close()  # another's close is no sign that this one is done
            until(lambda: "waits key=raw/companydata/a.csv" in program.log, what="a word about the writer")
            time.sleep(2.5)  # two listings
            assert [row["status"] for row in local_lake.loads().values()].count("loaded") == 1
            if way == "mapped":
                mapped[half:] = content[half:]
                mapped.close()
            else:
                writer.write(content[half:])
                writer.close()
            row = local_lake.wait_loaded("companydata/a.csv")["companydata/a.csv"]
    finally:
        writer.close()
    assert (row["rows_read"], row["attempts"], history(local_lake)) == (24, 1, 2)
    assert_true(local_lake)


@linux
def test_a_known_file_that_is_written_anew_keeps_its_rows_until_it_is_closed(local_lake, raw):
    local_lake.put("companydata/a.csv", company_csv(1))
    assert local_lake.finish("once") == 0
    with (raw / "a.csv").open("r+b", buffering=0) as writer:
        writer.write(company_csv(2)[:50])
        told = local_lake.command("once", "--retract-deleted")
        assert (told.returncode, local_lake.sums()) == (0, company_sums([company_csv(1)]))
        assert "not loaded key=raw/companydata/a.csv" in told.stderr
        assert "has it open for writing" in local_lake.command("status", "raw/companydata/a.csv").stdout
        writer.write(company_csv(2)[50:])
    assert local_lake.finish("once") == 0
    assert_true(local_lake)


@linux
def test_where_the_system_does_not_tell_a_file_is_loaded_when_it_has_not_changed_for_a_second(local_lake, raw):
    content = company_csv(1)
    with (raw / "a.csv").open("wb", buffering=0) as writer:
        writer.write(content[: len(content) // 2])
        with local_lake.pipeline(prepare=_unaware, SWEEP_SECONDS="1"):
            for place in range(len(content) // 2, len(content), len(content) // 8):
                time.sleep(0.4)
                assert not any(row["status"] == "loaded" for row in local_lake.loads().values())
                writer.write(content[place : place + len(content) // 8])
            local_lake.wait_loaded("companydata/a.csv")  # it is still open
    assert history(local_lake) == 1
    assert_true(local_lake)


def _unaware() -> None:
    open_for_writing._ALL_WRITERS_KNOWN.clear()


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


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


@linux
def test_a_folder_that_cannot_be_read_stops_nothing_and_takes_nothing_away(local_lake, raw):
    """It is said once, and once when it is over; what lies in it is neither deleted nor lost meanwhile."""
    rights = {"prepare": without_rights, "SWEEP_SECONDS": "1", "PIPELINE_RETRACT_DELETED": "on"}
    inside = [f"companydata/{folder}/{n}.csv" for folder in ("whole", "names alone", "outputs") for n in range(3)]
    for n, name in enumerate(inside):
        local_lake.put(name, company_csv(n))
    assert local_lake.finish("once") == 0
    top = Path(local_lake.environ["LAKE_URL"])
    (top / "raw/lost+found").mkdir()
    shut = [(raw / "whole", 0), (raw / "names alone", 0o444), (top / "clean/companydata/outputs", 0)]
    with ExitStack() as modes:
        for path, bits in [(top / "raw/lost+found", 0), *shut]:
            modes.enter_context(mode(path, bits))
        local_lake.put("companydata/new.csv", company_csv(20))
        with local_lake.pipeline(**rights) as program:
            local_lake.wait_loaded("companydata/new.csv")
            local_lake.put("companydata/deleted.csv", company_csv(21))
            local_lake.wait_loaded("companydata/deleted.csv")
            local_lake.store.delete("raw/companydata/deleted.csv")
            until(lambda: "retracted key=raw/companydata/deleted.csv" in program.log, what="that deleted rows go")
            time.sleep(2.5)  # two listings
            files = local_lake.status()["files"]
            assert (files["loaded"], files["missing"], files["pending"], files["failed"]) == (10, 1, 0, 0)
            assert program.log.count("not listed") == 4
            assert 'not listed folder=raw/lost+found/ reason="' in program.log
            modes.close()
            until(lambda: program.log.count("listed again") == 4, what="that it is over")
            assert "Traceback" not in program.log
    assert history(local_lake) == 11
    assert local_lake.sums() == company_sums([*map(company_csv, range(9)), company_csv(20)])
    assert verify(local_lake) == ""


@linux
def test_a_file_that_cannot_be_read_waits_until_it_can(local_lake, raw):
    """So does one in a folder that may not be entered; no attempt is counted, and the others are loaded."""
    for name in ("file", "deep/in a folder", "good"):
        local_lake.put(f"companydata/{name}.csv", company_csv(len(name)))
    with mode(raw / "file.csv", 0), mode(raw / "deep", 0o400):
        told = local_lake.command("once", prepare=without_rights)
        assert told.returncode == 0
        assert told.stderr.count("not loaded key=raw/companydata/file.csv") == 1
        assert "change its owner or its mode" in told.stderr
        assert "Traceback" not in told.stderr
    with local_lake.pipeline(prepare=without_rights, SWEEP_SECONDS="1"):
        rows = local_lake.wait_loaded(*(f"companydata/{name}.csv" for name in ("file", "deep/in a folder", "good")))
    assert {row["attempts"] for row in rows.values()} == {1}
    assert_true(local_lake)


@linux
def test_what_a_folder_may_have_in_it_stops_no_listing(local_lake, raw):
    (raw / "loop").symlink_to(raw)
    (raw / "itself.csv").symlink_to("itself.csv")
    os.mkfifo(raw / "pipe.csv")
    Path(os.fsdecode(bytes(raw) + b"/\xff\xfe.csv")).write_bytes(company_csv(1))
    Path(os.fsdecode(bytes(raw) + b"/\xff")).mkdir()
    Path(os.fsdecode(bytes(raw) + b"/\xff/a.csv")).write_bytes(company_csv(1))
    (raw / "shut").mkdir()
    for link in (raw.parent / "shut.csv", raw / "shut.csv"):
        link.symlink_to(raw / "shut/a.csv")
    local_lake.put("companydata/a.csv", company_csv(1))
    with (
        mode(raw / "shut", 0),
        local_lake.pipeline(SWEEP_SECONDS="1", prepare=without_rights) as program,
    ):
        local_lake.wait_loaded("companydata/a.csv")
        (raw / "late.csv").symlink_to(raw / "shut/a.csv")
        Path(os.fsdecode(bytes(raw) + b"/\xff/b.csv")).write_bytes(company_csv(1))
        until(lambda: local_lake.status()["files"]["ignored"] == 3, what="three names that are no text")
        assert "Traceback" not in program.log
        assert program.log.count("not listed") == 1
        assert "not listening" not in program.log
    assert_true(local_lake)


def _few(what: str, number: int) -> None:
    """Enter a user namespace of one's own, in which the kernel gives out only so many."""
    if support.in_worker:  # which watches nothing
        return
    ids = f"0 {os.getuid()} 1"
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) != 0:  # CLONE_NEWUSER
        os._exit(77)
    Path("/proc/self/uid_map").write_text(ids)
    Path(f"/proc/sys/user/max_inotify_{what}").write_text(str(number))


@linux
@pytest.mark.parametrize("what", ["watches", "instances"])
def test_a_limit_of_the_kernel_is_named_with_the_way_out_and_listings_go_on(local_lake, what):
    """Of five folders two can be watched, or none."""
    names = [f"companydata/{letter}/a.csv" for letter in "abcd"]
    for number, name in enumerate(names):
        local_lake.put(name, company_csv(number))
    few = partial(_few, what, 2 if what == "watches" else 0)
    program = local_lake.start("run", prepare=few, SWEEP_SECONDS="1")
    try:
        until(lambda: not program.alive or len(local_lake.loads()) == 4, what="the files that were there")
        if not program.alive and program.wait() == 77:
            pytest.skip("no namespace of one's own here")
        for number, name in enumerate(names):
            local_lake.put(name, company_csv(number + 10))
        local_lake.wait_loaded(*names)
        time.sleep(2.5)  # two listings, and two tries to watch
        program.stop()
    finally:
        if program.alive:
            program.kill()
    lines = [line for line in program.log.splitlines() if "not listening" in line]
    assert len(lines) == 1
    limit = f"fs.inotify.max_user_{what}"
    number = int(Path(f"/proc/sys/fs/inotify/max_user_{what}").read_text())
    assert f"{limit} = {number}" in lines[0]
    assert f"sudo sysctl {limit}=" in lines[0]
    assert "Traceback" not in program.log
    assert_true(local_lake)


@linux
def test_folders_are_moved_about_while_it_runs(local_lake, raw):
    """Each file that is put after a move is found by an event, and in the end the lake agrees with a listing."""
    top = raw.parent
    with local_lake.pipeline(SWEEP_SECONDS="3600") as program:
        for number, move in enumerate(
            [
                "mv {0}/companydata {1}/old; mkdir {0}/companydata; mv {0}/companydata {0}/e; mkdir {0}/companydata",
                "mv {1}/old {0}/companydata/old; mv {0}/companydata/old {0}/companydata/older",
                "mv {0} {1}/rawold; mkdir -p {0}/companydata",
                "rm -r {0}; mkdir -p {0}/companydata/x",
                "mv {1} {1}.away; mv {1}.away {1}",
                "rm -r {0}; mkdir {1}/target; ln -s target {0}",
            ]
        ):
            subprocess.run(move.format(top, top.parent), shell=True, check=True)
            name = f"companydata/{number}.csv"
            until(partial(_told_by_an_event, local_lake, name), what=f"an event after {move}")
        assert "Traceback" not in program.log
    assert local_lake.finish("once", "--retract-deleted") == 0
    assert local_lake.sums() == company_sums([company_csv(1)])
    assert verify(local_lake) == ""


def _told_by_an_event(lake: Lake, name: str) -> bool:
    """Put a file, and again where the listing of a gap has found it first."""
    lake.put(name, company_csv(1))
    return bool(lake.wait_loaded(name)[name]["found_by"] == "event")
