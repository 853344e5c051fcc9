"""Retry while a store is unavailable: pauses that grow, and one log line when an outage begins and one when it ends."""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from common.errors import StoreUnavailable
from common.logs import fields

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between two attempts

T = TypeVar("T")


class Backoff:
    """Pauses between attempts at one thing, for all threads that use it; `error` is why it fails now, or empty."""

    def __init__(
        self,
        log: logging.Logger,
        begin: str = "store away",
        end: str = "store back",
        first: float = FIRST_PAUSE,
        **context: object,
    ) -> None:
        """Name the lines that `log` gets, and the context of both; `first` is the first pause, in seconds."""
        self.error = ""
        self._log, self._begin, self._end, self._context = log, begin, end, context
        self._first = self._pause = first
        self._since, self._lock = 0.0, threading.Lock()

    def failed(self, error: OSError) -> float:
        """Record a failed attempt and return the seconds to wait: twice as long each time, with jitter."""
        with self._lock:
            if not self.error:
                self._since, self._pause = time.monotonic(), self._first
                self._log.warning(fields(self._begin, **self._context, error=error, action="will try again"))
            self.error, pause = str(error) or repr(error), self._pause
            self._pause = min(2 * pause, max(LONGEST_PAUSE, self._first))
        return pause * random.uniform(0.5, 1.0)

    def ended(self) -> None:
        """Record a successful attempt."""
        if not self.error:
            return
        with self._lock:
            if self.error:
                self._log.info(fields(self._end, **self._context, seconds=time.monotonic() - self._since))
            self.error = ""

    def retry(self, act: Callable[[], T], stop: threading.Event | None = None, seconds: float = math.inf) -> T | None:
        """Return the result of `act`, with a new attempt while the store is unavailable; None once `stop` is set.

        Raises:
            StoreUnavailable: the store is still unavailable after so many seconds.
        """
        stop, deadline = stop or threading.Event(), time.monotonic() + seconds
        while not stop.is_set():
            try:
                result = act()
            except StoreUnavailable as error:
                pause = self.failed(error)
                if time.monotonic() + pause > deadline:
                    raise
                stop.wait(pause)
            else:
                self.ended()
                return result
        return None

    def reopen(self, stream: Callable[[], Iterator[T]], stop: threading.Event) -> Iterator[T]:
        """Yield the items of a stream, and open it again when it ends or fails, until `stop` is set."""
        while not stop.is_set():
            pause = self._first
            try:
                for item in stream():
                    self.ended()
                    yield item
            except OSError as error:
                pause = self.failed(error)
            stop.wait(pause)
