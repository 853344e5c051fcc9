"""Events in every order, twice, late, or never: in the end the lake holds what `raw/` says, and nothing twice."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lake.stores.local import LocalStore
from pipeline.ledger import database
from pipeline.ledger.ledger import Ledger
from tests.support.lake import Lake, company_csv
from tests.support.scripted import Scripted
from tests.support.truth import BAD_ROWS, SPOILT, assert_true

A, B, C = company_csv(1), company_csv(2) + BAD_ROWS, company_csv(3, rows=30)
KEY = "raw/companydata/a.csv"


@pytest.fixture
def told(lake: Lake) -> Iterator[Scripted]:
    """Pipeline to move by hand; at the end a sweep finds no more to do, and the truth holds."""
    told = Scripted(lake)
    yield told
    assert told.sweep() == 0, "the sweep found something that was left to do"
    told.publish()
    assert_true(lake, told.gone)


def test_an_event_twice_and_once_more_when_all_is_done(told):
    event = told.put(A)
    told.hear(event, event)
    told.work()
    told.hear(event)
    told.work()
    assert told.loads() == 1


def test_events_in_the_wrong_order(told):
    first, second = told.put(A), told.put(B)
    told.hear(second)
    told.work()
    told.hear(first)
    told.work()
    assert told.loads() == 1


def test_two_puts_and_one_event(told):
    first, _ = told.put(A), told.put(B)
    told.hear(first)
    told.work()
    assert told.loads() == 1


def test_no_event_at_all(told):
    told.put(A)
    assert told.sweep() == 1
    told.work()
    told.put(B)
    assert told.sweep() == 1
    told.work()
    assert told.loads() == 2


def test_a_b_a_with_all_events_late(told):
    told.hear(told.put(A))
    told.work()
    events = [told.put(B), told.put(A)]
    told.hear(*events)
    told.work()
    told.hear(*reversed(events))
    told.work()
    # A bucket's etag is the same for the same bytes, so that A has its result; in a folder it is another write.
    assert told.loads() == (2 if isinstance(told.lake.store, LocalStore) else 1)


@pytest.mark.parametrize("contents", [[B], [B, A]], ids=["A-B", "A-B-A"])
def test_overwritten_while_it_is_read(told, contents):
    event = told.put(A)
    told.store.when_opened[KEY] = lambda: told.hear(*[told.put(one) for one in contents])
    told.hear(event)
    told.work()
    assert told.store.when_opened == {}


def test_overwritten_while_it_is_read_and_no_event_tells_of_it(told):
    event = told.put(A)
    told.store.when_opened[KEY] = lambda: told.put(B)
    told.hear(event)
    told.work()
    assert told.sweep() == 1
    told.work()
    assert told.loads() == 2


def test_a_clock_that_jumps_back_hides_no_version_from_a_sweep(told, monkeypatch):
    told.hear(told.put(A))
    told.work()
    yesterday = time.time_ns() // 1000 - 86_400_000_000
    for module in ("ledger", "task_queue", "reconcile"):
        monkeypatch.setattr(f"pipeline.ledger.{module}.now", lambda: yesterday)
    told.put(B)
    assert told.sweep() == 1
    told.work()
    assert told.loads() == 2


def test_deleted_between_event_and_read_and_put_back(told):
    event = told.put(A)
    told.lake.store.delete(KEY)
    told.hear(event)
    told.work()
    assert (told.status(), told.loads()) == ("missing", 0)
    told.hear(told.put(A))
    told.work()
    assert told.loads() == 1


def test_deleted_and_put_back_and_only_sweeps_see_it(told):
    told.put(A)
    told.sweep()
    told.work()
    told.lake.store.delete(KEY)
    told.sweep()
    assert told.status() == "missing"
    told.put(B)
    told.sweep()
    told.work()
    assert told.status() == "loaded"


def test_deleted_for_good_keeps_its_rows(told):
    told.hear(told.put(A), told.put(B, "companydata/b.csv"))
    told.work()
    told.lake.store.delete(KEY)
    told.sweep()
    told.work()
    told.gone = {"companydata/a.csv": A}


def test_deleted_while_it_is_read(told):
    event = told.put(A)
    told.store.when_opened[KEY] = lambda: told.lake.store.delete(KEY)
    told.hear(event)
    told.work()
    told.sweep()
    assert told.status() == "missing"
    told.gone = {"companydata/a.csv": A}


@pytest.mark.parametrize(("first", "second"), [(A, SPOILT), (SPOILT, A)], ids=["good-refused", "refused-good"])
@pytest.mark.parametrize("by", ["event", "sweep"])
def test_a_good_version_and_a_refused_one(told, first, second, by):
    for content in (first, second):
        event = told.put(content)
        told.hear(event) if by == "event" else told.sweep()
        told.work()
    assert told.loads() == 2


@pytest.mark.parametrize("prefix", ["raw/", "clean/"])
def test_a_sweep_whose_listing_is_older_than_an_event(told, prefix):
    """While it lists, another version comes and is loaded: the listing must not bring the old one back."""
    told.hear(told.put(A))
    told.work()

    def meanwhile() -> None:
        told.hear(told.put(B), told.put(C, "companydata/c.csv"))
        told.work()

    told.store.when_listed[prefix] = meanwhile
    assert told.sweep() == 0
    assert told.loads() == 3


def test_a_sweep_races_an_event_of_the_same_version(told):
    event = told.put(A)
    told.store.when_opened[KEY] = told.sweep  # while the load is in flight
    told.store.when_listed["clean/"] = lambda: told.hear(event)
    told.sweep()
    told.work()
    assert told.loads() == 1


def test_a_sweep_races_a_delete_and_a_put_back(told):
    told.hear(told.put(A))
    told.work()
    told.lake.store.delete(KEY)

    def meanwhile() -> None:
        told.hear(told.put(B))
        told.work()

    told.store.when_listed["clean/"] = meanwhile
    told.sweep()
    assert told.status() == "loaded"


def test_others_write_to_the_ledger_between_two_parts_of_a_sweep(told, monkeypatch):
    """Sweeps that find very many new files must not hold the ledger for as long as they take to record all of them."""
    for number in (1, 2, 3):
        told.put(A, f"companydata/{number}.csv")
    heard = []

    def meanwhile(_seconds: float) -> None:
        if not heard:
            heard.append(told.put(B, "companydata/3.csv"))
            with closing(Ledger(told.ledger.path)) as beside:
                beside.rows("PRAGMA busy_timeout = 0")
                assert beside.notice(heard[0], "event")

    monkeypatch.setattr(database, "PART", 1)
    monkeypatch.setattr(database, "sleep", meanwhile)
    assert told.sweep() == 2
    [row] = told.ledger.rows("SELECT etag, found_by FROM source WHERE source_key = 'raw/companydata/3.csv'")
    assert tuple(row) == (heard[0].etag, "event"), "the listing is older than the event"
    told.work()
    told.lake.store.delete("raw/companydata/1.csv")
    told.lake.store.delete("clean/companydata/2.csv.parquet")
    assert told.sweep() == 1
    assert (told.status("companydata/1.csv"), told.status("companydata/2.csv")) == ("missing", "pending")
    told.gone = {"companydata/1.csv": A}
    told.work()


def test_written_in_place_while_it_is_read(local_lake):
    """Overwriting a file without a rename changes the bytes under the reader: the file is read again."""
    told = Scripted(local_lake)
    event = told.put(A)
    path = Path(local_lake.environ["LAKE_URL"]) / KEY

    def overwrite() -> None:
        path.write_bytes(B)
        told.hear(local_lake.store.stat(KEY))

    told.store.when_opened[KEY] = overwrite
    told.hear(event)
    told.work()
    assert told.loads() == 1
    told.publish()
    assert_true(local_lake)


def test_what_failed_and_was_put_anew_is_a_new_file_to_a_sweep(told):
    told.hear(told.put(A))
    [task] = told.ledger.take()
    told.ledger.mark_failed(task, "the disk is full", 60.0)
    told.put(B)
    told.sweep()
    [row] = told.ledger.rows("SELECT status, attempts, error FROM source")
    assert tuple(row) == ("pending", 0, None)
    told.work()
    assert told.status() == "loaded"
