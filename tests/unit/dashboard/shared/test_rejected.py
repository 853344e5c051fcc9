from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.errors import StoreUnavailable
from dashboard.shared import rejected
from dashboard.shared.published import Published
from dashboard.shared.rejected import Problems, matching
from lake.layout import LOADS, rejected_key
from lake.stores.base import ObjectStore
from tests.support.page_stores import CountingStore, FaultyStore
from tests.support.publish import load, problem, publish_loads, put_rejected, refusal

A, B = "raw/companydata/a.csv", "raw/orders/deep/b.csv.gz"


def bad(source_key: str, second: int = 0, **changes: Any) -> dict[str, Any]:
    loaded = datetime(2026, 1, 31, 12, 0, second, tzinfo=UTC)
    return load(source_key, rows_rejected=1, loaded_at=loaded) | changes


def read(published: Published) -> Problems:
    problems = published.problems()
    assert problems is not None
    return problems


def test_without_loads_there_is_nothing_to_say(store: ObjectStore) -> None:
    assert Published(store).problems() is None


def test_each_problem_is_a_row_the_newest_file_first(store: ObjectStore) -> None:
    put_rejected(store, A, [problem(3), problem(3, "required", "Dept", ""), problem(9)])
    put_rejected(store, B, [refusal()])
    publish_loads(store, [bad(A, 1), bad(B, 2, status="refused", rows_rejected=0), load("raw/orders/good.csv")])
    problems = read(Published(store))
    assert problems.frame["source_key"].tolist() == [B, A, A, A]
    assert problems.frame["dataset"].tolist() == ["orders"] + ["companydata"] * 3
    assert problems.frame["line"].isna().tolist() == [True, False, False, False]
    assert problems.frame["line"].tolist()[1:] == [3, 3, 9]
    assert problems.frame["raw"].tolist()[1:] == ["a,x", "a,", "a,x"]
    assert (problems.files, problems.read, problems.total, problems.unread) == (2, 2, 4, {})


def test_a_problem_is_mended_or_open(store: ObjectStore) -> None:
    put_rejected(store, A, [problem(3), problem(3, "required", "Dept", ""), problem(9)])
    put_rejected(store, B, [problem(3), refusal()])
    publish_loads(store, [bad(A, 1, rows_rejected=2, rows_mended=1, mended=[3]), bad(B)])
    problems = read(Published(store))
    assert problems.frame["state"].tolist() == ["mended", "mended", "open", "open", "open"]
    assert (problems.rejected, problems.mended) == (3, 1)


def test_a_lake_without_rejects_reads_nothing(tmp_path: Path) -> None:
    store = CountingStore(tmp_path)
    publish_loads(store, [load(A), load(B, status="pending", rows_rejected=None)])
    problems = read(Published(store))
    assert (len(problems.frame), problems.files) == (0, 0)
    assert store.fetched == [LOADS]


def test_an_unchanged_object_is_fetched_once(tmp_path: Path) -> None:
    store = CountingStore(tmp_path)
    put_rejected(store, A, [problem(3)])
    publish_loads(store, [bad(A)])
    published = Published(store)
    assert read(published) is read(published)
    put_rejected(store, B, [problem(4)])
    publish_loads(store, [bad(A), bad(B)])
    assert len(read(published).frame) == 2
    publish_loads(store, [bad(A, 5), bad(B)])  # loaded again, to the same bytes
    assert read(published).frame["source_key"].tolist() == [A, B]
    assert store.fetched == [LOADS, rejected_key(A), LOADS, rejected_key(B), LOADS]


def test_a_rewritten_object_is_fetched_again(store: ObjectStore) -> None:
    published = Published(store)
    for second, line in enumerate((3, 4)):
        put_rejected(store, A, [problem(line)])
        publish_loads(store, [bad(A, second)])
        assert read(published).frame["line"].tolist() == [line]


def test_a_corrected_file_is_gone(store: ObjectStore) -> None:
    published = Published(store)
    put_rejected(store, A, [problem(3)])
    publish_loads(store, [bad(A)])
    assert len(read(published).frame) == 1
    store.delete(rejected_key(A))
    publish_loads(store, [bad(A, 1)])  # published before the object was removed
    assert (len(read(published).frame), read(published).read) == (0, 0)
    publish_loads(store, [load(A)])
    assert read(published).files == 0


def test_only_the_newest_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejected, "MAX_FILES", 2)
    store = CountingStore(tmp_path)
    keys = [f"raw/orders/{number}.csv" for number in range(4)]
    for key in keys:
        put_rejected(store, key, [problem(3)])
    publish_loads(store, [bad(key, second) for second, key in enumerate(keys)])
    problems = read(Published(store))
    assert problems.frame["source_key"].tolist() == [keys[3], keys[2]]
    assert (problems.files, problems.read) == (4, 2)
    assert len(store.fetched) == 3


def test_only_the_first_problems_of_a_file_are_kept(store: ObjectStore) -> None:
    many = rejected.FILE_PROBLEMS + 1234
    put_rejected(store, A, [problem(line) for line in range(2, many + 2)])
    publish_loads(store, [bad(A)])
    problems = read(Published(store))
    assert problems.frame["line"].tolist() == list(range(2, rejected.FILE_PROBLEMS + 2))
    assert problems.total == many


def test_long_records_are_kept_within_memory(store: ObjectStore) -> None:
    put_rejected(store, A, [problem(line) | {"raw": "é" * 4096} for line in range(2, 802)])
    publish_loads(store, [bad(A)])
    problems = read(Published(store))
    assert 0 < len(problems.frame) < 300
    assert problems.total == 800


def test_a_large_object_is_named_and_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejected, "MAX_OBJECT", 10)
    store = CountingStore(tmp_path)
    put_rejected(store, A, [problem(3)])
    publish_loads(store, [bad(A)])
    assert "too much for a page" in read(Published(store)).unread[rejected_key(A)]
    assert store.fetched == [LOADS]


def test_an_object_that_is_not_ours_is_named_and_the_others_are_read(store: ObjectStore) -> None:
    put_rejected(store, A, [problem(3)])
    publish_loads(store, [bad(A)])
    other = "raw/orders/other.csv"
    store.put(rejected_key(B), b"not Parquet")
    with store.open(LOADS) as (_, stream):
        store.put(rejected_key(other), stream.read())
    publish_loads(store, [bad(A), bad(B), bad(other)])
    problems = read(Published(store))
    assert problems.frame["source_key"].tolist() == [A]
    assert sorted(problems.unread) == sorted([rejected_key(B), rejected_key(other)])
    assert "line" in problems.unread[rejected_key(other)]


def test_a_store_that_is_away_is_asked_again(tmp_path: Path) -> None:
    store = FaultyStore(tmp_path)
    put_rejected(store, A, [problem(3)])
    publish_loads(store, [bad(A)])
    published = Published(store)
    published.loads()
    store.fault = StoreUnavailable("connection refused")
    with pytest.raises(StoreUnavailable):
        published.problems()
    store.fault = None
    assert len(read(published).frame) == 1


def test_problems_are_filtered(store: ObjectStore) -> None:
    put_rejected(store, A, [problem(3), problem(4), problem(4, "required", "Dept")])
    put_rejected(store, B, [problem(3), refusal()])
    publish_loads(store, [bad(A, 1), bad(B)])
    frame = read(Published(store)).frame
    assert matching(frame, {"rule": [], "column": []}, "").equals(frame)
    assert matching(frame, {"rule": ["type"], "dataset": ["companydata"]})["line"].tolist() == [3, 4]
    assert matching(frame, {}, "DEEP/")["source_key"].tolist() == [B, B]
    assert matching(frame, {}, ".*").empty  # it is text, not a pattern


def test_the_times_that_order_files_need_no_load(store: ObjectStore) -> None:
    noticed = datetime(2026, 1, 31, 13, tzinfo=UTC)
    waiting = {"loaded_at": None, "started_at": None, "noticed_at": noticed + timedelta(hours=1)}
    for key in (A, B):
        put_rejected(store, key, [problem(3)])
    publish_loads(store, [bad(A), bad(B, status="pending", **waiting)])  # a new version waits: the old one's are there
    assert read(Published(store)).frame["source_key"].tolist() == [B, A]
