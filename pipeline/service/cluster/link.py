"""The link of a pipeline to its cluster: a connection to the scheduler, which a thread keeps up, and who is there."""

import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from threading import Event, Thread
from typing import Any

from distributed import Client, Security

from common.errors import StoreUnavailable
from common.logs import fields
from common.retry import Backoff
from pipeline.service.cluster import connection
from pipeline.service.cluster.cluster_workers import ClusterWorker, cluster_workers, log_changes
from pipeline.service.cluster.version import NotFenced
from pipeline.service.executor import Events

CONNECT_SECONDS = 10.0  # that a scheduler which answers may take to accept a client
CLOSE_SECONDS = 3.0  # that it may take to say goodbye
LOOK_SECONDS = 1.0  # between two looks at the cluster's workers
ANSWER_SECONDS = 10.0  # that a scheduler may take to name them: a frozen one never does
FIRST_SECONDS = 30.0  # that a pipeline waits with its first load for the first look

log = logging.getLogger(__name__)


class Link:
    """Connection to a scheduler; `client` is None while there is none, and `workers` are those of a second ago.

    Args:
        address: of the scheduler.
        trust: how the members of the cluster know each other.
        version_now: returns the versions that a worker must have; see `pipeline.service.cluster.version.version_of`.
        contracts_now: returns the part of them that changes during a run.
        events: where losses of the scheduler are noted.
    """

    def __init__(
        self,
        address: str,
        trust: Security,
        version_now: Callable[[], Mapping[str, str]],
        contracts_now: Callable[[], str],
        events: Events,
    ) -> None:
        self.client: Client | None = None
        self.workers: Mapping[str, ClusterWorker] = {}
        self._version: Mapping[str, str] = {}
        self.trouble = ""  # why there is no client although one was expected, for people
        self._address, self._trust, self._events = address, trust, events
        self._version_now, self._contracts_now = version_now, contracts_now
        self._comm: object = None  # Dask's own connection; it makes another by itself, without our subscription
        self._joined = False
        self._looked, self._closed = Event(), Event()

    @property
    def version(self) -> Mapping[str, str]:
        """Return the versions that a worker must have now."""
        return {**self._version, "contracts": self._contracts_now()}

    def start(self, on_join: Callable[[], None], on_event: Mapping[str, Callable[[dict[str, Any]], None]]) -> None:
        """Start to keep the link.

        Args:
            on_join: is called once, after the first answer of the scheduler.
            on_event: by topic, what is called with each event of the workers.
        """
        self._on_join, self._on_event = on_join, on_event
        Thread(target=self._watch, name="cluster", daemon=True).start()

    def wait_for_first_look(self) -> None:
        """Wait until it is known whether there is a scheduler."""
        self._looked.wait(FIRST_SECONDS)

    def _watch(self) -> None:
        """Look at the cluster all the time; connect again whenever the scheduler is gone."""
        backoff = Backoff(log, "no scheduler", "scheduler back", scheduler=self._address)
        pause = 0.0
        while not self._closed.wait(pause):
            try:
                pause = self._look_safely(backoff)
            except NotFenced as reason:
                self._events.add(f"The cluster is not used, and files are loaded here: {reason}")
                log.error(fields("cluster not used", scheduler=self._address, error=reason, action="load here"))
                self._looked.set()
                return

    def _look_safely(self, backoff: Backoff) -> float:
        """Look at the cluster, and return the seconds until the next look; an outage is logged once."""
        try:
            self._look()
        except NotFenced:
            raise
        except (StoreUnavailable, PermissionError):  # the lake is asked for the version again
            return LOOK_SECONDS
        except Exception as error:  # of Dask, which has many kinds
            if not self._joined and isinstance(error, ConnectionRefusedError | socket.gaierror):
                if not self._looked.is_set():  # once
                    log.info(fields("no scheduler yet", scheduler=self._address, action="load here until one answers"))
                self._looked.set()
                return LOOK_SECONDS
            if not self.trouble:
                self.trouble = f"The scheduler does not answer: {error!r:.200}"
                self._events.add(self.trouble)
            self._disconnect()
            self._looked.set()
            return backoff.failed(OSError(error))
        backoff.ended()
        if self.trouble:
            self.trouble = ""
            self._events.add("The scheduler is back.")
        self._looked.set()
        return LOOK_SECONDS

    def _look(self) -> None:
        """Connect if need be, and ask the scheduler for its workers."""
        if not self.client:
            connection.reach(self._address, self._trust)
            self._version = self._version_now()
            self.client = self._connect()
        if self.client.status != "running" or self.client.scheduler_comm is not self._comm:
            raise ConnectionError("the connection was lost")
        scheduler: Any = self.client.scheduler
        told = self.client.sync(scheduler.identity, n_workers=-1, callback_timeout=ANSWER_SECONDS)
        present = cluster_workers(told, self.version)
        log_changes(self.workers, present)
        self.workers = present
        if not self._joined:
            self._joined = True
            self._on_join()
            log.info(fields("loads go to the cluster", scheduler=self._address, workers=len(present)))

    def _connect(self) -> Client:
        client = Client(self._address, security=self._trust, timeout=CONNECT_SECONDS, set_as_default=False)
        for topic, handle in self._on_event.items():
            client.subscribe_topic(topic, partial(_of_event, handle))
        self._comm = client.scheduler_comm
        return client

    def _disconnect(self) -> None:
        """End the connection: what is at the cluster returns to the ledger."""
        client, self.client, self.workers = self.client, None, {}
        if client:
            with suppress(Exception):  # of Dask, which has many kinds
                client.close(timeout=CLOSE_SECONDS)

    def close(self) -> None:
        """Leave the cluster: what it loads now, nobody takes any more."""
        self._closed.set()
        self._looked.set()
        self._disconnect()


def _of_event(handle: Callable[[dict[str, Any]], None], event: tuple[float, dict[str, Any]]) -> None:
    """Handle the message of an event, which comes with its time."""
    handle(event[1])
