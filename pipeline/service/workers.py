"""The workers: take batches from the ledger, have an executor load them, and record every outcome in the ledger."""

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Condition
from typing import Literal, Self

from common.errors import StoreUnavailable
from common.logs import fields
from pipeline.model.task import NotReady
from pipeline.service.availability import wait_until_available
from pipeline.service.context import Pipeline
from pipeline.service.executor import BatchLost, BatchNotLoaded, ExecutorClosed, TaskBatch
from pipeline.service.fencing import know_outputs, without_conditions
from pipeline.service.lease import check_lake
from pipeline.service.outcomes import CHANGING_SECONDS, Origin, record_outcomes

STOP_SECONDS = 20.0  # that running loads have to end
MAX_BATCHES = 128  # at a time: each has a thread, which waits for the executor

log = logging.getLogger(__name__)


class Workers:
    """The batches that are loaded now: one thread each, which waits for the executor. Without workers, no thread."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._threads = ThreadPoolExecutor(MAX_BATCHES, "load") if pipeline.workers else None
        self._ended = Condition()  # of a batch: there is room for another
        self.running: set[str] = set()  # the first key of each batch

    def __enter__(self) -> Self:
        """Return the workers, none of which is busy."""
        return self

    def __exit__(self, *error: object) -> None:
        """Wait at most 20 s for the running loads; release the others, which the next start loads again."""
        deadline = time.monotonic() + STOP_SECONDS
        self.pipeline.executor.return_waiting()
        while self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._threads:
            self._threads.shutdown(wait=False)
        if self.running:
            self.pipeline.ledger.release_all()

    def start_next(self, wait: float) -> Literal["started", "full", "nothing"]:
        """Start to load the batch that has waited longest; otherwise wait so many seconds, and return the reason."""
        if self.pipeline.away.is_set():
            wait_until_available(self.pipeline)
            if not self.pipeline.stop.is_set():
                self.pipeline.end_outage()
        if not (room := self._wait_for_room(wait)):
            return "full" if self.running or self.pipeline.ledger.count_files("status = 'pending'") else "nothing"
        self.pipeline.wake.clear()
        self.pipeline.executor.wait_until_ready()  # before files are in flight: a kill meanwhile is no fault of theirs
        batch = self.pipeline.ledger.take(room if self._threads else 0, self.pipeline.pace)
        if not batch:
            self.pipeline.wake.wait(wait)
            return "nothing"
        self.running.add(batch[0].source_key)
        if self._threads:
            self._threads.submit(self._process, batch)
        else:
            self._process(batch)
        return "started"

    def _wait_for_room(self, seconds: float) -> int:
        """Return the executor's room if a batch more fits into it; 0 if none does after so many seconds."""
        with self._ended:
            fits = self._ended.wait_for(lambda: len(self.running) < self._places(), seconds)
        return self._places() if fits else 0

    def _places(self) -> int:
        return min(self.pipeline.executor.room(), MAX_BATCHES)

    def _process(self, batch: TaskBatch) -> None:
        try:
            process(self.pipeline, batch)
        except BaseException as error:
            self.pipeline.give_up(error)
        finally:
            with self._ended:
                self.running.discard(batch[0].source_key)
                self._ended.notify()
            self.pipeline.wake.set()
            self.pipeline.changed.set()


def process(pipeline: Pipeline, batch: TaskBatch) -> None:
    """Load a batch and record the outcome of each task; an error of one file does not keep the others."""
    began = time.monotonic()
    if not (batch := _make_ready(pipeline, _with_contracts(pipeline, batch, began), began)):
        return
    try:
        # Without conditional puts, the load has no conditions; the settling of its outcomes goes by the known outputs.
        loads = pipeline.executor.load(batch if pipeline.store.conditional_puts() else without_conditions(batch))
    except ExecutorClosed:  # at the end of the program, which has released the batch
        return
    except BatchNotLoaded:
        for task in batch:
            pipeline.ledger.release(task)
        return
    except BatchLost as loss:
        for key in pipeline.ledger.count_deaths(batch, str(loss)):
            log.error(fields("failed", key=key, error=f"the process that loaded this file and no other {loss}"))
        return
    pipeline.pace |= dict.fromkeys((task.dataset for task in batch), loads.seconds / len(batch))
    record_outcomes(pipeline, dict(zip(batch, loads.outcomes, strict=True)), Origin(loads.worker, began))


def _with_contracts(pipeline: Pipeline, batch: TaskBatch, began: float) -> TaskBatch:
    """Return the tasks of a batch that need not wait for their contract, which is there and not right yet."""
    wrong = pipeline.contracts.waiting if pipeline.contracts else {}
    waiting = {task: NotReady(wrong[task.dataset]) for task in batch if task.dataset in wrong}
    if waiting:
        record_outcomes(pipeline, waiting, Origin(str(os.getpid()), began))
    return [task for task in batch if task not in waiting]


def _make_ready(pipeline: Pipeline, batch: TaskBatch, began: float) -> TaskBatch:
    """Return the tasks of a batch that can be loaded now, with what their puts may replace; settle the others."""
    try:
        check_lake(pipeline.store, pipeline.ledger)  # so that nothing is loaded into a lake that was wiped
        fenced = pipeline.store.conditional_puts()
    except Exception as error:
        for task in batch:
            pipeline.ledger.release(task, harmless=True)
        if not isinstance(error, StoreUnavailable | PermissionError):
            raise
        pipeline.away.set()
        pipeline.stop.wait(CHANGING_SECONDS)  # a store may take a probe, and yet not be read
        return []
    if not fenced:
        return batch
    batch, errors = know_outputs(pipeline.store, batch)
    record_outcomes(pipeline, errors, Origin(str(os.getpid()), began))
    return batch
