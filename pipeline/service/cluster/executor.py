"""The executor of a cluster: each batch is a task of a Dask scheduler, which gives it to a worker of our version.

The ledger stays the one queue and the one memory. Dask tries nothing again and decides nothing about a file; a batch
whose worker dies, or whose scheduler is lost, returns to the ledger.
"""

import logging
import pickle
import time
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from threading import Lock
from typing import Any

from distributed import Client, Future, KilledWorker, Security

from common.logs import fields
from lake import status
from lake.stores.base import ObjectStore
from pipeline.dataset.definition import Definition
from pipeline.service.cluster.cluster_workers import ClusterWorker, count_fit
from pipeline.service.cluster.here import Here
from pipeline.service.cluster.link import Link
from pipeline.service.cluster.loading import ENDED, STARTED, Reply, load_on_worker
from pipeline.service.cluster.version import as_resources, contracts_version, version_of
from pipeline.service.executor import (
    BatchLost,
    BatchNotLoaded,
    Events,
    Executor,
    ExecutorClosed,
    Loads,
    Running,
    TaskBatch,
    worker_state,
)

AHEAD = 2  # batches for each worker: while it loads one, the next one is there already
AGAIN_SECONDS = 1.0  # until a batch is given away again after an error of Dask that nobody expects
NO_WORKERS = "There are no workers for this pipeline: all files wait until one joins."

log = logging.getLogger(__name__)


@dataclass
class _Sent:
    """Batch that is at the cluster; `worker` is empty until one has begun it."""

    tasks: TaskBatch
    since: datetime
    worker: str = ""
    future: Future[None] | None = None
    reply: Reply | None = None


class DaskExecutor:
    """Loads batches on a cluster; in processes of this machine until its scheduler has answered for the first time.

    Args:
        address: of the scheduler.
        trust: how the members of the cluster know each other.
        store: the lake.
        fingerprints: of the datasets.
        here: the executor until then.
    """

    def __init__(
        self, address: str, trust: Security, store: ObjectStore, fingerprints: Mapping[str, str], here: Executor
    ) -> None:
        self._address, self._here, self._events = address, Here(here), Events()
        self._fingerprints, self._renewal = fingerprints, Lock()
        self._batches = dict[str, _Sent]()
        self._numbers, self._id = count(1), uuid.uuid4().hex[:8]
        self._stopping, self._closed = False, False
        self._link = Link(
            address,
            trust,
            lambda: version_of(store, self._fingerprints),
            lambda: contracts_version(self._fingerprints),
            self._events,
        )
        self._link.start(self._here.leave, {STARTED: self._begun, ENDED: self._ended})

    def room(self) -> int:
        """Return how many batches may be loaded at a time now; none while there are no workers."""
        return self._here.executor.room() if self._here.used else AHEAD * count_fit(self._link.workers)

    def wait_until_ready(self) -> None:
        """Wait until it is known where to load, and for the processes of this machine if they do."""
        self._link.wait_for_first_look()
        if self._here.used:
            self._here.executor.wait_until_ready()

    def load(self, batch: TaskBatch) -> Loads:
        """Load a batch on a worker; see `Executor.load`."""
        with self._here.one_load() as here:
            return here.load(batch) if here else self._load_there(batch)

    def _load_there(self, batch: TaskBatch) -> Loads:
        if self._stopping or not (client := self._link.client):
            raise BatchNotLoaded("the pipeline stops, or the scheduler is away")
        number = f"{self._id}-{next(self._numbers)}"
        sent = self._batches[number] = _Sent(batch, datetime.now(UTC))
        try:
            with self._renewal:
                sent.future = self._submit(client, number, batch)
            reply = _wait_for_reply(sent, sent.future)
        except Exception as error:
            raise self._explained(error, sent, gone=client is not self._link.client) from error
        finally:
            del self._batches[number]
        if reply.lost:
            self._note_loss("process lost", batch, reply.loads.worker, reply.lost)
            raise BatchLost(reply.lost)
        return reply.loads

    def _submit(self, client: Client, number: str, batch: TaskBatch) -> Future[None]:
        return client.submit(
            load_on_worker,
            number,
            batch,
            key=f"load-{number}",
            retries=0,  # the ledger decides what is loaded again
            resources=as_resources(self._link.version),
        )

    def _explained(self, error: Exception, sent: _Sent, *, gone: bool) -> Exception:
        """Return what an error of Dask means for a batch.

        Args:
            error: what Dask has raised.
            sent: the batch.
            gone: the connection that it was sent by is not there any more.
        """
        if self._closed:
            return ExecutorClosed()
        if isinstance(error, KilledWorker):
            worker = str(error.last_worker.name)
            if sent.worker != worker:  # it waited for its turn there, and is no reason for the worker's end
                return BatchNotLoaded(f"worker {worker} was lost before it began")
            self._note_loss("worker lost", sent.tasks, worker, "it ended, or does not answer")
            return BatchLost(f"was lost with its worker {worker}")
        if not (gone or isinstance(error, CancelledError | ExecutorClosed)):
            # Such as of a scheduler with other code, which cannot read a batch.
            log.error(fields("batch not loaded", scheduler=self._address, error=repr(error), action="try again"))
            self._events.add(f"Dask failed: {error!r:.200}")
            time.sleep(AGAIN_SECONDS)
        return BatchNotLoaded(f"the scheduler or the worker left: {error}")

    def return_waiting(self) -> None:
        """End the wait of the batches that no worker has begun; see `Executor.return_waiting`."""
        self._stopping = True
        self._cancel_waiting()

    def _cancel_waiting(self) -> None:
        for batch in list(self._batches.values()):
            if batch.future and batch.worker not in self._link.workers:
                # Of Dask, which has many kinds: the link may close the client now, and that ends the batch as well.
                with suppress(Exception):
                    batch.future.cancel()

    def renew(self, definitions: Iterable[Definition], fingerprints: Mapping[str, str]) -> None:
        """Send batches to workers that have these datasets; those that no worker has begun return to the ledger."""
        self._here.executor.renew(definitions, fingerprints)
        with self._renewal:
            self._fingerprints = fingerprints
            self._cancel_waiting()

    def _note_loss(self, event: str, batch: TaskBatch, worker: str, error: str) -> None:
        keys = " ".join(task.source_key for task in batch)
        log.warning(fields(event, keys=keys, worker=worker, error=error, action="each runs again by itself"))
        self._events.add(f"{event}: {worker}: {error}", batch)

    def _begun(self, message: dict[str, Any]) -> None:
        """Note which worker has begun a batch."""
        if batch := self._batches.get(message["batch"]):
            batch.worker, batch.since = message["name"], datetime.now(UTC)

    def _ended(self, message: dict[str, Any]) -> None:
        """Note the reply to a batch."""
        if batch := self._batches.get(message["batch"]):
            batch.reply = pickle.loads(message["reply"])  # noqa: S301 - as Dask itself does: the members trust each other

    def close(self) -> None:
        """End the loads of this machine, and leave the cluster: what it loads now, nobody takes any more."""
        self._closed = True
        self._here.executor.close()
        self._link.close()

    def describe(self) -> status.Executor:
        """Return what there is to load with, and what it does."""
        if self._here.used:
            here = self._here.executor.describe()
            return here.model_copy(update={"events": [*self._events.list(), *here.events]})
        present = self._link.workers
        return status.Executor(
            kind="cluster",
            address=self._address,
            state=self._link.trouble or ("" if count_fit(present) else NO_WORKERS),
            workers=[self._describe(worker) for worker in present.values()],
            events=self._events.list(),
        )

    def _describe(self, worker: ClusterWorker) -> status.WorkerState:
        begun = [Running(one.tasks, one.since) for one in list(self._batches.values()) if one.worker == worker.name]
        return worker_state(worker.name, begun, host=worker.host, version=worker.version, other=worker.other)


def _wait_for_reply(sent: _Sent, future: Future[None]) -> Reply:
    """Wait until Dask says that a batch has ended; its reply is there before that.

    Raises:
        CancelledError: there is none, since the scheduler or the worker was lost.
        Exception: of Dask.
    """
    error = future.exception()  # `result` would fetch the nothing that the task returns
    if sent.reply:
        return sent.reply
    raise error or CancelledError("its reply was lost")
