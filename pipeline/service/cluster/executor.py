"""The executor of a cluster: each batch is a task of a Dask scheduler, which gives it to a worker of our version.

The ledger stays the one queue and the one memory. Dask tries nothing again and decides nothing about a file; a batch
whose worker dies, or whose scheduler is lost, returns to the ledger.
"""

import logging
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from threading import Event, Lock, Thread

from distributed import Client, Future, KilledWorker, Security

from common.errors import StoreUnavailable
from common.logs import fields
from common.retry import Outage
from lake import status
from pipeline.service.cluster import connection
from pipeline.service.cluster.loading import STARTED, Reply, load_on_worker
from pipeline.service.cluster.members import Member, log_changes, members, room
from pipeline.service.cluster.version import as_resources
from pipeline.service.executor import (
    Batch,
    BatchLost,
    BatchNotLoaded,
    Events,
    Executor,
    ExecutorClosed,
    Loads,
    Running,
    worker_state,
)

CONNECT_SECONDS = 10.0  # that a scheduler which answers may take to accept a client
CLOSE_SECONDS = 3.0  # that it may take to say goodbye
NO_WORKERS = "There are no workers for this pipeline: all files wait until one joins."
NOT_FENCED = (
    "the store has no conditional puts, so a worker that was given up could replace a newer result: use a store that "
    "honours If-Match and If-None-Match, such as MinIO"
)
LOOK_SECONDS = 1.0  # between two looks at the cluster's workers
AHEAD = 2  # batches for each load of a worker: while one is loaded, the next one is there already

log = logging.getLogger(__name__)


class ClusterRefused(Exception):
    """The cluster cannot be used with this lake: the message says why, and the way out."""


@dataclass
class _Batch:
    """Batch that is at the cluster; `worker` is empty until one has begun it."""

    tasks: Batch
    since: datetime
    worker: str = ""
    future: Future[Reply] | None = None


class DaskExecutor:
    """Loads batches on a cluster; in processes of this machine until its scheduler has answered for the first time.

    Args:
        address: of the scheduler.
        security: how the members of the cluster know each other.
        version: the versions that a worker must have, by `pipeline.service.cluster.version.versions`.
        here: the executor until then.
        fenced: returns whether the store has conditional puts; a cluster is not used without them.
    """

    def __init__(
        self, address: str, security: Security, version: Mapping[str, str], here: Executor, fenced: Callable[[], bool]
    ) -> None:
        self._address, self._security, self._version, self._fenced = address, security, version, fenced
        self._here = _Here(here)
        self._client: Client | None = None
        self._members = dict[str, Member]()
        self._batches = dict[str, _Batch]()
        self._numbers, self._id = count(1), uuid.uuid4().hex[:8]
        self._looked, self._closed, self._events = Event(), Event(), Events()
        self._trouble = ""  # why the cluster cannot be used now, for people
        Thread(target=self._watch, name="cluster", daemon=True).start()

    def room(self) -> int:
        """Return how many batches may be loaded at a time now; none while there are no workers."""
        if self._here.open:
            return self._here.executor.room()
        return AHEAD * room(self._members) if self._client else 0

    def wait_until_ready(self) -> None:
        """Wait until it is known where to load, and for the processes of this machine if they do."""
        self._looked.wait()
        if self._here.open:
            self._here.executor.wait_until_ready()

    def load(self, batch: Batch) -> Loads:
        """Load a batch on a worker; see `Executor.load`."""
        with self._here.used() as here:
            return here.load(batch) if here else self._load_there(batch)

    def _load_there(self, batch: Batch) -> Loads:
        if not (client := self._client):
            raise BatchNotLoaded("the scheduler is away")
        number = f"{self._id}-{next(self._numbers)}"
        sent = self._batches[number] = _Batch(batch, datetime.now(UTC))
        try:
            sent.future = self._submit(client, number, batch)
            reply = sent.future.result()
        except KilledWorker as killed:
            raise self._lost(sent, str(killed.last_worker.name)) from None
        except (CancelledError, ExecutorClosed, OSError, TimeoutError) as error:
            if self._closed.is_set():
                raise ExecutorClosed from None
            raise BatchNotLoaded(f"the scheduler or the worker left: {error}") from None
        finally:
            del self._batches[number]
        if reply.lost:
            self._note_loss("process lost", batch, reply.loads.worker, reply.lost)
            raise BatchLost(reply.lost)
        return reply.loads

    def _submit(self, client: Client, number: str, batch: Batch) -> Future[Reply]:
        resources = as_resources(self._version)
        return client.submit(
            load_on_worker, number, batch, key=f"load-{number}", pure=False, retries=0, resources=resources
        )

    def return_waiting(self) -> None:
        """End the wait of the batches that no worker has begun; see `Executor.return_waiting`."""
        for batch in list(self._batches.values()):
            if batch.future and not batch.worker:
                batch.future.cancel()

    def _lost(self, sent: _Batch, worker: str) -> Exception:
        if self._closed.is_set():
            return ExecutorClosed()
        if not sent.worker:  # it waited for its turn, and is no reason for the worker's end
            return BatchNotLoaded(f"worker {worker} was lost before it began")
        how = f"was lost with its worker {worker}"
        self._note_loss("worker lost", sent.tasks, worker, "it ended, or does not answer")
        return BatchLost(how)

    def _note_loss(self, event: str, batch: Batch, worker: str, error: str) -> None:
        keys = " ".join(task.source_key for task in batch)
        log.warning(fields(event, keys=keys, worker=worker, error=error, action="each runs again by itself"))
        self._events.add(f"{event}: {worker}: {error}", batch)

    def _begun(self, event: tuple[float, dict[str, str]]) -> None:
        """Note which worker has begun a batch."""
        message = event[1]
        if batch := self._batches.get(message["batch"]):
            batch.worker, batch.since = message["name"], datetime.now(UTC)

    def _watch(self) -> None:
        """Look at the cluster all the time; connect again whenever the scheduler is gone."""
        outage = Outage(log, "no scheduler", "scheduler back", scheduler=self._address)
        pause = 0.0
        while not self._closed.wait(pause):
            try:
                pause = self._look_safely(outage)
            except ClusterRefused as refusal:
                self._events.add(f"the cluster is not used, and files are loaded here: {refusal}")
                log.error(fields("cluster not used", scheduler=self._address, error=refusal, action="load here"))
                return
            finally:
                self._looked.set()

    def _look_safely(self, outage: Outage) -> float:
        """Look at the cluster, and return the seconds until the next look; an outage is logged once."""
        try:
            self._look()
        except StoreUnavailable:
            return LOOK_SECONDS  # then it is asked again whether it has conditional puts
        except ClusterRefused:
            raise
        except Exception as error:  # of Dask, which has many kinds
            if self._here.open and isinstance(error, ConnectionRefusedError | socket.gaierror):
                if not self._looked.is_set():  # once
                    log.info(fields("no scheduler yet", scheduler=self._address, action="load here until one answers"))
                return LOOK_SECONDS
            if not self._trouble:
                self._trouble = f"The scheduler does not answer: {error!r:.200}"
                self._events.add(self._trouble)
            self._disconnect()
            return outage.failed(OSError(error))
        outage.ended()
        if self._trouble:
            self._trouble = ""
            self._events.add("The scheduler is back")
        return LOOK_SECONDS

    def _look(self) -> None:
        """Connect if need be, and ask the scheduler for its workers."""
        if not self._client:
            connection.reach(self._address, self._security)
            if self._here.open and not self._fenced():
                raise ClusterRefused(NOT_FENCED)
            self._client = self._connect()
        if self._client.status != "running":
            raise ConnectionError("the connection was lost")
        present = members(self._client.scheduler_info(n_workers=-1), self._version)
        log_changes(self._members, present)
        self._members = present
        if self._here.open:
            self._here.leave()
            log.info(fields("loads go to the cluster", scheduler=self._address, room=room(present)))

    def _connect(self) -> Client:
        client = Client(self._address, security=self._security, timeout=CONNECT_SECONDS, set_as_default=False)
        client.subscribe_topic(STARTED, self._begun)
        return client

    def _disconnect(self) -> None:
        """End the connection: what is at the cluster returns to the ledger."""
        client, self._client = self._client, None
        log_changes(self._members, {})
        self._members = {}
        if client:
            with suppress(TimeoutError, OSError):
                client.close(timeout=CLOSE_SECONDS)

    def close(self) -> None:
        """End the loads of this machine, and leave the cluster: what it loads now, nobody takes any more."""
        self._closed.set()
        self._here.executor.close()
        self._disconnect()

    def describe(self) -> status.Executor:
        """Return what there is to load with, and what it does."""
        if self._here.open:
            here = self._here.executor.describe()
            return here.model_copy(update={"events": [*self._events.list(), *here.events]})
        present = self._members
        trouble = self._trouble or ("" if room(present) else NO_WORKERS)
        workers = [self._describe(member) for member in present.values()]
        return status.Executor(
            kind="cluster", address=self._address, state=trouble, workers=workers, events=self._events.list()
        )

    def _describe(self, member: Member) -> status.WorkerState:
        begun = [Running(one.tasks, one.since) for one in list(self._batches.values()) if one.worker == member.name]
        return worker_state(member.name, begun, host=member.host, version=member.version, other=member.other)


class _Here:
    """The executor of this machine: used until the first answer of a scheduler, and closed after its last load."""

    def __init__(self, executor: Executor) -> None:
        self.executor, self.open = executor, True
        self._loads, self._lock = 0, Lock()

    @contextmanager
    def used(self) -> Iterator[Executor | None]:
        """Yield the executor for one load; None if it is not used any more."""
        with self._lock:
            here = self.executor if self.open else None
            self._loads += bool(here)
        try:
            yield here
        finally:
            with self._lock:
                self._loads -= bool(here)
            if here:
                self._close_unused()

    def leave(self) -> None:
        """Use the executor for no other load."""
        with self._lock:
            self.open = False
        self._close_unused()

    def _close_unused(self) -> None:
        if not self.open and not self._loads:
            self.executor.close()
