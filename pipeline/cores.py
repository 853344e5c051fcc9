"""A small file on each core: one in this process, the next beside it in processes of their own.

A small file is hundreds of short calls that each let go of the interpreter's lock: threads that compute at once hand it
to each other 370 times a file instead of 20, and take half as long again. So a process computes one file at a time. To
compute has no effect but its result: what a process beside does not give is computed here.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import Empty, PriorityQueue
from threading import Lock, Thread

from pipeline.memory import set_allocators
from pipeline.reader.source import Limits
from pipeline.recipe import Dataset, read_datasets
from pipeline.stage import Record, Staged, stage

TURN_SECONDS = 0.1  # for one's turn here: a transform that hangs holds up nobody else
ANSWER_SECONDS = 2.0  # for a process beside: one that takes longer is ended
WAITS = 20  # files that had to wait show that one core is not enough


class Cores:
    """The turns to compute a small file: the one of this process, and those of others once they are needed."""

    def __init__(self, others: int = 0) -> None:
        """Begin with this process's own turn; at most so many `others` are started."""
        self._others, self._waits, self._lock = others, 0, Lock()
        self._turns: PriorityQueue[tuple[int, _Beside | None]] = PriorityQueue()
        self._turns.put((0, None))
        self._started: list[_Beside] = []

    @contextmanager
    def turn(self, limits: Limits) -> Iterator["_Beside | None"]:
        """Wait for a turn, though not long: with a process beside, or None for this one."""
        if self._turns.empty():
            self._wanted(limits)
        try:
            number, beside = self._turns.get(timeout=TURN_SECONDS)
        except Empty:
            yield None
            return
        try:
            yield beside
        finally:
            if beside is None or beside.alive:
                self._turns.put((number, beside))

    def close(self) -> None:
        """Let the processes beside end."""
        with self._lock:  # nobody is about to start another
            self._others = 0
            for beside in self._started:
                beside.end()

    def _wanted(self, limits: Limits) -> None:
        with self._lock:
            self._waits += 1
            if self._waits % WAITS or not self._others:
                return
            self._others -= 1
            number = len(self._started) + 1
            self._started.append(beside := _Beside(limits))
        # It takes a second to import what it needs: nobody waits for that.
        Thread(target=self._add, args=(number, beside), daemon=True).start()

    def _add(self, number: int, beside: "_Beside") -> None:
        if beside.ready():
            self._turns.put((number, beside))


class _Beside:
    """A process that computes small files, until this one ends: then its pipe does."""

    def __init__(self, limits: Limits) -> None:
        self._pipe, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=Path(__file__).parents[1],
            start_new_session=True,  # Ctrl-C is for the pipeline
        )
        theirs.close()
        self._pipe.send(limits)
        self.alive = True

    def ready(self) -> bool:
        """Wait until it has what it needs; False if it will not."""
        try:
            return bool(self._pipe.recv())
        except (EOFError, OSError):
            self.end()
            return False

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
        self._process.wait()


def others(workers: int) -> int:
    """Say how many processes there may be beside this one: as many as there are cores for, or loads at a time."""
    return max(0, min(workers, os.cpu_count() or 1) - 1)


def _serve(pipe: Connection) -> None:
    """Compute what comes until the pipe ends; nothing for what is of another recipe by now, or cannot be computed."""
    set_allocators()
    datasets = read_datasets(limits=pipe.recv())
    pipe.send(True)
    while True:
        content, record = pipe.recv()
        pipe.send(_staged(content, record, datasets.get(record.dataset)))


def _staged(content: bytes, record: Record, dataset: Dataset | None) -> Staged | None:
    if dataset is None or dataset.recipe != record.recipe:
        return None
    try:
        return stage(BytesIO(content), record, dataset, None)
    except Exception:  # it comes again where the file is computed then, and is told there
        return None


if __name__ == "__main__":
    with suppress(EOFError, OSError):
        _serve(Connection(int(sys.argv[1])))
