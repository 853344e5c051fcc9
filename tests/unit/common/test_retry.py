"""Attempts that fail are made again, ever less often, and the log has one line at each end of an outage."""

import logging
from threading import Event

import pytest

from common.errors import StoreUnavailable
from common.retry import Backoff


@pytest.fixture
def backoff(monkeypatch) -> Backoff:
    monkeypatch.setattr("common.retry.random.uniform", lambda _, high: high)
    return Backoff(logging.getLogger("here"), "away", "back", lake="s3://lake")


@pytest.fixture
def failing():
    left = [StoreUnavailable("no answer")] * 3

    def act() -> str:
        if left:
            raise left.pop()
        return "result"

    return act


def test_pauses_double_up_to_a_limit_and_begin_anew(backoff):
    pauses = [backoff.failed(OSError("no answer")) for _ in range(7)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    backoff.ended()
    assert backoff.failed(OSError("no answer")) == 0.2


def test_an_outage_has_two_lines(backoff, failing, caplog, monkeypatch):
    caplog.set_level("INFO")
    stop = Event()
    monkeypatch.setattr(stop, "wait", lambda _: None)
    assert backoff.retry(failing, stop) == "result"
    assert backoff.error == ""
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == 'away lake=s3://lake error="no answer" action="will try again"'
    assert lines[1].startswith("back lake=s3://lake seconds=")
    assert len(lines) == 2


def test_a_deadline_ends_it_with_the_error(backoff, failing):
    with pytest.raises(StoreUnavailable, match="no answer"):
        backoff.retry(failing, Event(), seconds=0.1)
    assert backoff.error == "no answer"


def test_stop_ends_it(backoff, failing):
    stop = Event()
    stop.set()
    assert backoff.retry(failing, stop) is None


def test_a_stream_that_ends_or_fails_is_opened_again(backoff, monkeypatch):
    stop, opened, pauses = Event(), [], []
    monkeypatch.setattr(stop, "wait", pauses.append)

    def stream():
        opened.append(1)
        if len(opened) in (2, 3):
            raise StoreUnavailable("no answer")
        yield len(opened)

    items = backoff.reopen(stream, stop)
    assert [next(items), next(items)] == [1, 4]
    assert pauses == [0.2, 0.2, 0.4]
    stop.set()
    assert list(items) == []
