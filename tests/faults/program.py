"""The pipeline as a program that starts in a blink, for tests that start and kill it many times.

Each start is a fork of a server that has imported the program's libraries and done nothing else; it runs the same
`pipeline/__main__.py` as `python -m pipeline`, with an environment, arguments and an output of its own.
"""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.conftest import Lake

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["pipeline.draft", "pipeline.follow", "pipeline.health", "storage.local", "storage.s3", "tests.faults.dying"]
)


@dataclass
class Program:
    """A pipeline that was started; `path` holds what it writes to stdout and stderr."""

    process: Any
    path: Path

    @property
    def log(self) -> str:
        return self.path.read_text()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> int:
        """End it as a power cut would."""
        self.process.kill()
        return self.wait()

    def wait(self, seconds: float = 30) -> int:
        """Wait for its end and give its exit code; minus the number of the signal that ended it."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it did not end within {seconds} s:\n{self.log}"
        return self.process.exitcode


def start(lake: Lake, *arguments: str, prepare: Callable[[], None] | None = None, **variables: str) -> Program:
    """Start `python -m pipeline …`; `prepare` is called in its process before anything else."""
    path = lake.state.parent / "pipeline.log"
    path.touch()
    process = _FORKS.Process(target=_main, args=(arguments, {**lake.environ, **variables}, path, prepare))
    process.start()
    return Program(process, path)


def finish(
    lake: Lake, *arguments: str, prepare: Callable[[], None] | None = None, seconds: float = 60, **variables: str
) -> int:
    """Run `python -m pipeline …` to its end and give its exit code."""
    return start(lake, *arguments, prepare=prepare, **variables).wait(seconds)


@contextmanager
def running(lake: Lake, *, prepare: Callable[[], None] | None = None, **variables: str) -> Iterator[Program]:
    """Run `python -m pipeline run` while the block runs; it must stop cleanly when asked."""
    program = start(lake, "run", prepare=prepare, **variables)
    try:
        yield program
        if program.alive:
            program.signal(signal.SIGTERM)
            assert program.wait(25) == 0, program.log
    finally:
        if program.alive:
            program.kill()


def _main(
    arguments: tuple[str, ...], environ: Mapping[str, str], log: Path, prepare: Callable[[], None] | None
) -> None:
    os.environ.clear()
    os.environ.update(environ)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["pipeline", *arguments]
    if prepare:
        prepare()
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
