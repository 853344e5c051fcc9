"""Promises that only a bucket keeps."""

import pytest

from common.errors import SettingError, StoreUnavailable
from lake.stores import open_store
from lake.stores.s3 import S3Store
from lake.stores.s3_client import PART_SIZE
from lake.stores.s3_events import event_lines, objects_written
from lake.stores.users import prepare
from tests.support.minio_server import until
from tests.support.stores import watching

ENVIRON = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.mark.needs_engine
def test_the_server_goes_away_and_comes_back(minio_to_break):
    store = minio_to_break.new_store()
    store.put("raw/d/a.csv", b"x")
    with watching(store) as seen:
        seen.next_gap()
        minio_to_break.docker("kill")
        with pytest.raises(StoreUnavailable):
            store.put("raw/d/b.csv", b"x")
        with pytest.raises(StoreUnavailable):
            list(store.list("raw/"))
        minio_to_break.docker("start")
        seen.next_gap(30)
        until(lambda: _puts(store, "raw/d/c.csv"), what="a put after the restart")
        seen.next_write("raw/d/c.csv")
    assert {item.key for item in store.list("raw/")} == {"raw/d/a.csv", "raw/d/c.csv"}


def _puts(store: S3Store, key: str) -> bool:
    try:
        return bool(store.put(key, b"x"))
    except StoreUnavailable:
        return False


@pytest.mark.needs_engine
def test_preparing_is_repeatable_and_leaves_nothing(minio):
    store = minio.new_store()
    store.put("raw/d/a.csv", b"x")
    prepare(store)
    assert [item.key for item in store.list("")] == ["raw/d/a.csv"]


@pytest.mark.needs_engine
def test_a_missing_bucket_says_how_to_make_it(minio):
    store = S3Store("never-made", minio.endpoint, minio.access_key, minio.secret_key)
    with pytest.raises(StoreUnavailable, match="python -m lake init"):
        store.put("raw/d/a.csv", b"x")


@pytest.mark.needs_engine
def test_wrong_keys_name_the_settings(minio):
    store = S3Store("lake", minio.endpoint, "nobody", "nothing-at-all")
    with pytest.raises(PermissionError, match="AWS_ACCESS_KEY_ID"):
        store.put("raw/d/a.csv", b"x")


def test_no_server_is_a_store_that_is_away():
    with pytest.raises(StoreUnavailable):
        open_store("s3://lake", ENVIRON).put("raw/d/a.csv", b"x")


@pytest.mark.parametrize("name", ENVIRON)
def test_a_missing_setting_is_named(name):
    with pytest.raises(SettingError, match=name):
        open_store("s3://lake", {**ENVIRON, name: ""})


@pytest.mark.parametrize(
    ("url", "environ"),
    [
        ("s3://", ENVIRON),
        ("s3://lake/deeper", ENVIRON),
        ("ftp://lake", ENVIRON),
        ("s3://My_Bucket", ENVIRON),
        ("s3://lake", {**ENVIRON, "AWS_REGION": "us east"}),
        *(
            ("s3://lake", {**ENVIRON, "AWS_ENDPOINT_URL": url})
            for url in [
                "minio:9000",
                "http://h:99999",
                "http://h:abc",
                "http://u:p@h",
                "http://[::1",
                "http://exa mple",
            ]
        ),
    ],
)
def test_a_wrong_setting_is_named(url, environ):
    with pytest.raises(SettingError, match=r"LAKE_URL|AWS_ENDPOINT_URL"):
        open_store(url, environ)


def test_lines_come_whole_however_they_are_cut():
    text = b' \n{"Records":null}\n \n'
    for size in range(1, len(text) + 1):
        chunks = [text[start : start + size] for start in range(0, len(text), size)]
        assert [line for line in event_lines(chunks) if line] == [b" ", b'{"Records":null}', b" "]


def test_keys_of_events_are_taken_as_they_are():
    line = (
        '{"Records":[{"eventTime":"2026-01-31T12:00:00.000Z","s3":{"object":{"key":"raw/a b+c%20d/é.csv",'
        '"eTag":"e","size":7,"sequencer":"18EA86FBDF4651BC"}}}]}'
    ).encode()
    [told] = objects_written(line)
    assert (told.key, told.etag, told.size) == ("raw/a b+c%20d/é.csv", "e", 7)
    assert told.modified.isoformat() == "2026-11-23T01:03:37.801404+00:00"
    assert list(objects_written(b"  ")) == list(objects_written(b'{"Records":null}')) == []


@pytest.mark.needs_engine
def test_no_other_variable_of_a_shell_gets_between(minio, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody else's keys")
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    store = minio.new_store()
    etag = store.put("raw/d/a.csv", b"x")
    with store.open("raw/d/a.csv") as (info, stream):
        assert (info.etag, stream.read()) == (etag, b"x")


@pytest.mark.needs_engine
def test_an_upload_in_parts_comes_back_whole(minio, tmp_path):
    store, path = minio.new_store(), tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (PART_SIZE // 128) + b"the end")
    etag = store.put("raw/d/a.csv", path)
    with store.open("raw/d/a.csv") as (info, stream):
        assert (info.etag, info.size) == (etag, path.stat().st_size)
        assert stream.read() == path.read_bytes()
        assert stream.read() == b""
