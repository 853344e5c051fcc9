"""Small files on every core: loaded in processes beside this one, by each of them one at a time.

A small file is hundreds of short calls that each let go of the interpreter's lock: threads that load at once hand it
to each other 370 times a file instead of 20, and take half as long again. The ledger stays here: a process beside only
says what came of a file, and one that it cannot load, or dies of, is loaded here.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import Empty, LifoQueue
from threading import Thread

from pipeline.load import Outcome, SourceGone, Task
from storage import ObjectChanged, StoreUnavailable

Load = Callable[[Task], Outcome]

_TOLD = (SourceGone, ObjectChanged, StoreUnavailable, PermissionError)  # others come again here, with their traceback
_PR_SET_PDEATHSIG = 1


class Cores:
    """Processes that load files beside this one, until it ends or closes them."""

    def __init__(self, processes: int, load: Load) -> None:
        """Begin with so many, to `load` as things are now; they are forks, so no thread may run yet.

        What is open here they hold too, so also the lock of a state folder: nobody gets it before the last has ended.
        """
        self._all = [_Beside(load) for _ in range(processes)]
        self._idle: LifoQueue[_Beside] = LifoQueue()  # who was last has most of it in its caches
        for beside in self._all:
            self._idle.put(beside)

    def load(self, task: Task) -> Outcome | None:
        """Load a file as `load.load` does, errors and all; None where no process is idle, or it could not."""
        try:
            beside = self._idle.get_nowait()
        except Empty:
            return None
        outcome = beside.load(task)
        if beside.alive:
            self._idle.put(beside)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        """End the processes, whatever they do."""
        for beside in self._all:
            beside.end()


class _Beside:
    """One process."""

    def __init__(self, load: Load) -> None:
        # A fork has at once what takes a second to import, and shares the memory of it.
        forks = get_context("fork")
        self._pipe, theirs = forks.Pipe()
        self._process = forks.Process(target=_main, args=(theirs, os.getpid(), load), daemon=True)
        self._process.start()
        theirs.close()
        self.alive = True

    def load(self, task: Task) -> Outcome | Exception | None:
        """Load a file; None if that could not be done here."""
        try:
            self._pipe.send(task)
            outcome: Outcome | Exception | None = self._pipe.recv()
        except (EOFError, OSError):
            self.end()
            return None
        return outcome

    def end(self) -> None:
        """End it; who waits for its pipe learns of the end, so that is not closed under them."""
        self.alive = False
        self._process.kill()
        self._process.join()


def processes(workers: int) -> int:
    """Say how many there may be: as many as there are loads at a time; one alone has nothing to wait for."""
    return workers if workers > 1 and sys.platform == "linux" else 0  # elsewhere a fork is not safe


def _main(pipe: Connection, parent: int, load: Load) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no put outlives a pipeline that was killed
    if os.getppid() != parent:
        return
    os.setsid()  # Ctrl-C is for the pipeline
    serving = Thread(target=_serve, args=(pipe, load))  # in the main thread the store's client looks for signals
    serving.start()
    serving.join()


def _serve(pipe: Connection, load: Load) -> None:
    with suppress(EOFError, OSError):
        while True:
            pipe.send(_outcome(load, pipe.recv()))


def _outcome(load: Load, task: Task) -> Outcome | Exception | None:
    try:
        return load(task)
    except _TOLD as error:
        return error
    except Exception:
        return None
