"""Puts that expect what they replace."""

import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from common.errors import StoreUnavailable
from lake.stores.base import PutRefused
from lake.stores.local import LocalStore
from lake.stores.s3 import S3Store
from lake.stores.s3_client import PART_SIZE
from lake.stores.users import User, prepare
from tests.support.wire import proxy_to

KEY = "clean/d/a.csv.parquet"
SIZES = [1, 20 << 20, 3 * PART_SIZE]  # in one request; with a rest; in whole parts


def content(size: int, number: int) -> bytes:
    return bytes([number]) * size


@pytest.mark.needs_engine
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_a_put_replaces_what_it_expects_and_nothing_else(minio, tmp_path, size, kind):
    store, numbers = minio.new_store(), count(1)

    def put(expected: str | None) -> str:
        source = content(size, next(numbers))
        if kind == "file":
            (tmp_path / "file").write_bytes(source)
            return store.put(KEY, tmp_path / "file", expected=expected)
        return store.put(KEY, source, expected=expected)

    def refused(expected: str) -> bool:
        try:
            put(expected)
        except PutRefused as error:
            return KEY in str(error)
        return False

    assert refused("0" * 32)  # there is none
    first = put("")
    assert refused("")
    second = put(first)
    assert refused(first)
    with store.open(KEY) as (info, stream):
        assert (info.etag, stream.read()) == (second, content(size, 4))
    assert store.put(KEY, content(size, 4)) == second, "the etag is the one of a put without a condition"
    assert store.client._list_multipart_uploads(store.bucket).uploads == []


@pytest.mark.needs_engine
def test_one_of_many_puts_at_once_succeeds(minio):
    store = minio.new_store()

    def put(number: int) -> bool:
        try:
            return bool(store.put(KEY, content(PART_SIZE + 1 if number % 2 else 1, number), expected=""))
        except PutRefused:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(put, range(8))) == 1


@pytest.mark.needs_engine
def test_a_large_conditional_put_takes_little_memory(minio, tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(20 * PART_SIZE)
    store = minio.new_store()
    tracemalloc.start()
    try:
        store.put(KEY, path, expected="")
        assert tracemalloc.get_traced_memory()[1] < 5 * PART_SIZE
    finally:
        tracemalloc.stop()


@pytest.mark.needs_engine
def test_the_rights_of_a_worker_are_enough(minio):
    store, user = minio.new_store(), User("worker", f"puts-{os.getpid()}", "secret-of-a-test")
    prepare(store, [user])
    worker = store.as_user(user.access_key, user.secret_key)
    for size in (1, 2 * PART_SIZE):
        etag = worker.put(KEY, content(size, 1), expected=store.stat(KEY).etag if size > 1 else "")
        with pytest.raises(PutRefused):
            worker.put(KEY, content(size, 2), expected="")
        assert worker.put(KEY, content(size, 3), expected=etag) == store.stat(KEY).etag
    assert store.client._list_multipart_uploads(store.bucket).uploads == []


@pytest.mark.needs_engine
def test_the_store_tells_whether_it_can_and_leaves_nothing(minio):
    store = minio.new_store()
    assert store.conditional_puts()
    assert list(store.list("")) == []
    store.client = None  # it knows, and does not try again
    assert store.conditional_puts()


@pytest.mark.needs_engine
@pytest.mark.parametrize("headers", [{}, {"X-Amz-Storage-Class": "none"}], ids=["ignores it", "answers an error"])
def test_a_server_that_cannot_do_it_is_found_out(minio, monkeypatch, caplog, headers):
    """This server can, so it is asked for less, or for something that it does not have."""
    monkeypatch.setattr("lake.stores.s3.condition", lambda _: headers)
    assert not minio.new_store().conditional_puts()
    assert "no conditional puts" in caplog.text


@pytest.mark.needs_engine
def test_a_server_that_is_away_tells_nothing(minio):
    with proxy_to(minio.port) as proxy:
        store = S3Store("lake", f"http://127.0.0.1:{proxy.port}", minio.access_key, minio.secret_key, patience=2.0)
        proxy.add("PUT ", "close")
        with pytest.raises(StoreUnavailable):
            store.conditional_puts()


def test_a_folder_has_none(tmp_path):
    store = LocalStore(tmp_path)
    assert not store.conditional_puts()
    with pytest.raises(AssertionError):
        store.put(KEY, b"x", expected="")
