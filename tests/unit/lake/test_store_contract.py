"""Promises that every store keeps."""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from queue import Empty
from threading import Event

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.stores.base import Gap, InvalidKey, ObjectChanged, ObjectInfo
from tests.support.stores import watching

AWKWARD = [
    "raw/plain.csv",
    "raw/with space.csv",
    "raw/a b+c%20d/é.csv",
    "raw/100%.csv",
    "raw/%zz.csv",
    "raw/x=1/y&z.csv",
    "raw/日本/😀.csv",
    "raw/_leading/.hidden.csv",
    "raw/d/.staging/a.csv",
    "raw/1/2/3/4/5/6/7/8/9/10.csv",
    "raw/quote'\"<>#?;:@!$,()[]{}|^~`*.csv",
    "raw/Ünïcode composed é and decomposed é.csv",
    "raw/UPPER.CSV",
]


class TestObjects:
    @pytest.mark.parametrize("key", AWKWARD)
    def test_a_key_comes_back_as_it_was_given(self, store, key):
        etag = store.put(key, b"some bytes")

        with store.open(key) as (info, stream):
            assert (info.key, info.etag, info.size, stream.read()) == (key, etag, 10, b"some bytes")
        assert store.stat(key).etag == etag
        assert [(item.key, item.etag, item.size) for item in store.list("raw/")] == [(key, etag, 10)]

    def test_neighbours_in_one_listing(self, store):
        for key in AWKWARD:
            store.put(key, key.encode())

        assert sorted(item.key for item in store.list("raw/")) == sorted(AWKWARD)
        assert [item.key for item in store.list("raw/1/2/")] == ["raw/1/2/3/4/5/6/7/8/9/10.csv"]
        assert [item.key for item in store.list("raw/wi")] == ["raw/with space.csv"]
        assert list(store.list("rejected/")) == []

    def test_times_are_utc(self, store):
        store.put("raw/a.csv", b"x")

        age = datetime.now(UTC) - store.stat("raw/a.csv").modified
        assert timedelta(seconds=-2) < age < timedelta(seconds=30)

    @pytest.mark.parametrize("move", [False, True])
    @pytest.mark.parametrize("size", [0, 1, (5 << 20) + 1, 40 << 20], ids=["empty", "byte", "5MiB+1", "40MiB"])
    def test_sizes(self, store, tmp_path, size, move):
        content = os.urandom(size)
        (tmp_path / "file").write_bytes(content)

        etag = store.put("raw/big.bin", tmp_path / "file", move=move)

        assert move or (tmp_path / "file").read_bytes() == content

        with store.open("raw/big.bin") as (info, stream):
            assert (info.size, info.etag) == (size, etag)
            assert hashlib.file_digest(stream, "sha256").digest() == hashlib.sha256(content).digest()

    def test_a_stream_is_a_file_to_any_reader(self, store):
        store.put("raw/a.csv", b"one\ntwo\n")

        with store.open("raw/a.csv") as (_, stream), io.TextIOWrapper(stream, "utf-8") as text:
            assert list(text) == ["one\n", "two\n"]
        with store.open("raw/a.csv") as (_, stream):
            assert (stream.read(), stream.read()) == (b"one\ntwo\n", b"")

    def test_an_overwrite_replaces_bytes_and_etag(self, store):
        first = store.put("raw/a.csv", b"first")
        second = store.put("raw/a.csv", b"other")

        assert first != second
        with store.open("raw/a.csv") as (info, stream):
            assert (info.etag, stream.read()) == (second, b"other")

    def test_a_reader_keeps_the_version_it_opened(self, store):
        first = store.put("raw/a.csv", b"first" * 1000)

        with store.open("raw/a.csv") as (info, stream):
            head = stream.read(5)
            store.put("raw/a.csv", b"other" * 1000)
            assert (info.etag, head + stream.read()) == (first, b"first" * 1000)

    def test_missing_is_file_not_found(self, store):
        store.put("raw/folder/a.csv", b"x")

        for key in ("raw/none.csv", "raw/folder", "raw/folder/a.csv/b.csv"):
            with pytest.raises(FileNotFoundError):
                store.stat(key)
            with pytest.raises(FileNotFoundError), store.open(key):
                pass

    def test_delete_is_repeatable(self, store):
        store.put("raw/a.csv", b"x")
        store.put("raw/b.csv", b"x")

        store.delete("raw/a.csv")
        for key in ("raw/a.csv", "raw", "raw/b.csv/c.csv"):
            store.delete(key)

        assert [item.key for item in store.list("")] == ["raw/b.csv"]

    @pytest.mark.parametrize(
        "key", ["", "/etc/passwd", "raw/../x", "raw//x", "raw/./x", "raw/a\nb", "raw/x/", "raw/\x00"]
    )
    def test_bad_keys_are_refused(self, store, key):
        for act in (lambda: store.put(key, b""), lambda: store.stat(key), lambda: store.delete(key)):
            with pytest.raises(InvalidKey):
                act()
        with pytest.raises(InvalidKey), store.open(key):
            pass
        assert list(store.list("")) == []

    def test_no_listing_leads_out(self, store):
        store.put("raw/a.csv", b"x")

        for prefix in ("/", "/etc/"):
            assert list(store.list(prefix)) == []
        for prefix in ("../", "raw/../../"):
            with pytest.raises(InvalidKey):
                list(store.list(prefix))

    def test_many_small_objects(self, store):
        keys = [f"raw/many/{number:04d}.csv" for number in range(1500)]

        with ThreadPoolExecutor(8) as pool:
            etags = dict(zip(keys, pool.map(lambda key: store.put(key, key.encode()), keys), strict=True))

        assert {item.key: item.etag for item in store.list("raw/many/")} == etags

    def test_two_writers_of_one_key_leave_one_whole_object(self, store):
        versions = [bytes([letter]) * 200_000 for letter in b"abcdefgh"]

        with ThreadPoolExecutor(4) as pool:
            written = dict(
                zip(pool.map(lambda version: store.put("raw/a.csv", version), versions), versions, strict=True)
            )

        with store.open("raw/a.csv") as (info, stream):
            assert stream.read() == written[info.etag]

    def test_dataset_holds_exactly_the_listed_objects(self, store, tmp_path):
        for number, name in enumerate(["a", "_b", ".c", "d e+f%20=g", "é"]):
            pq.write_table(pa.table({"n": [number]}), tmp_path / "part")
            store.put(f"clean/things/{name}.csv.parquet", tmp_path / "part")
        store.put("clean/thingsandmore/x.parquet", tmp_path / "part")

        assert sorted(store.dataset("clean/things/").to_table()["n"].to_pylist()) == [0, 1, 2, 3, 4]
        assert store.dataset("clean/none/").to_table().num_rows == 0
        assert store.dataset("clean/things/a.csv.parquet").to_table()["n"].to_pylist() == [0]
        assert store.dataset("clean/things/a.csv").to_table().num_rows == 0
        keys = [f"clean/things/{name}.csv.parquet" for name in ("_b", "gone", "é")]
        assert sorted(store.dataset(keys).to_table()["n"].to_pylist()) == [1, 4]

    @pytest.mark.parametrize("rows", [100, 150_000], ids=["small", "large"])
    def test_dataset_reads_one_version_of_an_object_that_is_replaced(self, store, tmp_path, rows):
        for version in range(4):  # of several sizes, with the values of one version in two columns, far from each other
            noise = pa.array([os.urandom(8) for _ in range(rows + version * rows // 10)])
            table = pa.table({"a": pa.repeat(version, len(noise)), "noise": noise, "b": pa.repeat(version, len(noise))})
            pq.write_table(table, tmp_path / f"{version}", compression="none", row_group_size=rows // 10)
        store.put("clean/x/a.parquet", tmp_path / "0")
        stop = Event()

        def replace():
            while not stop.is_set():
                for version in range(4):
                    store.put("clean/x/a.parquet", tmp_path / f"{version}")

        with ThreadPoolExecutor(1) as pool:
            pool.submit(replace)
            try:
                for _ in range(10):
                    with suppress(ObjectChanged):
                        table = store.dataset("clean/x/").to_table()
                        (version,) = set(table["a"].to_pylist())
                        assert set(table["b"].to_pylist()) == {version}
                        assert table.num_rows == rows + version * rows // 10
            finally:
                stop.set()


class TestWatch:
    def test_tells_of_a_write_with_its_facts(self, store):
        store.put("raw/d/a.csv", b"x")
        with watching(store) as seen:
            seen.next_gap()
            for key in ("raw/d/a.csv", "raw/d/b c+d%20é.csv", "raw/d/😀.csv"):
                etag = store.put(key, b"some bytes")
                told = seen.next_write(key)
                assert (told.etag, told.size) == (etag, 10)
                assert abs(datetime.now(UTC) - told.modified) < timedelta(seconds=10)

    def test_tells_of_large_objects_and_new_folders(self, store):
        with watching(store) as seen:
            seen.next_gap()
            etag = store.put("raw/new/deep/folder/big.csv", b"x" * (17 << 20))
            assert seen.next_write("raw/new/deep/folder/big.csv").etag == etag

    def test_tells_nothing_of_other_prefixes(self, store):
        with watching(store) as seen:
            seen.next_gap()
            store.put("clean/d/a.csv", b"x")
            store.put("rawer/d/a.csv", b"x")
            store.put("raw/d/last.csv", b"x")
            told = []
            while "raw/d/last.csv" not in told:
                told.append(seen.items.get(timeout=60).key)
            assert set(told) == {"raw/d/last.csv"}

    def test_a_put_in_the_moment_of_subscribing_is_seen_or_listed(self, store):
        """Every write is listed at the first gap or told after it, whenever it came."""
        keys = [f"raw/d/{number}.csv" for number in range(40)]
        with watching(store) as seen, ThreadPoolExecutor(1) as pool:
            writing = pool.submit(lambda: [store.put(key, b"x") for key in keys])
            seen.next_gap()
            known = {item.key for item in store.list("raw/")}
            writing.result()
            while missing := set(keys) - known:
                try:
                    item = seen.items.get(timeout=60)
                except Empty:
                    pytest.fail(f"neither listed nor told: {sorted(missing)}")
                if isinstance(item, ObjectInfo):
                    known.add(item.key)

    def test_every_overwrite_reaches_its_last_version(self, store):
        store.put("raw/d/a.csv", b"0")
        with watching(store) as seen:
            seen.next_gap()
            etags = [store.put("raw/d/a.csv", b"%d" % number) for number in range(20)]
            while seen.next_write("raw/d/a.csv").etag != etags[-1]:
                pass

    def test_deletes_tell_nothing(self, store):
        store.put("raw/d/a.csv", b"x")
        with watching(store) as seen:
            seen.next_gap()
            store.delete("raw/d/a.csv")
            store.put("raw/d/b.csv", b"x")
            first = seen.items.get(timeout=60)
            assert not isinstance(first, Gap)
            assert first.key == "raw/d/b.csv"


def test_an_engine_that_is_not_ours_writes_and_reads_at_the_address_of_a_prefix(store):
    address, options = store.address("tables/clean/a b/")
    write_deltalake(address, pa.table({"n": [1, 2]}), storage_options=options)
    assert DeltaTable(address, storage_options=options).to_pyarrow_table()["n"].to_pylist() == [1, 2]
    assert any(info.key.startswith("tables/clean/a b/_delta_log/") for info in store.list("tables/"))
