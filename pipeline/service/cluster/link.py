"""The link of a pipeline to its cluster: a connection to the scheduler, which a thread keeps up, and who is there."""

import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Thread

from distributed import Client, Security

from common.errors import StoreUnavailable
from common.logs import fields
from common.retry import Outage
from pipeline.service.cluster import connection
from pipeline.service.cluster.loading import STARTED
from pipeline.service.cluster.members import Member, log_changes, members
from pipeline.service.executor import Events

CONNECT_SECONDS = 10.0  # that a scheduler which answers may take to accept a client
CLOSE_SECONDS = 3.0  # that it may take to say goodbye
LOOK_SECONDS = 1.0  # between two looks at the cluster's workers
NOT_FENCED = (
    "the store has no conditional puts, so a worker that was given up could replace a newer result: use a store that "
    "honours If-Match and If-None-Match, such as MinIO"
)

log = logging.getLogger(__name__)


class NotFenced(Exception):
    """The cluster cannot be used with this lake: the message says why, and the way out."""


class Link:
    """Connection to a scheduler; `client` is None while there is none, and `members` are the workers of a second ago.

    Args:
        address: of the scheduler.
        security: how the members of the cluster know each other.
        version: the versions that a worker must have, by `pipeline.service.cluster.version.versions`.
        fenced: returns whether the store has conditional puts; a cluster is not used without them.
        events: where losses of the scheduler are noted.
    """

    def __init__(
        self, address: str, security: Security, version: Mapping[str, str], fenced: Callable[[], bool], events: Events
    ) -> None:
        self.client: Client | None = None
        self.members: Mapping[str, Member] = {}
        self.trouble = ""  # why there is no client although one was expected, for people
        self._address, self._security, self._version, self._fenced = address, security, version, fenced
        self._events, self._joined = events, False
        self._looked, self._closed = Event(), Event()

    def start(self, on_join: Callable[[], None], on_begin: Callable[[tuple[float, dict[str, str]]], None]) -> None:
        """Start to keep the link.

        Args:
            on_join: is called once, after the first answer of the scheduler.
            on_begin: is called with each event that a worker has begun a batch.
        """
        self._on_join, self._on_begin = on_join, on_begin
        Thread(target=self._watch, name="cluster", daemon=True).start()

    def wait_for_first_look(self) -> None:
        """Wait until it is known whether there is a scheduler."""
        self._looked.wait()

    def _watch(self) -> None:
        """Look at the cluster all the time; connect again whenever the scheduler is gone."""
        outage = Outage(log, "no scheduler", "scheduler back", scheduler=self._address)
        pause = 0.0
        while not self._closed.wait(pause):
            try:
                pause = self._look_safely(outage)
            except NotFenced as reason:
                self._events.add(f"The cluster is not used, and files are loaded here: {reason}")
                log.error(fields("cluster not used", scheduler=self._address, error=reason, action="load here"))
                return
            finally:
                self._looked.set()

    def _look_safely(self, outage: Outage) -> float:
        """Look at the cluster, and return the seconds until the next look; an outage is logged once."""
        try:
            self._look()
        except NotFenced:
            raise
        except StoreUnavailable:
            return LOOK_SECONDS  # then it is asked again whether it has conditional puts
        except Exception as error:  # of Dask, which has many kinds
            if not self._joined and isinstance(error, ConnectionRefusedError | socket.gaierror):
                if not self._looked.is_set():  # once
                    log.info(fields("no scheduler yet", scheduler=self._address, action="load here until one answers"))
                return LOOK_SECONDS
            if not self.trouble:
                self.trouble = f"The scheduler does not answer: {error!r:.200}"
                self._events.add(self.trouble)
            self._disconnect()
            return outage.failed(OSError(error))
        outage.ended()
        if self.trouble:
            self.trouble = ""
            self._events.add("The scheduler is back.")
        return LOOK_SECONDS

    def _look(self) -> None:
        """Connect if need be, and ask the scheduler for its workers."""
        if not self.client:
            connection.reach(self._address, self._security)
            if not self._fenced():
                raise NotFenced(NOT_FENCED)
            self.client = self._connect()
        if self.client.status != "running":
            raise ConnectionError("the connection was lost")
        present = members(self.client.scheduler_info(n_workers=-1), self._version)
        log_changes(self.members, present)
        self.members = present
        if not self._joined:
            self._joined = True
            self._on_join()
            log.info(fields("loads go to the cluster", scheduler=self._address, workers=len(present)))

    def _connect(self) -> Client:
        client = Client(self._address, security=self._security, timeout=CONNECT_SECONDS, set_as_default=False)
        client.subscribe_topic(STARTED, self._on_begin)
        return client

    def _disconnect(self) -> None:
        """End the connection: what is at the cluster returns to the ledger."""
        client, self.client, self.members = self.client, None, {}
        if client:
            with suppress(TimeoutError, OSError):
                client.close(timeout=CLOSE_SECONDS)

    def close(self) -> None:
        """Leave the cluster: what it loads now, nobody takes any more."""
        self._closed.set()
        self._disconnect()
