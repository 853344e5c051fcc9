"""The pipeline as a program that starts in a blink, for tests that start it many times.

Each start is a fork of a server that has imported the program's libraries and done nothing else; it runs the same
`pipeline/__main__.py` as `python -m pipeline`, with an environment, arguments and outputs of its own.
"""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Prepare = Callable[[], object]

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "pipeline.dataset.draft",
        "pipeline.service.service",
        "pipeline.service.health",
        "lake.stores.local",
        "lake.stores.s3",
        "tests.support.dying",
    ]
)


@dataclass
class Program:
    """A pipeline that was started; `path` holds what it writes to stderr."""

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

    def stop(self) -> None:
        """Ask a program that is still there to end, which it must do cleanly."""
        if self.alive:
            self.signal(signal.SIGTERM)
            assert self.wait() == 0, self.log

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end and give its exit code; minus the number of the signal that ended it."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it did not end within {seconds} s:\n{self.log}"
        return self.process.exitcode


def start(
    arguments: tuple[str, ...], environ: Mapping[str, str], output: Path, errors: Path, prepare: Prepare | None = None
) -> Program:
    """Start `python -m pipeline …`; `prepare` is called in its process before anything else."""
    errors.touch()
    process = _FORKS.Process(target=_main, args=(arguments, environ, output, errors, prepare))
    process.start()
    return Program(process, errors)


def _main(
    arguments: tuple[str, ...], environ: Mapping[str, str], output: Path, errors: Path, prepare: Prepare | None
) -> None:
    os.environ.clear()
    os.environ.update(environ)
    for descriptor, path in ((1, output), (2, errors)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), descriptor)
    sys.argv = ["pipeline", *arguments]
    if prepare:
        prepare()
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
