"""The executor of one machine: a process for each worker, replaced when it ends, and ended with the pipeline.

A small file takes hundreds of short calls that each release the interpreter's lock. Threads of one process that load at
once would pass the lock to each other all the time, and need half as long again.
"""

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import LifoQueue
from threading import Event, Lock, Thread
from typing import Any

from common.logs import fields
from lake import status
from pipeline.dataset.definition import Definition
from pipeline.service.executor import (
    BatchLost,
    BatchSettings,
    Events,
    ExecutorClosed,
    Loads,
    Outcomes,
    Running,
    TaskBatch,
    load_batch,
    worker_state,
)
from pipeline.service.fork_server import start_method
from pipeline.service.worker_process import serve, start_process

BATCH_SECONDS = 60.0  # that several small files may take together: they are expected to take one
SIZE_OF_LIMIT = 100 << 20  # bytes of a file, for each of which it may take its limit of seconds once more
START_SECONDS = 60.0  # that a process may take to prepare itself
EXIT_SECONDS = 10.0  # from the end of a process's pipe to its own end
NO_PROCESS = "No process could be started, and files wait until one is. The log has the reason."
PAUSES = (0.2, 30.0)  # seconds until a process that did not start is started again: the first and the longest

Answer = Callable[[BatchSettings, Any], Any]

log = logging.getLogger(__name__)


class ProcessExecutor:
    """Loads each batch in one of so many processes.

    Args:
        seconds: that a file which is loaded by itself may take, and again for each 100 MiB of it; 0: no limit.
    """

    def __init__(self, settings: BatchSettings, processes: int, seconds: float = 0.0) -> None:
        self._settings, self._seconds = settings, seconds
        self._closed, self._started, self._events = Event(), Event(), Events()
        self._slots = [Slot(settings, self._closed) for _ in range(processes)]
        self._idle: LifoQueue[Slot] = LifoQueue()  # the last one used has the most in the processor's caches
        for slot in self._slots:
            self._idle.put(slot)
        Thread(target=self._start, name="start processes", daemon=True).start()

    def _start(self) -> None:
        """Start all processes now, while nothing waits for one."""
        try:
            for slot in self._slots:
                slot.start()
            for slot in self._slots:
                slot.ready()
        except (OSError, EOFError, ExecutorClosed):
            pass  # the first load starts it again, and logs why it cannot
        finally:
            self._started.set()

    def room(self) -> int:
        """Return the number of processes: each loads one batch at a time."""
        return len(self._slots)

    def renew(self, definitions: Iterable[Definition], fingerprints: Mapping[str, str]) -> None:  # noqa: ARG002
        """Load by these datasets from now on: each process is replaced before its next batch; see `Executor.renew`."""
        self._settings = replace(self._settings, definitions=tuple(definitions))

    def wait_until_ready(self) -> None:
        """Wait until the processes have started, or could not."""
        self._started.wait()

    def load(self, batch: TaskBatch) -> Loads:
        """Load a batch in an idle process; see `Executor.load`."""
        self._started.wait()
        slot = self._idle.get()
        try:
            slot.renew(self._settings)
            self._restart(slot)
            began = time.monotonic()
            outcomes = slot.load(batch, limit := self._limit(batch))
            return Loads(outcomes, str(slot.pid), time.monotonic() - began)
        except TimeoutError:
            slot.end(kill=True)
            raise self._lost(slot, batch, f"took longer than {limit:,.0f} s and was ended") from None
        except (OSError, EOFError):
            raise self._lost(slot, batch, slot.end()) from None
        finally:
            self._idle.put(slot)

    def _limit(self, batch: TaskBatch) -> float | None:
        if len(batch) > 1:
            return BATCH_SECONDS
        return self._seconds * (1 + batch[0].size // SIZE_OF_LIMIT) or None

    def _lost(self, slot: "Slot", batch: TaskBatch, how: str) -> Exception:
        if self._closed.is_set():
            return ExecutorClosed()
        keys = " ".join(task.source_key for task in batch)
        log.warning(fields("process lost", keys=keys, worker=slot.pid, error=how, action="each runs again by itself"))
        self._events.add(f"process {slot.pid} {how}", batch)
        return BatchLost(how)

    def _restart(self, slot: "Slot") -> None:
        """Start a slot's process if it has ended; what keeps it from starting is no fault of the batch."""
        if slot.has_ended():
            action = "start another: it was idle"
            log.warning(fields("process lost", worker=slot.pid, error=(how := slot.end()), action=action))
            self._events.add(f"process {slot.pid}, which was idle, {how}")
        pause = PAUSES[0]
        while not slot.ready():
            if self._closed.is_set():
                raise ExecutorClosed
            log.warning(fields("no process", error=slot.end(), action="start it again"))
            self._closed.wait(pause)
            pause = min(2 * pause, PAUSES[1])

    def describe(self) -> status.Executor:
        """Return the processes and what they load now; see `Executor.describe`."""
        workers = [worker_state(str(slot.pid), slot.running) for slot in self._slots if slot.has_process]
        state = "" if workers or not self._started.is_set() else NO_PROCESS
        return status.Executor(kind="processes", state=state, workers=workers, events=self._events.list())

    def return_waiting(self) -> None:
        """Do nothing: each load begins at once, for there are as many processes as loads."""

    def close(self) -> None:
        """End all processes, whatever they do."""
        self._closed.set()
        for slot in self._slots:
            slot.end(kill=True)


class Slot:
    """Room for one process, and the pipe to it.

    Args:
        settings: of the process.
        closed: no process is started any more.
        answer: what the process does with each message; by default it loads a batch.
    """

    # Starting a process asks multiprocessing for the ends of all others, and of two that ask at once one gets none.
    _lock = Lock()

    def __init__(self, settings: BatchSettings, closed: Event, answer: Answer | None = None) -> None:
        self._settings, self._closed, self._answer = settings, closed, answer
        self._process: BaseProcess | None = None
        self._pipe: Connection
        self._ready = False
        self.pid: int | None = None
        self.running: list[Running] = []

    @property
    def has_process(self) -> bool:
        """True where a process was started and is not known to have ended."""
        return self._process is not None

    def start(self) -> None:
        """Start the process if there is none; `OSError` or `EOFError` where that cannot be."""
        with self._lock:
            if self._process:
                return
            if self._closed.is_set():
                raise ExecutorClosed
            answer = self._answer or load_batch
            context: Any = multiprocessing.get_context(start_method())
            self._pipe, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, start_process, answer, self._settings))
            process.start()
            theirs.close()
            self._process, self._ready, self.pid = process, False, process.pid

    def renew(self, settings: BatchSettings) -> None:
        """End an idle process that has other settings than these, which the next one gets."""
        if settings != self._settings:
            self.end(kill=True)
            self._settings = settings

    def ready(self) -> bool:
        """Wait until the process has prepared itself; False if it ended or hangs over that, or did not start."""
        try:
            self.start()
            if not self._ready:
                if not self._pipe.poll(START_SECONDS):
                    return False
                self._pipe.recv()
        except (OSError, EOFError):
            return False
        self._ready = True
        return True

    def has_ended(self) -> bool:
        """Return whether the process ended while it was idle: it sends nothing by itself, so its pipe was closed."""
        with self._lock:
            return self._process is not None and self._ready and self._pipe.poll()

    def load(self, batch: TaskBatch, seconds: float | None) -> Outcomes:
        """Send a batch and return its outcomes; `TimeoutError` after `seconds`, `EOFError` if the process ends."""
        self.running = [Running(batch, datetime.now(UTC))]
        try:
            outcomes: Outcomes = self.ask(batch, seconds)
            return outcomes
        finally:
            self.running = []

    def ask(self, message: Sequence[Any], seconds: float | None) -> Any:
        """Send a message and return the answer, as `load` does with a batch."""
        self._pipe.send(message)
        if not self._pipe.poll(seconds):
            raise TimeoutError
        return self._pipe.recv()

    def end(self, *, kill: bool = False) -> str:
        """Wait for the end of the process, kill it where that takes too long, and return how it ended."""
        with self._lock:
            if not (process := self._process):
                return "it did not start"
            if not kill:
                process.join(EXIT_SECONDS)
            process.kill()
            process.join()
            self._process = None  # its pipe stays open: another thread may be about to read it
            return _way(process.exitcode or 0)


def _way(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    hint = " (is memory short?)" if -code == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-code).name}{hint}"
