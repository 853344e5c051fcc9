"""The source system of this process: the app starts it, and the page of every visitor shows it."""

import logging
import random
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from common.logs import fields
from common.retry import Backoff
from lake.stores.base import ObjectStore
from simulator.datasets import companydata
from simulator.feed import STOP_SECONDS, Feed, FeedState
from simulator.load_status import LoadStatus
from simulator.settings import Settings

COMPANYDATA_KEY = "raw/companydata/companydata.csv"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CompanyData:
    """The file of company data as it was last written."""

    data: bytes
    etag: str
    written_at: datetime


class SourceSystem:
    """Writes to the lake: one file on demand, and the feed."""

    def __init__(self, store: ObjectStore, settings: Settings) -> None:
        """Prepare to write to `store`; no thread runs yet."""
        self.store, self.backoff = store, Backoff(log, store=store.url)
        self.companydata: CompanyData | None = None
        self.load_status = LoadStatus(store)
        self._seed = random.SystemRandom().getrandbits(32) if settings.seed is None else settings.seed
        state = FeedState(settings.feed, settings.files_per_second, settings.rows)
        self.feed = Feed(store, self._seed, state, self.backoff)
        self._versions, self._lock, self._stop = 0, threading.Lock(), threading.Event()
        self._first = threading.Thread(target=self._put_first, name="first-companydata", daemon=True)

    def start(self) -> None:
        """Start the threads, whether the store is available or not."""
        self._first.start()
        self.feed.start()

    def stop(self) -> None:
        """Stop the threads."""
        self._stop.set()
        self.feed.stop()
        self._first.join(STOP_SECONDS)

    def regenerate(self) -> None:
        """Write new company data in place of the old."""
        with self._lock:  # the page shows the last version, whoever pressed the button
            data = companydata(self._seed + self._versions)
            etag = self.store.put(COMPANYDATA_KEY, data)
            self._versions += 1
            self.companydata = CompanyData(data, etag, datetime.now(UTC))
        log.info(fields("put", key=COMPANYDATA_KEY, bytes=len(data)))

    def _put_first(self) -> None:
        try:
            self.backoff.retry(self._put_if_missing, self._stop)
        except OSError as error:
            log.error(fields("put refused", key=COMPANYDATA_KEY, error=error))

    def _put_if_missing(self) -> None:
        # By a listing, because the simulator's user may not read objects under raw/.
        if any(item.key == COMPANYDATA_KEY for item in self.store.list(COMPANYDATA_KEY)):
            self._versions = max(self._versions, 1)  # with a fixed seed, the object may be the first version
        else:
            self.regenerate()


running: SourceSystem | None = None  # set by the app, or by a test
