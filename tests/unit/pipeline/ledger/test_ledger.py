"""The queue and the memory: what is news, what waits, what is counted."""

import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from common.errors import SettingError
from lake.stores.base import ObjectInfo
from lake.stores.local import LocalStore
from pipeline.ledger import database, report
from pipeline.ledger.ledger import MAX_ATTEMPTS, Ledger
from pipeline.ledger.reconcile import reconcile
from pipeline.ledger.task_queue import SECONDS, TOGETHER
from pipeline.ledger.totals import exact_sums
from pipeline.model.load_record import LoadRecord
from pipeline.model.task import NO_CONTRACT, Result, Task
from pipeline.readers.formats import SMALL
from tests.support.versions import KEY, version


def result(task, etag: str, status: str = "loaded", rows: int = 3, share: dict[str, float] | None = None) -> Result:
    groups = [{"group": {"name": name}, "rows": rows, "sums": {"x": x}} for name, x in (share or {"a": 1}).items()]
    kept = {"rows_read": rows, "rows_kept": rows, "share": groups} if status == "loaded" else {}
    record = LoadRecord(task.source_key, task.dataset, etag, 10, "fingerprint", status, **kept)
    return Result(record, "clean" if status == "loaded" else None, None if status == "loaded" else "rejected")


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.start_run({"numbers": "fingerprint"})
    yield ledger
    ledger.close()


def state(ledger, key: str = KEY) -> str:
    [row] = ledger.rows("SELECT status FROM source WHERE source_key = ?", key)
    return row["status"]


def test_the_same_version_twice_is_no_news(ledger):
    assert ledger.notice(version("1"), "event")
    assert not ledger.notice(version("1"), "event")
    [task] = ledger.take()
    assert not ledger.notice(version("1"), "sweep")
    ledger.commit({task: result(task, "1")})
    assert not ledger.notice(version("1"), "event")
    assert not ledger.take()


@pytest.mark.parametrize(
    ("sizes", "workers", "pace", "expected"),
    [
        ([10] * 3, 0, 0.0, [1, 1, 1]),
        ([10] * 3, 1, 0.0, [3]),
        ([10] * 7, 4, 0.0, [2, 2, 1, 1, 1]),
        ([10] * (4 * TOGETHER + 3), 4, 0.0, [TOGETHER, 13, 10, 7, 6, 4, 3, 2, 2, 1, 1, 1, 1]),
        ([10, 10, SMALL + 1, 10, 10], 1, 0.0, [2, 1, 2]),  # a large one is loaded alone
        ([0, SMALL + 1, 0], 1, 0.0, [1, 1, 1]),
        ([SMALL] * 5, 1, 0.0, [2, 2, 1]),  # of so many bytes
        ([10] * 9, 1, SECONDS / 4, [4, 4, 1]),  # so slow
        ([10] * 3, 1, 9 * SECONDS, [1, 1, 1]),
        ([10] * 5, 1, None, [2, 2, 1]),  # nobody knows how slow
    ],
)
def test_small_files_are_taken_together(ledger, sizes, workers, pace, expected):
    """Each worker takes its share of what waits, in the order in which it came."""
    for number, size in enumerate(sizes):
        ledger.notice(replace(version("1", f"raw/numbers/{number:03d}.csv"), size=size), "event")
    known = {} if pace is None else {"numbers": pace}
    taken = list(iter(lambda: ledger.take(workers, known), []))
    assert [len(tasks) for tasks in taken] == expected
    keys = [task.source_key for tasks in taken for task in tasks]
    assert keys == [f"raw/numbers/{number:03d}.csv" for number in range(len(sizes))]


def outputs(task: Task) -> tuple[str | None, str | None]:
    return task.clean_etag, task.rejected_etag


LEFT_UNKNOWN = {
    "release": lambda ledger, task: ledger.release(task),
    "release_all": lambda ledger, _: ledger.release_all(),
    "mark_failed": lambda ledger, task: ledger.mark_failed(task, "it broke", -1),
    "count_deaths": lambda ledger, task: ledger.count_deaths([task], "ended"),
    "start_run": lambda ledger, _: ledger.start_run({}),
}


@pytest.mark.parametrize("end", LEFT_UNKNOWN)
def test_outputs_are_not_known_after_an_attempt_that_may_have_put_some(ledger, end):
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    ledger.commit({task: result(task, "1")})
    ledger.notice(version("2"), "event")
    [task] = ledger.take()
    assert outputs(task) == ("clean", "")
    LEFT_UNKNOWN[end](ledger, task)
    ledger.replay("TRUE")
    [task] = ledger.take()
    assert outputs(task) == (None, None)
    ledger.commit({task: result(task, "2", "refused")})
    ledger.replay("TRUE")
    assert outputs(*ledger.take()) == ("", "rejected"), "a replay of what is known needs no look at the store"


def test_outputs_are_not_known_where_a_listing_shows_others(ledger, tmp_path):
    store = LocalStore(tmp_path / "lake")
    ledger.notice(version(store.put(KEY, b"x")), "event")
    [task] = ledger.take()
    ledger.commit({task: result(task, task.etag)})
    assert reconcile(store, ledger) == 1
    assert outputs(*ledger.take()) == (None, None)


def test_nothing_was_ever_made_of_a_file(ledger):
    """Only where a listing has told that all there is was made of files that were taken, and this one never was."""
    ledger.notice(version("1"), "event")
    ledger.notice(version("1", "raw/numbers/b.csv"), "event")
    assert outputs(*ledger.take()) == (None, None)  # no listing yet
    ledger.set("outputs", "ours")
    [task] = ledger.take()
    assert outputs(task) == ("", "")
    ledger.release(task)
    assert outputs(*ledger.take()) == (None, None)
    ledger.adopt(replace(result(task, "1").record, source_key="raw/numbers/c.csv"), "clean", None, 1)
    ledger.remove_result("raw/numbers/c.csv", "numbers")
    ledger.notice(version("2", "raw/numbers/c.csv"), "event")
    assert outputs(*ledger.take()) == (None, None)
    ledger.start_run({})
    ledger.notice(version("1", "raw/numbers/d.csv"), "event")
    assert ledger.get("outputs") is None


def test_problems_are_told_with_the_newest_loads(ledger):
    counts: dict[str, list[list]] = {"a": [["type", "n", 2], ["fields", None, 1]], "b": [], "c": [["type", "x", 4]]}
    for name, problems in counts.items():
        ledger.notice(version("1", f"raw/numbers/{name}.csv"), "event")
        [task] = ledger.take()
        made = result(task, "1")
        ledger.commit({task: replace(made, record=replace(made.record, problems=problems))})
    found = {row["source_key"][-5]: row["problems"] for row in report.loads(ledger, None).to_pylist()}
    assert found == {
        name: [{"rule": rule, "column": column, "count": count} for rule, column, count in problems]
        for name, problems in counts.items()
    }


def test_one_task_per_key_at_a_time(ledger):
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    ledger.notice(version("2"), "event")
    assert not ledger.take()
    ledger.commit({task: result(task, "1")})
    assert state(ledger) == "pending"
    assert ledger.take()[0].etag == "2"


def test_a_newer_version_than_the_event_told_of(ledger):
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    ledger.commit({task: result(task, "2")})
    assert state(ledger) == "loaded"
    assert not ledger.notice(version("2"), "event")
    assert ledger.notice(version("1"), "event"), "a late event has to be looked into"
    [task] = ledger.take()
    assert task.loaded_etag == "2"
    ledger.mark_unchanged(task, version("2"))
    assert state(ledger) == "loaded"


def test_the_oldest_is_taken_first(ledger):
    for name in "bca":
        ledger.notice(version("1", f"raw/numbers/{name}.csv"), "event")
    assert [ledger.take()[0].source_key[-5] for _ in range(3)] == ["b", "c", "a"]


def test_released_counts_nothing(ledger):
    ledger.notice(version("1"), "event")
    ledger.release(*ledger.take())
    assert ledger.take()[0].attempts == 0


def test_failed_waits_and_is_given_up_after_five(ledger):
    ledger.notice(version("1"), "event")
    for attempt in range(MAX_ATTEMPTS):
        [task] = ledger.take()
        assert task.attempts == attempt
        ledger.mark_failed(task, "it broke", 0)
    assert state(ledger) == "failed"
    assert not ledger.take()
    assert ledger.notice(version("2"), "event")
    assert ledger.take()[0].attempts == 0


def test_a_file_that_cannot_be_read_yet_waits_longer_each_time_and_an_event_ends_that(ledger, monkeypatch):
    """It holds up nobody and nothing is counted against it."""
    begin = time.time_ns() // 1000
    for module in ("ledger", "task_queue"):
        monkeypatch.setattr(f"pipeline.ledger.{module}.now", lambda: begin + round(seconds * 1e6))
    seconds, tried = 0.0, []
    ledger.notice(version("1"), "event")
    while seconds < 200:
        for task in ledger.take():
            assert ledger.defer(task, "a program writes it") == (not tried), "it is told of once"
            tried.append(round(seconds))
        seconds += 0.1
    assert tried[:7] == [0, 1, 2, 4, 8, 16, 32]
    assert [after - before for before, after in pairwise(tried[7:])] == [60, 60]
    ledger.notice(version("1", "raw/numbers/b.csv"), "event")
    assert [task.source_key for task in ledger.take()] == ["raw/numbers/b.csv"]
    assert [row["error"] for row in ledger.deferred()] == ["a program writes it"]
    assert ledger.notice(version("1"), "event"), "its writer has closed it"
    [task] = ledger.take()
    assert task.attempts == 0
    ledger.commit({task: result(task, "1")})
    assert (state(ledger), ledger.deferred()) == ("loaded", [])


def test_failed_is_not_tried_before_its_time(ledger):
    ledger.notice(version("1"), "event")
    ledger.mark_failed(*ledger.take(), "it broke", 60)
    assert not ledger.take()
    assert not ledger.notice(version("1"), "sweep")


def test_a_crash_leaves_what_was_in_flight_waiting(ledger):
    ledger.notice(version("1"), "event")
    assert ledger.take()
    after = Ledger(ledger.path)
    after.start_run({"numbers": "fingerprint"})
    assert after.take()
    assert after.id == ledger.id
    after.close()


def test_what_an_unclean_end_left_in_flight_runs_alone(ledger):
    for name in "abc":
        ledger.notice(version("1", f"raw/numbers/{name}.csv"), "event")
    assert [ledger.take()[0].source_key[-5] for _ in "ab"] == ["a", "b"]
    ledger.start_run({"numbers": "fingerprint"})

    for name in "ab":
        [task] = ledger.take()
        assert task.source_key[-5] == name
        assert not ledger.take(), "nothing runs beside it"
        ledger.commit({task: result(task, "1")})
    assert ledger.take()[0].source_key[-5] == "c"


def test_an_end_by_an_error_is_no_death(ledger):
    ledger.notice(version("1"), "event")
    assert ledger.take()
    for _ in range(4):
        ledger.start_run({"numbers": "fingerprint"}, died=False)
        assert ledger.take()
    ledger.start_run({"numbers": "fingerprint"})  # and the first death is none yet: it does not run alone
    assert ledger.take()
    assert state(ledger) == "pending"


def test_one_that_was_in_flight_waits_for_the_others_to_end(ledger):
    for name in "ab":
        ledger.notice(version("1", f"raw/numbers/{name}.csv"), "event")
    [first] = ledger.take()
    ledger.start_run({"numbers": "fingerprint"})
    ledger.release(*ledger.take())
    assert ledger.take()[0].source_key == first.source_key, "it was not shown to be harmless"


def test_only_deaths_alone_are_counted_and_three_are_too_many(ledger):
    for name in "ab":
        ledger.notice(version("1", f"raw/numbers/{name}.csv"), "event")
    assert ledger.take()
    assert ledger.take()
    for _ in range(3):  # the first ends both, and counts for none; the next two are of a alone
        ledger.start_run({"numbers": "fingerprint"})
        assert ledger.take()[0].source_key == "raw/numbers/a.csv"
        assert state(ledger, "raw/numbers/a.csv") == "pending"
    ledger.start_run({"numbers": "fingerprint"})
    assert state(ledger, "raw/numbers/a.csv") == "failed"
    assert "died 3 times" in report.loads(ledger, None).to_pylist()[0]["first_problem"]
    [task] = ledger.take()
    assert task.source_key == "raw/numbers/b.csv"
    ledger.commit({task: result(task, "1")})
    assert ledger.notice(version("2", "raw/numbers/a.csv"), "event"), "another version is another matter"
    ledger.start_run({"numbers": "fingerprint"})
    assert ledger.take()[0].etag == "2"


def test_files_whose_process_ended_are_taken_by_themselves_while_others_go_on(ledger):
    for name in "abcd":
        ledger.notice(version("1", f"raw/numbers/{name}.csv"), "event")
    pace = {"numbers": 0.0}
    batch = ledger.take(1, pace)
    assert [task.source_key[-5] for task in batch] == ["a", "b", "c", "d"]
    ledger.release(batch[3])
    assert ledger.count_deaths(batch[:3], "was ended by SIGKILL") == []
    ledger.commit({batch[2]: result(batch[2], "1")})
    [first], [second], [third] = [ledger.take(1, pace) for _ in range(3)]  # none of them is released before the next
    assert [task.source_key[-5] for task in (first, second, third)] == ["a", "b", "d"]
    ledger.commit({second: result(second, "1")})
    for _ in range(2):
        assert ledger.count_deaths([first], "was ended by SIGKILL") == []
        ledger.release(third)
        assert [task.source_key[-5] for task in ledger.take(1, pace)] == ["a"], (
            "it was behind the other, which waits now"
        )
        [third] = ledger.take(1, pace)
    assert ledger.count_deaths([first], "was ended by SIGKILL") == ["raw/numbers/a.csv"]
    assert state(ledger, "raw/numbers/a.csv") == "failed"


def test_a_file_that_had_failed_before_is_given_up_after_its_deaths_too(ledger):
    ledger.notice(version("1"), "event")
    ledger.mark_failed(*ledger.take(), "it broke", 0)
    for _ in range(4):
        assert ledger.take()
        ledger.start_run({"numbers": "fingerprint"})
    assert state(ledger) == "failed"
    assert not ledger.take()


def test_what_an_orderly_end_drops_is_no_death(ledger):
    for _ in range(5):
        ledger.notice(version("1"), "event")
        assert ledger.take()
        ledger.release_all()
        ledger.start_run({"numbers": "fingerprint"})
    [row] = ledger.rows("SELECT status, alone, deaths FROM source")
    assert tuple(row) == ("pending", 0, 0)


def test_one_that_changes_all_the_time_holds_up_nobody_after_a_crash(ledger):
    for name in "ab":
        ledger.notice(version("1", f"raw/numbers/{name}.csv"), "event")
    ledger.take()
    ledger.start_run({"numbers": "fingerprint"})
    ledger.release(*ledger.take(), harmless=True)
    assert ledger.take()[0].source_key[-5] == "b"


def test_a_replay_while_an_unchanged_file_is_looked_at_is_not_lost(ledger):
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    ledger.commit({task: result(task, "1")})
    ledger.notice(version("0"), "event")  # a late one
    [task] = ledger.take()
    ledger.replay("TRUE")
    ledger.mark_unchanged(task, version("1"))
    [task] = ledger.take()
    assert task.loaded_etag is None
    ledger.commit({task: result(task, "1")})
    assert ledger.notice(version("2"), "event")


def test_nothing_is_taken_back_after_a_restart_unless_it_is_asked_for_again(ledger):
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    ledger.commit({task: result(task, "1")})
    ledger.db.execute("UPDATE source SET status = 'pending', retract = 1")
    ledger.start_run({"numbers": "fingerprint"})
    assert not ledger.take()
    assert (state(ledger), report.status(ledger).rows.kept) == ("missing", 3)


def test_a_clock_that_jumps_back_delays_no_retry(ledger, monkeypatch):
    ledger.notice(version("1"), "event")
    ledger.mark_failed(*ledger.take(), "it broke", 10)
    assert not ledger.take()
    for module in ("ledger", "task_queue"):
        monkeypatch.setattr(f"pipeline.ledger.{module}.now", lambda: time.time_ns() // 1000 - 86_400_000_000)
    assert ledger.take()


@pytest.mark.parametrize("status", ["loaded", "refused", "failed"])
def test_replay(ledger, status):
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    if status == "failed":
        for _ in range(MAX_ATTEMPTS):
            ledger.mark_failed(task, "it broke", 0)
    else:
        ledger.commit({task: result(task, "1", status)})
    assert ledger.replay("status = ?", "pending") == 0
    assert ledger.replay("status = ?", status) == 1
    [task] = ledger.take()
    assert (task.attempts, task.loaded_etag) == (0, None)
    assert report.status(ledger).rows.kept == (3 if status == "loaded" else 0), "its rows stay until then"


def test_others_write_between_two_parts_of_a_replay(ledger, monkeypatch):
    keys, heard = [f"raw/numbers/{number}.csv" for number in range(3)], []
    for key in keys:
        ledger.notice(version("1", key), "event")
        [task] = ledger.take()
        ledger.commit({task: result(task, "1")})

    def meanwhile(_seconds: float) -> None:
        with closing(Ledger(ledger.path)) as beside:
            beside.rows("PRAGMA busy_timeout = 0")
            heard.append(beside.notice(version(f"{len(heard) + 2}", keys[0]), "event"))

    monkeypatch.setattr(database, "PART", 1)
    monkeypatch.setattr(database, "sleep", meanwhile)
    assert ledger.replay("status = ?", "loaded") == 3
    assert heard == [True, True]
    assert [state(ledger, key) for key in keys] == ["pending"] * 3


def test_what_is_missing_or_ignored_is_not_replayed(ledger):
    ledger.notice(version("1"), "event")
    ledger.mark_missing(*ledger.take())
    ledger.notice(version("1", "raw/numbers/notes.txt"), "event")
    assert ledger.replay("TRUE") == 0


def test_rows_that_are_taken_back_leave_no_trace(ledger):
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    ledger.commit({task: result(task, "1")})
    ledger.notice(version("2"), "event")
    ledger.retract(*ledger.take())
    status = report.status(ledger)
    assert (status.files.missing, status.rows.kept, ledger.rows("SELECT * FROM summary")) == (1, 0, [])
    assert ledger.notice(version("1"), "event")
    [task] = ledger.take()
    ledger.commit({task: result(task, "1")})
    assert report.status(ledger).rows.kept == 3


def test_a_ledger_of_another_version_is_refused(ledger):
    ledger.db.execute("PRAGMA user_version = 999")
    with pytest.raises(SettingError, match=r"version 999.*remove its folder"):
        Ledger(ledger.path)


def test_a_new_fingerprint(ledger):
    for name, status in (("good", "loaded"), ("bad", "refused")):
        ledger.notice(version("1", f"raw/numbers/{name}.csv"), "event")
        [task] = ledger.take()
        ledger.commit({task: result(task, "1", status)})
    ledger.start_run({"numbers": "another"})
    assert [state(ledger, f"raw/numbers/{name}.csv") for name in ("good", "bad")] == ["loaded", "pending"]
    assert report.status(ledger).files.stale == 1
    ledger.start_run({"numbers": "fingerprint"})
    assert report.status(ledger).files.stale == 0


@pytest.mark.parametrize(("status", "then"), [("loaded", ("loaded", 1)), ("refused", ("pending", 0))])
@pytest.mark.parametrize("unchanged", [False, True])
def test_a_load_that_ends_after_a_change_of_its_dataset(ledger, status, then, unchanged):
    """Its result is what a change right after it would have made of it."""
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    if unchanged:
        ledger.commit({task: result(task, "1", status)})
        ledger.replay("TRUE")
        ledger.db.execute("UPDATE source SET loaded_etag = '1'")
        [task] = ledger.take()
    ledger.take_up({"numbers": "another"}, [])
    if unchanged:
        ledger.mark_unchanged(task, version("1"))
    else:
        ledger.commit({task: result(task, "1", status)})
    assert (state(ledger), report.status(ledger).files.stale) == then
    assert bool(ledger.take()) == (status == "refused")


def test_what_waits_for_a_contract_that_is_not_right_yet_is_refused_no_more(ledger):
    ledger.start_run({"others": "fingerprint"})
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    loaded = result(task, "1", "refused")
    ledger.commit({task: replace(loaded, record=replace(loaded.record, fingerprint=NO_CONTRACT))})
    assert state(ledger) == "refused"
    ledger.take_up({"others": "fingerprint"}, ["numbers"])
    assert state(ledger) == "pending"
    ledger.defer(*ledger.take(), "it is not right yet")
    assert not ledger.take()
    ledger.take_up({"others": "fingerprint"}, [])
    assert ledger.take(), "at once, when its contract has changed"


def test_a_missing_file_keeps_its_rows_and_comes_back(ledger):
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    ledger.commit({task: result(task, "1")})
    ledger.notice(version("2"), "event")
    ledger.mark_missing(*ledger.take())
    assert (state(ledger), report.status(ledger).rows.kept) == ("missing", 3)
    assert ledger.notice(version("1"), "event")
    ledger.mark_unchanged(*ledger.take(), version("1"))
    assert state(ledger) == "loaded"


@pytest.mark.parametrize("end", ["release", "mark_failed", "crash"])
def test_an_interrupted_load_leaves_no_version_with_its_result(ledger, end):
    """Between its two puts the objects belong to no one version: even the one before is loaded again."""
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    ledger.commit({task: result(task, "1")})
    ledger.notice(version("2"), "event")
    [task] = ledger.take()
    if end == "crash":
        ledger.start_run({"numbers": "fingerprint"})
    elif end == "mark_failed":
        ledger.mark_failed(task, "it broke", 60)
        assert report.status(ledger).files.stale == 1
    else:
        ledger.release(task)
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    assert (task.etag, task.loaded_etag) == ("1", None)
    ledger.commit({task: result(task, "1")})
    assert report.status(ledger).files.stale == 0


def test_a_version_that_is_kept_is_as_good_as_new(ledger):
    ledger.notice(version("1"), "event")
    [task] = ledger.take()
    ledger.commit({task: result(task, "1")})
    ledger.notice(version("2"), "event")
    ledger.mark_unchanged(*ledger.take(), version("1"))
    [row] = ledger.rows("SELECT status, stale, attempts, error, etag FROM source")
    assert tuple(row) == ("loaded", 0, 0, None, "1")


def test_a_newer_version_begins_with_a_clean_slate(ledger):
    ledger.notice(version("1"), "event")
    for _ in range(MAX_ATTEMPTS - 1):
        ledger.mark_failed(*ledger.take(), "it broke", 0)
    [task] = ledger.take()
    ledger.notice(version("2"), "event")
    ledger.mark_failed(task, "it broke", 0)
    [task] = ledger.take()
    assert (task.etag, task.attempts) == ("2", 0)
    ledger.mark_failed(task, "it broke", 0)
    assert ledger.take()


def test_history_tells_of_the_version_that_was_loaded(ledger):
    ledger.notice(ObjectInfo(KEY, "1", 10, datetime(2026, 1, 1, tzinfo=UTC)), "event")
    [task] = ledger.take()
    ledger.notice(ObjectInfo(KEY, "2", 10, datetime(2099, 1, 1, tzinfo=UTC)), "sweep")
    ledger.commit({task: result(task, "1")})
    [row] = ledger.rows("SELECT etag, found_by, landed_at FROM history")
    assert tuple(row) == ("1", "event", task.landed_at)
    assert report.status(ledger).latency_ms.p50 > 0


@settings(max_examples=30)
@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=12), st.randoms())
def test_sums_are_exact_and_leave_no_trace(tmp_path_factory, values, random):
    """Whatever the order in which shares come and are replaced, the sum is that of what is there, rounded once."""
    with closing(Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite")) as ledger:
        order = [(number, value) for number, value in enumerate(values)] + [
            (number, 1e300) for number in range(len(values))
        ]
        random.shuffle(order)
        order += list(enumerate(values))
        for number, value in order:
            ledger.notice(version(f"{value}", f"raw/numbers/{number}.csv"), "event")
            for task in ledger.take():
                ledger.commit({task: result(task, f"{value}", share={"a": value})})
        [row] = ledger.rows("SELECT * FROM summary")
        assert exact_sums(row["sums"])["x"] == sum(map(Fraction, values))
        assert row["rows"] == 3 * len(values)


class Counting(RuleBasedStateMachine):
    """Whatever happens in whatever order, the tally is a count of the rows, and the summary the sum of the shares."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile
        from pathlib import Path

        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name) / "ledger.sqlite")
        self.taken = []

    @rule(name=st.sampled_from("abc"), etag=st.sampled_from("123"), found_by=st.sampled_from(["event", "sweep"]))
    def notice(self, name, etag, found_by):
        self.ledger.notice(version(etag, f"raw/numbers/{name}.csv"), found_by)

    @rule(workers=st.sampled_from([0, 1, 2]))
    def take(self, workers):
        for task in self.ledger.take(workers):
            assert task.source_key not in [other.source_key for other in self.taken]
            self.taken.append(task)

    @precondition(lambda self: self.taken)
    @rule(
        end=st.sampled_from(["loaded", "refused", "mark_missing", "retract", "release", "mark_failed"]),
        rows=st.integers(0, 9),
        etag=st.sampled_from("123"),
    )
    def end(self, end, rows, etag):
        task = self.taken.pop(0)
        if end in ("loaded", "refused"):
            self.ledger.commit({task: result(task, etag, end, rows + 1)})
        elif end == "mark_failed":
            self.ledger.mark_failed(task, "it broke", 0)
        else:
            getattr(self.ledger, end)(task)

    @rule()
    def replay(self):
        self.ledger.replay("TRUE")

    @rule()
    def crash(self):
        self.ledger.start_run({"numbers": "fingerprint"})
        self.taken = []

    @invariant()
    def tally_is_a_count(self):
        counted = self.ledger.rows(
            "SELECT dataset, status, count(*) files, sum(size) bytes, sum(stale) stale, sum(found_by = 'event') event,"
            " sum(found_by = 'sweep') sweep, sum(rows_read) rows_read, sum(rows_kept) rows_kept,"
            " sum(rows_dropped) rows_dropped, sum(rows_rejected) rows_rejected FROM source GROUP BY dataset, status"
        )
        kept = self.ledger.rows("SELECT * FROM tally WHERE files <> 0 ORDER BY dataset, status")
        assert [tuple(row) for row in kept] == [tuple(row) for row in counted]

    @invariant()
    def summary_is_the_sum_of_shares(self):
        [kept] = self.ledger.rows("SELECT coalesce(sum(rows_kept), 0) FROM source")
        [summed] = self.ledger.rows("SELECT coalesce(sum(rows), 0) FROM summary")
        assert tuple(kept) == tuple(summed)

    def teardown(self):
        self.ledger.close()
        self.folder.cleanup()


TestCounting = Counting.TestCase
