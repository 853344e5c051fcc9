"""The source system that runs in this process: what the app starts, and every visitor's page shows."""

import logging
import random
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from common.logs import fields
from common.retry import Outage
from lake.stores.base import ObjectStore
from simulator.datasets import companydata
from simulator.feed import STOP_SECONDS, Feed, FeedState
from simulator.load_status import Fates
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
    """Everything that writes to the lake in this process: one file on demand, and the feed."""

    def __init__(self, store: ObjectStore, settings: Settings) -> None:
        """Take the store to write to; nothing runs yet."""
        self.store, self.outage = store, Outage(log, store=store.url)
        self.companydata: CompanyData | None = None
        self.fates = Fates(store)
        self._seed = random.SystemRandom().getrandbits(32) if settings.seed is None else settings.seed
        state = FeedState(settings.feed, settings.files_per_second, settings.rows)
        self.feed = Feed(store, self._seed, state, self.outage)
        self._versions, self._lock, self._stop = 0, threading.Lock(), threading.Event()
        self._first = threading.Thread(target=self._put_first, name="first-companydata", daemon=True)

    def start(self) -> None:
        """Begin in the background, whether the store is there or not."""
        self._first.start()
        self.feed.start()

    def stop(self) -> None:
        """End all that runs."""
        self._stop.set()
        self.feed.stop()
        self._first.join(STOP_SECONDS)

    def regenerate(self) -> None:
        """Write new company data in place of the old."""
        with self._lock:  # what is shown is what was written last, whoever pressed
            data = companydata(self._seed + self._versions)
            etag = self.store.put(COMPANYDATA_KEY, data)
            self._versions += 1
            self.companydata = CompanyData(data, etag, datetime.now(UTC))
        log.info(fields("put", key=COMPANYDATA_KEY, bytes=len(data)))

    def _put_first(self) -> None:
        try:
            self.outage.retry(self._put_if_missing, self._stop)
        except OSError as error:
            log.error(fields("put refused", key=COMPANYDATA_KEY, error=error))

    def _put_if_missing(self) -> None:
        # By a listing, for the source system's user may not read what is under raw/.
        if any(item.key == COMPANYDATA_KEY for item in self.store.list(COMPANYDATA_KEY)):
            self._versions = max(self._versions, 1)  # with a fixed seed, what is there may be the first version
        else:
            self.regenerate()


running: SourceSystem | None = None  # set by the app, or by a test
