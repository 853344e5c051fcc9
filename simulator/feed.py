"""The feed: a thread that puts files of orders into the lake."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from random import Random

from common.logs import fields
from common.retry import Backoff
from lake.stores.base import ObjectStore
from simulator.datasets import orders
from simulator.exam.bad_records import kinds_of, one_of, spoiled
from simulator.exam.case import Draw, good_rows

NAMES = 500  # reused, so that a forgotten feed does not fill the disk
NEWEST = 20
STOP_SECONDS = 5.0  # a put that takes longer ends with the process
FAULTS = kinds_of("orders")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedFile:
    """One file that the feed wrote."""

    key: str
    rows: int
    size: int
    etag: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class FeedState:
    """Settings and progress of the feed, as an immutable snapshot."""

    on: bool
    files_per_second: float
    rows: int
    fault_share: float = 0.0  # of the records; above 0, each file has at least one
    faults: tuple[str, ...] = ()  # kinds of `FAULTS`; empty: all
    files_written: int = 0
    rows_written: int = 0
    newest: tuple[FeedFile, ...] = ()


class Feed:
    """Writes `orders` files at a given pace, over a bounded number of names; waits while the store is unavailable."""

    def __init__(self, store: ObjectStore, seed: int, state: FeedState, backoff: Backoff) -> None:
        """Prepare to write to `store`, from the first `state`; no thread runs yet."""
        self._store, self._seed, self._state, self._backoff = store, seed, state, backoff
        self._changed, self._stopping, self._due = threading.Condition(), False, time.monotonic()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    @property
    def state(self) -> FeedState:
        """Return the newest snapshot."""
        return self._state

    def start(self) -> None:
        """Start the thread; a feed that is off waits to be switched on."""
        _log_switch(self._state)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the file that is being written."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(STOP_SECONDS)

    def change(
        self, *, on: bool, files_per_second: float, rows: int, fault_share: float = 0.0, faults: Sequence[str] = ()
    ) -> None:
        """Switch the feed on or off and set its pace and faults, with effect at once."""
        with self._changed:
            before = self._state
            state = replace(before, on=on, files_per_second=files_per_second, rows=rows)
            self._state = replace(state, fault_share=fault_share, faults=tuple(faults))
            now = time.monotonic()
            self._due = min(self._due, now + 1 / files_per_second) if before.on else now
            self._changed.notify_all()
        if self._state != before:
            _log_switch(self._state)

    def _run(self) -> None:
        while self._wait_until_due():
            try:
                self._put_next()
            except OSError as error:  # unavailable or refusing: the same file again, after a pause
                self._due = time.monotonic() + self._backoff.failed(error)

    def _wait_until_due(self) -> bool:
        """Wait until the next file is due; return False if the feed stops."""
        with self._changed:
            while not self._stopping:
                seconds = self._due - time.monotonic() if self._state.on else None
                if seconds is not None and seconds <= 0:
                    return True
                self._changed.wait(seconds)
        return False

    def _put_next(self) -> None:
        state = self._state
        number, rows = state.files_written, state.rows
        key = f"raw/orders/feed/orders-{number % NAMES:03d}.csv"
        data = faulty_orders(self._seed, number, state) if state.fault_share else orders(self._seed, rows, number)
        etag = self._store.put(key, data)
        self._backoff.ended()
        self._note(FeedFile(key, rows, len(data), etag, datetime.now(UTC)))
        log.debug(fields("put", key=key, rows=rows, bytes=len(data)))

    def _note(self, file: FeedFile) -> None:
        with self._changed:
            state = self._state
            # A late feed does not catch up in a burst.
            self._due = max(self._due + 1 / state.files_per_second, time.monotonic())
            self._state = replace(
                state,
                files_written=state.files_written + 1,
                rows_written=state.rows_written + file.rows,
                newest=(file, *state.newest)[:NEWEST],
            )


def faulty_orders(seed: int, number: int, state: FeedState) -> bytes:
    """Write file `number` of the feed with a share of its records spoiled, as `state` says."""
    kinds, rows = state.faults or FAULTS, good_rows("orders", seed, number, state.rows)
    draw = Draw("orders", rows, Random(f"{seed}/{number}/faults"), state.fault_share)
    return spoiled(partial(one_of, kinds), draw).versions[0]


def _log_switch(state: FeedState) -> None:
    word = "feed on" if state.on else "feed off"
    log.info(fields(word, files_per_second=f"{state.files_per_second:g}", rows=state.rows))
