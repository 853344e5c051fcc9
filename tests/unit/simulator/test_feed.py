import logging
from dataclasses import replace

import pytest

from common.retry import Backoff
from simulator.datasets import orders
from simulator.feed import FAULTS, NEWEST, Feed, FeedState, faulty_orders
from tests.support.minio_server import until
from tests.support.simulator_stores import FaultyStore

FAST = 50.0


@pytest.fixture
def make_feed(store: FaultyStore):
    made = []

    def make(*, on: bool = True, files_per_second: float = FAST, rows: int = 3) -> Feed:
        made.append(
            Feed(
                store,
                7,
                FeedState(on, files_per_second, rows),
                Backoff(logging.getLogger("retry")),
            )
        )
        made[-1].start()
        return made[-1]

    yield make
    for feed in made:
        feed.stop()


def keys(store: FaultyStore) -> set[str]:
    return {item.key for item in store.inner.list("raw/")}


def read(store: FaultyStore, key: str) -> bytes:
    with store.inner.open(key) as (_, stream):
        return stream.read()


def test_names_are_used_again(store, monkeypatch, make_feed) -> None:
    monkeypatch.setattr("simulator.feed.NAMES", 4)
    feed = make_feed()
    until(lambda: feed.state.files_written >= 10)
    assert keys(store) == {f"raw/orders/feed/orders-00{number}.csv" for number in range(4)}


def test_every_file_is_new_and_counted(store, make_feed) -> None:
    feed = make_feed()
    until(lambda: feed.state.files_written >= 30)
    feed.stop()
    state = feed.state
    assert len(keys(store)) == state.files_written
    assert state.rows_written == 3 * state.files_written
    assert len({read(store, key) for key in keys(store)}) == state.files_written
    assert len(state.newest) == NEWEST
    assert state.newest[0].key == f"raw/orders/feed/orders-{state.files_written - 1:03d}.csv"
    assert state.newest[0].size == len(read(store, state.newest[0].key))


def test_off_means_off_and_on_means_now(store, make_feed) -> None:
    feed = make_feed(on=False, files_per_second=0.1)
    feed.change(on=True, files_per_second=0.1, rows=3)
    until(lambda: feed.state.files_written == 1, seconds=8)
    feed.change(on=False, files_per_second=FAST, rows=3)
    written = feed.state.files_written
    with pytest.raises(AssertionError):
        until(lambda: feed.state.files_written > written, seconds=0.3)
    assert len(keys(store)) == written == 1


def test_a_new_pace_and_size_hold_at_once(store, make_feed) -> None:
    feed = make_feed(files_per_second=0.1)
    until(lambda: feed.state.files_written == 1)
    feed.change(on=True, files_per_second=FAST, rows=5)
    until(lambda: feed.state.files_written >= 5, seconds=8)
    assert feed.state.newest[0].rows == 5
    assert read(store, feed.state.newest[0].key).count(b"\n") == 6


def bad_lines(data: bytes, good: bytes) -> int:
    return len(set(data.splitlines()) - set(good.splitlines()))


def test_a_share_of_the_records_is_spoiled() -> None:
    state = FeedState(True, FAST, rows=200, fault_share=0.2)
    data, good = faulty_orders(7, 3, state), orders(7, 200, 3)
    assert 20 < bad_lines(data, good) < 80
    assert faulty_orders(7, 3, state) == data
    assert bad_lines(faulty_orders(7, 3, replace(state, fault_share=0.0001)), good) == 1


def test_only_the_chosen_faults_are_there() -> None:
    state = FeedState(True, FAST, rows=50, fault_share=1.0, faults=("hexadecimal",))
    lines = faulty_orders(7, 0, state).splitlines()[1:]
    assert len(lines) == 50
    assert all(b"0x1F" in line for line in lines)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_can_be_chosen(fault: str) -> None:
    state = FeedState(True, FAST, rows=20, fault_share=0.5, faults=(fault,))
    assert bad_lines(faulty_orders(7, 0, state), orders(7, 20, 0)) >= 1


def test_the_pace_is_kept(make_feed) -> None:
    feed = make_feed(files_per_second=20)
    until(lambda: feed.state.files_written >= 21)
    newest, oldest = feed.state.newest[0], feed.state.newest[-1]
    assert 0.8 < (newest.written_at - oldest.written_at).total_seconds() < 8  # 19 pauses of 50 ms, on a busy machine


def test_a_store_that_was_away_gets_every_file(store, make_feed, caplog) -> None:
    caplog.set_level(logging.INFO)
    feed = make_feed()
    until(lambda: feed.state.files_written >= 3)
    store.away()
    until(lambda: store.refused >= 3)
    written = feed.state.files_written
    store.back()
    until(lambda: feed.state.files_written >= written + 3)
    feed.stop()
    numbers = range(feed.state.files_written)
    assert keys(store) == {f"raw/orders/feed/orders-{number:03d}.csv" for number in numbers}
    assert all(read(store, f"raw/orders/feed/orders-{n:03d}.csv") == orders(7, 3, n) for n in numbers)
    told = [record.message.split(" ")[:2] for record in caplog.records if record.name == "retry"]
    assert told == [["store", "away"], ["store", "back"]]


def test_a_store_that_refuses_is_waited_for_too(store, make_feed) -> None:
    store.error = PermissionError("not for you")
    feed = make_feed()
    until(lambda: store.refused >= 2)
    store.back()
    until(lambda: feed.state.files_written >= 1)


def test_it_stops_at_once_while_the_store_is_away(store, make_feed) -> None:
    store.away()
    feed = make_feed()
    until(lambda: store.refused)
    feed.stop()
    assert not feed._thread.is_alive()
