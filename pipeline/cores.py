"""Small files on every core: loaded in processes beside this one, by each of them some at a time.

A small file is hundreds of short calls that each let go of the interpreter's lock: threads that load at once hand it
to each other 370 times a file instead of 20, and take half as long again. The ledger stays here: a process beside only
says what came of each file, and one that it cannot load, or dies of, is loaded here.
"""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import Empty, LifoQueue
from threading import Thread

from pipeline.load import NotAsked, NotYet, Outcome, SourceGone, Task
from storage import ObjectChanged, StoreUnavailable
from storage.console import fields

Tasks = Sequence[Task]
Load = Callable[[Tasks], list[Outcome | Exception]]
Outcomes = dict[Task, Outcome | Exception]  # of files that are not in it, nothing is known

PER_CORE = 4  # processes at most: each has some 20 MB of its own, and beyond two a core nothing was gained

log = logging.getLogger(__name__)

# Other errors are not told: the file is loaded here, where they come again with their traceback.
_TOLD = (SourceGone, NotAsked, NotYet, ObjectChanged, StoreUnavailable, PermissionError)
_PR_SET_PDEATHSIG = 1


class Closed(Exception):
    """The processes were ended in the middle of a load: it is not to be done here either."""


class Cores:
    """Processes that load files beside this one, until it ends or closes them."""

    def __init__(self, processes: int, load: Load) -> None:
        """Begin with so many, to `load` as things are now; they are forks, so no thread may run yet.

        What is open here they hold too, so also the lock of a state folder: nobody gets it before the last has ended.
        """
        self._closed = False
        self._all = [_Beside(load) for _ in range(processes)]
        self._idle: LifoQueue[_Beside] = LifoQueue()  # who was last has most of it in its caches
        for beside in self._all:
            self._idle.put(beside)

    def load(self, tasks: Tasks) -> Outcomes:
        """Load files as `load.load` does, but leave out those that it cannot, or all where no process is idle.

        Raises:
            Closed: it was ended before it could say what came of the files.
        """
        try:
            beside = self._idle.get_nowait()
        except Empty:
            return {}
        try:
            outcomes = beside.load(tasks)
        except Exception as error:
            beside.end()
            if self._closed:
                raise Closed from None
            keys = " ".join(task.source_key for task in tasks)
            said = {"keys": keys, "process": beside.pid, "error": repr(error)}
            log.warning(fields("process lost", **said, action="load them here"))
            return {}
        self._idle.put(beside)
        return outcomes

    def close(self) -> None:
        """End the processes, whatever they do."""
        self._closed = True
        for beside in self._all:
            beside.kill()
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
        self.pid = self._process.pid

    def load(self, tasks: Tasks) -> Outcomes:
        """Load files, but those that it cannot. Any error that is raised means that it is of no more use."""
        self._pipe.send(tasks)
        outcomes: Outcomes = self._pipe.recv()
        return outcomes

    def kill(self) -> None:
        """Let it end soon; who waits for its pipe learns of the end, so that is not closed under them."""
        self._process.kill()

    def end(self) -> None:
        """End it."""
        self.kill()
        self._process.join()


def processes(workers: int) -> int:
    """Say how many there may be: as many as there are loads at a time; one alone has nothing to wait for."""
    if workers < 2 or sys.platform != "linux":  # elsewhere a fork is not safe
        return 0
    return min(workers, PER_CORE * (os.cpu_count() or 1))


def _main(pipe: Connection, parent: int, load: Load) -> None:
    # No put outlives a pipeline that was killed; where that cannot be had, files are loaded there.
    if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0 or os.getppid() != parent:
        return
    os.setsid()  # Ctrl-C is for the pipeline
    serving = Thread(target=_serve, args=(pipe, load))  # in the main thread the store's client looks for signals
    serving.start()
    serving.join()


def _serve(pipe: Connection, load: Load) -> None:
    with suppress(EOFError, OSError):
        while True:
            tasks = pipe.recv()
            outcomes = zip(tasks, load(tasks), strict=True)
            pipe.send({task: one for task, one in outcomes if isinstance(one, _TOLD) or not isinstance(one, Exception)})
