"""Small files on every core: loaded in processes beside this one, by each of them some at a time.

A small file is hundreds of short calls that each let go of the interpreter's lock: threads that load at once hand it
to each other 370 times a file instead of 20, and take half as long again. The ledger stays here: a process beside only
says what came of each file, and one that it cannot load is loaded here. One that dies is replaced: a process that has
done nothing else, and has no threads, forks them all.
"""

import ctypes
import logging
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, Pipe
from queue import Empty, LifoQueue
from threading import Lock, Thread
from typing import NoReturn

from common.errors import StoreUnavailable
from common.logs import fields
from lake.stores.base import ObjectChanged
from pipeline.model.task import NotReady, Outcome, Skipped, SourceGone, Task

Tasks = Sequence[Task]
Load = Callable[[Tasks], list[Outcome | Exception]]
Outcomes = dict[Task, Outcome | Exception]  # of files that are not in it, nothing is known

PER_CORE = 4  # processes at most: each has some 20 MB of its own, and beyond two a core nothing was gained
PATIENCE = 10.0  # seconds, in which a process is forked, or ended

log = logging.getLogger(__name__)

# Other errors are not told: the file is loaded here, where they come again with their traceback.
_TOLD = (SourceGone, Skipped, NotReady, ObjectChanged, StoreUnavailable, PermissionError)
_PR_SET_PDEATHSIG = 1
_REQUEST, _REPLY = struct.Struct("i"), struct.Struct("ii")  # the process that has ended; its exit code, the new one


class Closed(Exception):
    """The processes were ended in the middle of a load: it is not to be done here either."""


class Died(Exception):
    """A process beside died of a load, and says how: so would this one, if it did the same."""


class Cores:
    """Processes that load files beside this one, until it ends or closes them."""

    def __init__(self, processes: int, load: Load) -> None:
        """Begin with so many, to `load` as things are now; they are forks, so no thread may run yet.

        What is open here they hold too, so also the lock of a state folder: nobody gets it before the last has ended.
        """
        self._closed = False
        self._idle: LifoQueue[_Beside] = LifoQueue()  # who was last has most of it in its caches
        self._forker = _Forker(load) if processes else None
        for _ in range(processes):
            self._replace(None)

    def load(self, tasks: Tasks) -> Outcomes:
        """Load files as `load.load` does, but leave out those that it cannot, or all where no process is idle.

        Raises:
            Died: the process ended before it could say what came of the files.
            Closed: it was ended on purpose.
        """
        if not self._forker:  # without this, a debugger that stops at every exception stops here at every load
            return {}
        try:
            beside = self._idle.get_nowait()
            while beside.has_ended():
                seen = self._replace(beside)
                log.warning(fields("process lost", process=beside.pid, error=seen, action="none was waiting for it"))
                beside = self._idle.get_nowait()
        except Empty:
            return {}
        keys = " ".join(task.source_key for task in tasks)
        try:
            outcomes = beside.load(tasks)
        except OSError:  # and the end of its pipe
            seen = "" if self._closed else self._replace(beside)
            if self._closed:
                raise Closed from None
            log.warning(
                fields("process lost", keys=keys, process=beside.pid, error=seen, action="each runs again alone")
            )
            raise Died(seen) from None
        except Exception as error:
            log.warning(fields("process not understood", keys=keys, error=repr(error), action="load them here"))
            outcomes = {}
        self._idle.put(beside)
        return outcomes

    def _replace(self, ended: "_Beside | None") -> str:
        """Begin a process, in the place of one that has ended, and say how that was."""
        try:
            assert self._forker
            seen, beside = self._forker.fork(ended.pid if ended else 0)
        except (OSError, EOFError) as error:
            if not self._closed:
                log.warning(fields("no process beside", error=repr(error), action="load small files here"))
            return "ended"
        self._idle.put(beside)
        return seen

    def close(self) -> None:
        """End the processes, whatever they do."""
        self._closed = True
        if self._forker:
            self._forker.end()


class _Beside:
    """One process, at the other end of a pipe."""

    def __init__(self, pid: int, pipe: Connection) -> None:
        self.pid, self._pipe = pid, pipe

    def has_ended(self) -> bool:
        """Return whether it ended while it was idle: it says nothing unasked."""
        return self._pipe.poll()

    def load(self, tasks: Tasks) -> Outcomes:
        """Load files, but those that it cannot; `OSError` or `EOFError` if it ends."""
        try:
            self._pipe.send(tasks)
            outcomes: Outcomes = self._pipe.recv()
        except EOFError as error:
            raise ConnectionResetError from error
        return outcomes


class _Forker:
    """The process that forks the others."""

    def __init__(self, load: Load) -> None:
        # A fork has at once what takes a second to import, and shares the memory of it.
        self._asking = Lock()
        self._control, theirs = socket.socketpair()
        self._control.settimeout(PATIENCE)
        arguments = (theirs, self._control, os.getpid(), load)
        self._process = get_context("fork").Process(target=_fork_for, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def fork(self, ended: int) -> tuple[str, _Beside]:
        """Fork a process, and say how another one ended, if that is not 0; `OSError` or `EOFError` if it cannot."""
        with self._asking:
            self._control.sendall(_REQUEST.pack(ended))
            reply, pipes, *_ = socket.recv_fds(self._control, _REPLY.size, 1)
        if not pipes:
            raise EOFError("the process that forks the others has ended")
        code, pid = _REPLY.unpack(reply)
        return _said(code), _Beside(pid, Connection(pipes[0]))

    def end(self) -> None:
        """End it and all others; who waits for the pipe of one learns of the end."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._process.join(PATIENCE)
        self._process.kill()
        self._process.join()
        with self._asking:
            self._control.close()


def _said(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    hint = " (is memory short?)" if -code == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-code).name}{hint}"


def processes(workers: int) -> int:
    """Say how many there may be: as many as there are loads at a time; one alone has nothing to wait for."""
    if workers < 2 or sys.platform != "linux":  # elsewhere a fork is not safe
        return 0
    return min(workers, PER_CORE * (os.cpu_count() or 1))


def _fork_for(control: socket.socket, theirs: socket.socket, parent: int, load: Load) -> None:
    """Fork processes as long as they are asked for, then end them."""
    theirs.close()
    if not _ends_with(parent):
        return
    os.setsid()  # Ctrl-C is for the pipeline
    forker, running = os.getpid(), set[int]()
    while request := control.recv(_REQUEST.size):
        [ended] = _REQUEST.unpack(request)
        code = _end(ended) if ended in running else 0
        running.discard(ended)
        pipe, far = Pipe()
        if not (pid := os.fork()):
            control.close()
            far.close()
            _main(pipe, forker, load)
        running.add(pid)
        pipe.close()
        socket.send_fds(control, [_REPLY.pack(code, pid)], [far.fileno()])
        far.close()
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    for pid in running:
        _end(pid)


def _end(pid: int) -> int:
    """Wait for the end of a process whose pipe is closed, which may be later, and give its exit code."""
    deadline = time.monotonic() + PATIENCE / 2
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(found[1])


def _ends_with(parent: int) -> bool:
    """End with the parent: no put outlives a pipeline that was killed. Where that cannot be had, load nothing."""
    return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) == 0) and os.getppid() == parent


def _main(pipe: Connection, parent: int, load: Load) -> NoReturn:
    if _ends_with(parent):
        serving = Thread(target=_serve, args=(pipe, load))  # in the main thread the store's client looks for signals
        serving.start()
        serving.join()
    os._exit(0)


def _serve(pipe: Connection, load: Load) -> None:
    with suppress(EOFError, OSError):
        while True:
            tasks = pipe.recv()
            try:
                outcomes = zip(tasks, load(tasks), strict=True)
                pipe.send({one: of for one, of in outcomes if isinstance(of, _TOLD) or not isinstance(of, Exception)})
            except OSError:
                raise
            except Exception:
                log.exception("not told")
                pipe.send({})
