"""Rejects with marks, as the lake has them."""

import pyarrow as pa
import pytest

from lake.schemas import REJECTED_SCHEMA
from lake.stores import local
from lake.stores.local import LocalStore
from pipeline.ledger.mended import RejectedLines
from tests.support.publish import parquet

KEY = "raw/a/b.csv"


def put(store: LocalStore, *lines: int) -> str:
    rows = [{"source_key": KEY, "line": line} for line in lines]
    return store.put("rejected/a/b.csv.parquet", parquet(pa.Table.from_pylist(rows, REJECTED_SCHEMA)))


def test_an_object_is_read_once_and_again_when_it_or_its_marks_change(tmp_path):
    store = LocalStore(tmp_path)
    opened = list[LocalStore]()

    def open_store() -> LocalStore:
        opened.append(store)
        return store

    rejected, first = RejectedLines(open_store), put(store, 3, 3, 5, 9)
    assert rejected.among([]) == {}
    assert not opened
    for _ in range(2):
        assert rejected.among([(KEY, first, (3, 4, 9))]) == {(KEY, first, (3, 4, 9)): [3, 9]}
        assert len(opened) == 1
    assert rejected.among([(KEY, first, (5,))]) == {(KEY, first, (5,)): [5]}

    second = put(store, 4)
    marked = (KEY, second, (3, 4, 9))
    for _ in range(2):
        assert rejected.among([(KEY, first, (3,)), marked]) == {marked: [4]}, "the first object is not there any more"
    store.delete("rejected/a/b.csv.parquet")
    assert rejected.among([marked]) == {marked: [4]}
    assert rejected.among([]) == {}
    assert rejected.among([marked]) == {}, "what is not asked for is not kept"


@pytest.mark.parametrize("lines", [(), (9,)], ids=["gone", "replaced"])
def test_an_object_that_is_not_there_any_more_once_it_is_read_is_not_known(tmp_path, monkeypatch, lines):
    """As when a load of a new version puts its results at the same moment."""
    store, listed = LocalStore(tmp_path), local.listed
    first = put(store, 3)

    def listed_just_before(*place: object):
        infos = listed(*place)
        store.delete("rejected/a/b.csv.parquet")
        if lines:
            put(store, *lines)
        return infos

    monkeypatch.setattr(local, "listed", listed_just_before)
    assert RejectedLines(lambda: store).among([(KEY, first, (3, 9))]) == {}


def test_an_object_that_cannot_be_read_hides_no_other_and_is_named_once(tmp_path, caplog):
    store = LocalStore(tmp_path)
    rejected, other = RejectedLines(lambda: store), (KEY, put(store, 3), (3,))
    unreadable = (f"raw/a/{'b' * 300}.csv", "etag", (3,))  # no file system has such a name
    for _ in range(2):
        assert rejected.among([unreadable, other]) == {other: [3]}
    assert caplog.text.count("mended rejects not counted") == 1
