"""What to do while the store is away: wait, and say so once when it goes and once when it is back."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from common.errors import StoreUnavailable
from common.logs import fields

FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0  # seconds between two tries

T = TypeVar("T")

log = logging.getLogger(__name__)


class Outage:
    """A time without the store, shared by all who write to it; `error` says what is wrong, or is empty."""

    def __init__(self, url: str) -> None:
        """Begin with a store that answers, as far as we know."""
        self.error = ""
        self._url, self._since, self._lock = url, 0.0, threading.Lock()

    def failed(self, error: OSError) -> float:
        """Note a try that failed, and give the seconds to wait before the next one."""
        with self._lock:
            if not self.error:
                self._since = time.monotonic()
                log.warning(fields("store away", store=self._url, error=error, action="will try again"))
            self.error = str(error)
            return min(max(FIRST_WAIT, (time.monotonic() - self._since) / 2), LONGEST_WAIT)

    def answered(self) -> None:
        """Note a try that went well."""
        with self._lock:
            if self.error:
                log.info(fields("store back", store=self._url, seconds=time.monotonic() - self._since))
            self.error = ""

    def wait_for(self, act: Callable[[], T], stop: threading.Event) -> T | None:
        """Give what `act` gives, trying again while the store is away; None if `stop` was set before."""
        while not stop.is_set():
            try:
                given = act()
            except StoreUnavailable as error:
                stop.wait(self.failed(error))
            else:
                self.answered()
                return given
        return None
