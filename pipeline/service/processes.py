"""The executor of one machine: a process for each worker, replaced when it ends, and ended with the pipeline.

A small file takes hundreds of short calls that each release the interpreter's lock. Threads of one process that load at
once would pass the lock to each other all the time, and need half as long again.
"""

import faulthandler
import fcntl
import gc
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import get_temp_dir
from queue import LifoQueue
from threading import Event, Lock, Thread
from typing import Any

from common.logs import configure_logging, fields
from pipeline.service.allocators import set_allocators
from pipeline.service.executor import (
    Batch,
    BatchLost,
    BatchSettings,
    ExecutorClosed,
    LoadFailed,
    Outcomes,
    load_batch,
    opened,
    portable,
)
from pipeline.service.state_folder import share_lock

BATCH_SECONDS = 60.0  # that several small files may take together: they are expected to take one
SIZE_OF_LIMIT = 100 << 20  # bytes of a file, for each of which it may take its limit of seconds once more
EXIT_SECONDS = 10.0  # from the end of a process's pipe to its own end
PAUSES = (0.2, 30.0)  # seconds until a process that did not start is started again: the first and the longest
TEMPORARY_BYTES = 70  # of the path of TMPDIR, below which a socket's own name still fits
PRELOAD = ["pipeline.service.processes", "lake.stores.local", "lake.stores.s3", "pandas"]

_F_SETSIG = getattr(fcntl, "F_SETSIG", 10)

log = logging.getLogger(__name__)


def start_fork_server() -> None:
    """Start the process that forks the workers; it imports what they need while the caller goes on."""
    if _method() == "forkserver":
        _shorten_socket_path()
        forkserver.set_forkserver_preload(PRELOAD)
        forkserver.ensure_running()


@contextmanager
def fork_server() -> Iterator[None]:
    """Run a block beside the fork server; remove its sockets at the end, which the program's quick exit would leave."""
    start_fork_server()
    try:
        yield
    finally:
        if not multiprocessing.parent_process():  # otherwise the folder is the parent's
            shutil.rmtree(get_temp_dir(), ignore_errors=True)


def _shorten_socket_path() -> None:
    """Have multiprocessing make its sockets in /tmp where TMPDIR is too deep: a socket's path has 107 bytes at most."""
    if len(os.fsencode(tempfile.gettempdir())) > TEMPORARY_BYTES:
        before, tempfile.tempdir = tempfile.tempdir, "/tmp"  # noqa: S108 (a folder of its own is made in it)
        try:
            get_temp_dir()  # which it keeps for this process
        finally:
            tempfile.tempdir = before


def _method() -> str:
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


class ProcessExecutor:
    """Loads each batch in one of so many processes.

    Args:
        seconds: that a file which is loaded by itself may take, and again for each 100 MiB of it; 0: no limit.
    """

    def __init__(self, settings: BatchSettings, processes: int, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._closed, self._started = Event(), Event()
        self._slots = [_Slot(settings, self._closed) for _ in range(processes)]
        self._idle: LifoQueue[_Slot] = LifoQueue()  # the last one used has the most in the processor's caches
        for slot in self._slots:
            self._idle.put(slot)
        Thread(target=self._start, name="start processes", daemon=True).start()

    def _start(self) -> None:
        """Start all processes now: one that starts later would read contracts and transforms that were edited."""
        try:
            for slot in self._slots:
                slot.start()
            for slot in self._slots:
                slot.ready()
        except (OSError, EOFError, ExecutorClosed):
            pass  # the first load starts it again, and logs why it cannot
        finally:
            self._started.set()

    def wait_until_ready(self) -> None:
        """Wait until the processes have started, or could not."""
        self._started.wait()

    def load(self, batch: Batch) -> Outcomes:
        """Load a batch in an idle process; see `Executor.load`."""
        self._started.wait()
        slot = self._idle.get()
        try:
            self._restart(slot)
            return slot.load(batch, limit := self._limit(batch))
        except TimeoutError:
            slot.end(kill=True)
            raise self._lost(slot, batch, f"took longer than {limit:,.0f} s and was ended") from None
        except (OSError, EOFError):
            raise self._lost(slot, batch, slot.end()) from None
        finally:
            self._idle.put(slot)

    def _limit(self, batch: Batch) -> float | None:
        if len(batch) > 1:
            return BATCH_SECONDS
        return self._seconds * (1 + batch[0].size // SIZE_OF_LIMIT) or None

    def _lost(self, slot: "_Slot", batch: Batch, how: str) -> Exception:
        if self._closed.is_set():
            return ExecutorClosed()
        keys = " ".join(task.source_key for task in batch)
        log.warning(fields("process lost", keys=keys, process=slot.pid, error=how, action="each runs again by itself"))
        return BatchLost(how)

    def _restart(self, slot: "_Slot") -> None:
        """Start a slot's process if it has ended; what keeps it from starting is no fault of the batch."""
        if slot.has_ended():
            action = "start another: it was idle"
            log.warning(fields("process lost", process=slot.pid, error=slot.end(), action=action))
        pause = PAUSES[0]
        while not slot.ready():
            if self._closed.is_set():
                raise ExecutorClosed
            log.warning(fields("no process", error=slot.end(), action="start it again"))
            self._closed.wait(pause)
            pause = min(2 * pause, PAUSES[1])

    def close(self) -> None:
        """End all processes, whatever they do."""
        self._closed.set()
        for slot in self._slots:
            slot.end(kill=True)


class _Slot:
    """Room for one process, and the pipe to it."""

    # Starting a process asks multiprocessing for the ends of all others, and of two that ask at once one gets none.
    _lock = Lock()

    def __init__(self, settings: BatchSettings, closed: Event) -> None:
        self._settings, self._closed = settings, closed
        self._process: BaseProcess | None = None
        self._pipe: Connection
        self._ready = False
        self.pid: int | None = None

    def start(self) -> None:
        """Start the process if there is none; `OSError` or `EOFError` where that cannot be."""
        with self._lock:
            if self._process:
                return
            if self._closed.is_set():
                raise ExecutorClosed
            context: Any = multiprocessing.get_context(_method())
            self._pipe, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, start_process, load_batch, self._settings))
            process.start()
            theirs.close()
            self._process, self._ready, self.pid = process, False, process.pid

    def ready(self) -> bool:
        """Wait until the process has prepared itself; False if it ended over that, or did not start."""
        try:
            self.start()
            if not self._ready:
                self._pipe.recv()
        except (OSError, EOFError):
            return False
        self._ready = True
        return True

    def has_ended(self) -> bool:
        """Return whether the process ended while it was idle: it sends nothing by itself, so its pipe was closed."""
        with self._lock:
            return self._process is not None and self._ready and self._pipe.poll()

    def load(self, batch: Batch, seconds: float | None) -> Outcomes:
        """Send a batch and return its outcomes; `TimeoutError` after `seconds`, `EOFError` if the process ends."""
        self._pipe.send(batch)
        if not self._pipe.poll(seconds):
            raise TimeoutError
        outcomes: Outcomes = self._pipe.recv()
        return outcomes

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


def _serve(
    pipe: Connection,
    start: Callable[[BatchSettings], None],
    load: Callable[[BatchSettings, Batch], Outcomes],
    settings: BatchSettings,
) -> None:
    """Load the batches that come through the pipe: the main function of a worker process."""
    start(settings)
    pipe.send("ready")
    # Not in the main thread: there the store's client checks for signals at every call.
    answering = Thread(target=_answer, args=(pipe, load, settings))
    answering.start()
    answering.join()
    os._exit(0)


def _answer(pipe: Connection, load: Callable[[BatchSettings, Batch], Outcomes], settings: BatchSettings) -> None:
    while True:
        batch = pipe.recv()
        try:
            outcomes = load(settings, batch)
        except Exception as error:
            outcomes = [portable(error)] * len(batch)
        try:
            pipe.send(outcomes)
        except (TypeError, AttributeError, ValueError) as error:  # of pickle, which has sent nothing yet
            pipe.send([LoadFailed(f"the outcome cannot be sent: {error!r}")] * len(batch))


def start_process(settings: BatchSettings) -> None:
    """Prepare a worker process for its batches."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # they are for the pipeline, which ends its workers
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    share_lock(settings.staging.parent)
    end_with_parent()
    configure_logging()
    set_allocators()
    opened(settings)
    gc.freeze()  # all of it stays: a search through it for garbage would hold up every load


def end_with_parent() -> None:
    """Have the kernel kill this process when the pipeline ends, be it by kill -9, and even if this one is stopped.

    The pipeline alone holds the other end of the sentinel's pipe. When that is closed, the kernel signals who waits for
    news of this end; the signal is SIGKILL here. Elsewhere than on Linux a thread waits for it.
    """
    parent = multiprocessing.parent_process()
    assert parent
    if sys.platform == "linux":
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(parent.sentinel, _F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    else:
        Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    if not parent.is_alive():
        os._exit(1)
