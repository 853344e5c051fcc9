"""Rejects with marks, as the lake has them."""

import pyarrow as pa

from lake.schemas import REJECTED_SCHEMA
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
