"""Small files on every core: computed in processes beside this one, a file in each at a time.

A small file is hundreds of short calls that each let go of the interpreter's lock: threads that compute at once hand it
to each other 370 times a file instead of 20, and take half as long again. To compute has no effect but its result, so
what a process beside does not give is computed here; all that can be half done, store and ledger, stays here.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import Empty, LifoQueue

from pipeline.recipe import Dataset
from pipeline.stage import Record, Staged, stage

TURN_SECONDS = 0.5  # for one's turn: a transform that hangs holds up nobody else
ANSWER_SECONDS = 2.0  # for a process beside: one that takes longer is ended


class Cores:
    """The turns to compute a small file, each with a process beside, or with this one where there is none."""

    def __init__(self, datasets: Mapping[str, Dataset], processes: int = 0) -> None:
        """Begin with so many processes, which have `datasets` as they are now; forks, so no thread may run yet."""
        self._beside = [_Beside(datasets) for _ in range(processes)]
        self._turns: LifoQueue[_Beside | None] = LifoQueue()  # who was last has most of it in its caches
        for beside in self._beside:
            self._turns.put(beside)
        if not self._beside:
            self._turns.put(None)

    @contextmanager
    def turn(self) -> Iterator["_Beside | None"]:
        """Wait for a turn, though not long: with a process beside, or None for this one."""
        try:
            beside = self._turns.get(timeout=TURN_SECONDS)
        except Empty:
            yield None
            return
        try:
            yield beside
        finally:
            self._turns.put(beside if beside and beside.alive else None)

    def close(self) -> None:
        """End the processes beside."""
        for beside in self._beside:
            beside.end()


class _Beside:
    """A process that computes small files, until this one ends: then its pipe does."""

    def __init__(self, datasets: Mapping[str, Dataset]) -> None:
        # A fork has at once what takes a second to import, and shares the memory of it.
        forks = get_context("fork")
        self._pipe, theirs = forks.Pipe()
        self._process = forks.Process(target=_serve, args=(theirs, self._pipe, datasets), daemon=True)
        self._process.start()
        theirs.close()
        self.alive = True

    def stage(self, content: bytes, record: Record) -> Staged | None:
        """Compute the result of a file; None if it gives none, and then it is not to be asked again."""
        try:
            self._pipe.send((content, record))
            staged: Staged | None = self._pipe.recv() if self._pipe.poll(ANSWER_SECONDS) else None
        except (EOFError, OSError):
            staged = None
        if staged is None:
            self.end()
        return staged

    def end(self) -> None:
        """End it, whatever it does; who waits for its pipe learns of the end, so that is not closed under them."""
        self.alive = False
        self._process.kill()
        self._process.join()


def processes(workers: int) -> int:
    """Say how many there may be: as many as there are cores or loads at a time; one alone has nothing to wait for."""
    wanted = min(workers, os.cpu_count() or 1)
    return wanted if wanted > 1 and sys.platform == "linux" else 0  # elsewhere a fork is not safe


def _serve(pipe: Connection, parents: Connection, datasets: Mapping[str, Dataset]) -> None:
    """Compute what comes until the pipe ends; nothing for what cannot be computed."""
    parents.close()  # or the pipe never ends
    os.setsid()  # Ctrl-C is for the pipeline
    with suppress(EOFError, OSError):
        while True:
            content, record = pipe.recv()
            pipe.send(_staged(content, record, datasets))


def _staged(content: bytes, record: Record, datasets: Mapping[str, Dataset]) -> Staged | None:
    try:
        return stage(BytesIO(content), record, datasets[record.dataset], None)
    except Exception:  # it comes again where the file is computed then, and is told there
        return None
