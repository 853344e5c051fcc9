"""Promises that only a folder keeps."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from watchdog.observers.inotify_c import InotifyFD

from common.errors import SettingError, StoreUnavailable
from lake.stores import local_watch, open_store
from lake.stores.base import InvalidKey, ObjectChanged
from lake.stores.local import LocalStore
from tests.support.disks import without_rights
from tests.support.stores import watching

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell that a file is closed")


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


def test_what_a_killed_put_has_left_is_cleared_once_it_is_old(store):
    staging = store.root / ".staging"
    for name, age in (("old", 7200), ("young", 60)):
        (staging / name).write_bytes(b"half")
        os.utime(staging / name, (time.time() - age,) * 2)
    LocalStore(store.root)
    assert [one.name for one in staging.iterdir()] == ["young"]


def test_a_file_becomes_the_object(store, tmp_path):
    """Its bytes are not written once more, and whoever may read the lake may read it."""
    staged = tmp_path / "staged"
    staged.write_bytes(b"rows")
    staged.chmod(0o600)
    inode = staged.stat().st_ino
    etag = store.put("clean/a.parquet", staged, move=True)
    assert not staged.exists()
    found = (store.root / "clean/a.parquet").stat()
    assert (found.st_ino, found.st_mode & 0o777, store.stat("clean/a.parquet").etag) == (inode, 0o644, etag)


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/shm is a file system of its own on Linux")
def test_a_file_of_another_file_system_is_copied(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        staged, store = Path(elsewhere, "staged"), LocalStore(tmp_path / "lake")
        assert staged.parent.stat().st_dev != store.root.stat().st_dev
        staged.write_bytes(b"rows")
        etag = store.put("clean/a.parquet", staged, move=True)
        assert (store.root / "clean/a.parquet").read_bytes() == b"rows"
        assert store.stat("clean/a.parquet").etag == etag
        assert list((store.root / ".staging").iterdir()) == []


def test_a_file_that_cannot_become_the_object_is_left(store, tmp_path):
    staged = tmp_path / "staged"
    staged.write_bytes(b"rows")
    (store.root / "clean/a.parquet").mkdir(parents=True)
    with pytest.raises(OSError, match=r"clean/a\.parquet cannot be written"):
        store.put("clean/a.parquet", staged, move=True)
    assert staged.read_bytes() == b"rows"


def test_a_link_that_leads_nowhere_hides_no_other_file(store):
    for number in range(40):
        store.put(f"raw/d/{number}.csv", b"x")
    (store.root / "raw/d/itself.csv").symlink_to("itself.csv")
    (store.root / "raw/d/through.csv").symlink_to("0.csv/x")
    (store.root / "raw/d/gone.csv").symlink_to("nothing")
    assert len(list(store.list("raw/"))) == 40


@linux
def test_no_listing_looks_whole_that_is_not(store):
    """Everything that can be listed is; then what cannot be is an error, unless the caller takes it."""
    for key in ("raw/a/1.csv", "raw/shut/2.csv", "raw/z/3.csv"):
        store.put(key, b"x")
    seen: list[str] = []
    (store.root / "raw/shut").chmod(0)

    def look() -> None:
        without_rights()
        with pytest.raises(PermissionError, match=r"raw/shut cannot be read by user \d+ .*: change its owner"):
            seen.extend(item.key for item in store.list(""))
        assert [item.key for item in store.list("raw/z")] == ["raw/z/3.csv"]
        unread: set[str] = set()
        assert len(list(store.list("raw/", unread))) == 2
        assert unread == {"raw/shut/"}

    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(look).result()
    finally:
        (store.root / "raw/shut").chmod(0o755)
    assert sorted(seen) == ["raw/a/1.csv", "raw/z/3.csv"]


def test_a_slow_writer_is_told_of_when_it_closes(store):
    (store.root / "raw/d").mkdir(parents=True)
    with watching(store) as seen:
        seen.next_gap()
        with (store.root / "raw/d/a.csv").open("wb") as file:
            file.write(b"half")
            file.flush()
            file.write(b" and half")
        assert seen.next_write("raw/d/a.csv").size == 13


@pytest.mark.parametrize("command", ["cp {0} {1}/raw/d/a.csv", "mv {0} {1}/raw/d/a.csv", "ln {0} {1}/raw/d/a.csv"])
def test_the_ways_a_shell_brings_a_file(store, tmp_path, command):
    (store.root / "raw/d").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"some bytes")
    with watching(store) as seen:
        seen.next_gap()
        subprocess.run(command.format(tmp_path / "file", store.root), shell=True, check=True)
        assert seen.next_write("raw/d/a.csv").etag == store.stat("raw/d/a.csv").etag


def test_a_folder_moved_in_is_seen_whole(store, tmp_path):
    (tmp_path / "set/deep").mkdir(parents=True)
    (tmp_path / "set/deep/a.csv").write_bytes(b"x")
    with watching(store) as seen:
        seen.next_gap()
        (tmp_path / "set").rename(store.root / "raw/set")
        seen.next_write("raw/set/deep/a.csv")


def test_the_store_goes_away_and_comes_back(store):
    with watching(store) as seen:
        seen.next_gap()
        shutil.rmtree(store.root)
        with pytest.raises(StoreUnavailable):
            list(store.list(""))
        LocalStore(store.root)
        seen.next_gap()
        store.put("raw/d/a.csv", b"x")
        seen.next_write("raw/d/a.csv")


def test_bytes_that_change_under_the_reader_are_no_version(store):
    store.put("raw/a.csv", b"first" * 10_000)
    with pytest.raises(ObjectChanged, match=r"raw/a\.csv"), store.open("raw/a.csv"):
        (store.root / "raw/a.csv").write_bytes(b"other" * 9_999)


def test_a_version_is_final_before_it_is_read(store):
    """Two writes of the same size within one tick of the clock share an etag: only the last may be read under it."""
    path = store.root / "raw/a.csv"
    path.parent.mkdir(parents=True)
    for _ in range(20):
        path.write_bytes(b"1111")
        rewrite = threading.Thread(target=path.write_bytes, args=(b"2222",))
        rewrite.start()
        try:
            with store.open("raw/a.csv") as (info, stream):
                read = stream.read()
        except ObjectChanged:
            rewrite.join()
            continue
        rewrite.join()
        assert read == b"2222" or info.etag != store.stat("raw/a.csv").etag


def test_no_half_written_object_is_ever_listed(store):
    stop = threading.Event()
    sizes = set()

    def look() -> None:
        while not stop.is_set():
            sizes.update(item.size for item in store.list("raw/"))

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(30):
        store.put("raw/a.csv", b"x" * 3_000_000)
    stop.set()
    thread.join()
    assert sizes <= {3_000_000}


def test_a_symbolic_link_out_of_the_lake_is_refused(store, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (store.root / "raw").mkdir()
    (store.root / "raw/a.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidKey, match="symbolic link"), store.open("raw/a.csv"):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingError, match=r"LAKE_URL.*file/lake"):
        LocalStore(tmp_path / "file" / "lake")


def test_open_store_by_path(tmp_path):
    assert isinstance(open_store(str(tmp_path / "x")), LocalStore)


@linux
def test_no_event_waits_for_a_second_look(store, monkeypatch):
    monkeypatch.setattr(local_watch, "LOOK_AGAIN", 3600)
    with watching(store) as seen:
        seen.next_gap()
        for key in ("raw/new folder/first.csv", "raw/new folder/second.csv", "raw/another/1/2/3.csv"):
            store.put(key, b"x")
            seen.next_write(key)


@linux
def test_a_file_that_is_being_written_is_not_told_of(store):
    (store.root / "raw/d").mkdir(parents=True)
    with watching(store) as seen, (store.root / "raw/d/a.csv").open("wb") as file:
        seen.next_gap()
        file.write(b"half")
        file.flush()
        store.put("raw/d/b.csv", b"x")
        told = []
        while "raw/d/b.csv" not in told:
            told.append(seen.items.get(timeout=60).key)
        assert "raw/d/a.csv" not in told


def test_a_lake_that_went_away_is_not_made_again_by_who_only_opens_it(tmp_path):
    store = open_store(str(tmp_path / "lake"), create=False)
    with pytest.raises(StoreUnavailable):
        list(store.list("raw/"))
    with pytest.raises(StoreUnavailable):
        store.put("clean/a.parquet", b"")
    assert not (tmp_path / "lake").exists()


def test_a_store_that_is_away_is_not_an_empty_one(store):
    shutil.rmtree(store.root)
    for act in (
        lambda: store.stat("raw/a.csv"),
        lambda: store.put("raw/a.csv", b""),
        lambda: store.delete("raw/a.csv"),
    ):
        with pytest.raises(StoreUnavailable):
            act()


def test_a_folder_that_is_replaced_is_watched_again(store):
    (store.root / "raw/d").mkdir(parents=True)
    with watching(store) as seen:
        seen.next_gap()
        (store.root / "raw").rename(store.root / "old")
        (store.root / "raw/d").mkdir(parents=True)
        seen.next_gap()
        store.put("raw/d/a.csv", b"x")
        seen.next_write("raw/d/a.csv")


def test_a_folder_that_is_made_anew_with_the_number_of_the_old_one_is_watched_again(store):
    """The file system gives the number of a folder that is gone to the next one, so that number tells nothing."""
    with watching(store) as seen:
        seen.next_gap()
        raw, new = store.root / "raw", store.root / "new"
        number = raw.stat().st_ino
        raw.rmdir()
        for tried in range(200):
            new.mkdir()
            if new.stat().st_ino == number:
                break
            new.rename(store.root / str(tried))
        new.mkdir(exist_ok=True)
        new.rename(raw)
        seen.next_gap()
        store.put("raw/d/a.csv", b"x")
        seen.next_write("raw/d/a.csv")


def test_a_watched_folder_that_becomes_a_link_and_back(store):
    (store.root / "elsewhere").mkdir()
    with watching(store) as seen:
        seen.next_gap()
        (store.root / "raw").rename(store.root / "old")
        with suppress(FileExistsError):  # where the watch has made it anew
            (store.root / "raw").symlink_to(store.root / "elsewhere")
            seen.next_gap()
            store.put("raw/d/a.csv", b"x")
            seen.next_write("raw/d/a.csv")
            (store.root / "raw").unlink()
        (store.root / "old").rename(store.root / "raw")
        seen.next_gap()
        store.put("raw/d/b.csv", b"x")
        seen.next_write("raw/d/b.csv")


@linux
@pytest.mark.parametrize("seed", range(4))
def test_whatever_folder_is_moved_where_a_file_put_later_is_told_of(store, tmp_path, seed):
    """Folders are made, moved within, out of and into the folder, and removed: an event tells of it, or a gap."""
    chance, names = Random(seed), "abc"
    outside = tmp_path / "outside"
    outside.mkdir()
    with watching(store) as seen:
        seen.next_gap()
        for number in range(60):
            folders = [path for path in (store.root / "raw").rglob("*") if path.is_dir()]
            places = [store.root / "raw", outside, *folders]
            target = chance.choice(places) / chance.choice(names)
            with suppress(OSError):  # a move into itself, or onto a folder that is not empty
                act = chance.choice(["make", "move", "move", "move", "remove"])
                if act == "make":
                    (target / chance.choice(names)).mkdir(parents=True)
                elif act == "move":
                    chance.choice([*folders, *outside.iterdir(), target]).rename(target)
                elif folders and chance.random() < 0.2:
                    shutil.rmtree(chance.choice(folders))
            if number % 10 == 9:
                places = [path for path in (store.root / "raw").rglob("*") if path.is_dir()]
                place = chance.choice(places or [store.root / "raw/a"])
                key = (place / f"{number}.csv").relative_to(store.root).as_posix()
                seen.put_until_told(store, key)


@linux
def test_events_that_the_kernel_drops_are_a_gap_and_folders_of_that_time_are_watched(store):
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    (store.root / "raw/d").mkdir(parents=True)
    with watching(store) as seen:
        seen.next_gap()
        [kernel] = [thread for thread in threading.enumerate() if isinstance(thread, InotifyFD)]
        with kernel._lock:  # as if watchdog's thread had no processor time
            for number in range(most):  # each is made, and then closed; the thread may have taken some thousands
                (store.root / f"raw/d/{number}").touch()
            (store.root / "raw/late/deep").mkdir(parents=True)
        while seen.next_gap().reason != "the kernel dropped file events":
            pass
        seen.put_until_told(store, "raw/late/deep/a.csv")


def test_without_inotify_two_looks_tell_of_a_write(store, monkeypatch):
    """As on a system that is not Linux, by watchdog."""
    monkeypatch.setattr(local_watch, "_LINUX", False)
    with watching(store) as seen:
        for _ in range(2):
            seen.next_gap()
            etag = store.put("raw/d/a.csv", b"x")
            assert seen.next_write("raw/d/a.csv").etag == etag
            (store.root / "raw").rename(store.root / f"old {time.monotonic()}")


def test_a_pipe_is_no_object(store):
    (store.root / "raw/d").mkdir(parents=True)
    with watching(store) as seen:
        seen.next_gap()
        os.mkfifo(store.root / "raw/d/pipe.csv")
        store.put("raw/d/a.csv", b"x")
        seen.next_write("raw/d/a.csv")
    assert [item.key for item in store.list("raw/")] == ["raw/d/a.csv"]


def test_a_lost_staging_folder_is_made_again(store):
    (store.root / ".staging").rmdir()
    store.put("raw/a.csv", b"x")


def test_an_object_where_a_folder_is_cannot_be_put(store):
    store.put("raw/a/b.csv", b"x")
    with pytest.raises(OSError, match="cannot be written") as error:
        store.put("raw/a", b"x")
    assert not isinstance(error.value, FileNotFoundError)


@pytest.mark.parametrize("act", [lambda s: s.open("a").__enter__(), lambda s: s.stat("a"), lambda s: s.put("a", b"2")])
def test_a_folder_that_goes_just_after_it_was_seen_is_away(tmp_path, monkeypatch, act):
    """It has no objects then, which must not look like a lake that was wiped."""
    store = LocalStore(tmp_path / "lake")
    store.put("a", b"1")
    seen = store._path

    def goes(key: str) -> Path:
        path = seen(key)
        store.root.rename(tmp_path / "gone")
        return path

    monkeypatch.setattr(store, "_path", goes)
    with pytest.raises(StoreUnavailable):
        act(store)
    assert not store.root.exists()


def test_a_listing_of_a_lake_that_is_not_there_says_so(tmp_path):
    listing = [sys.executable, "-m", "lake", "list", "--lake", str(tmp_path / "lake")]
    ended = subprocess.run(listing, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: LAKE_URL: there is no folder {tmp_path / 'lake'}: ")
    assert not (tmp_path / "lake").exists()
