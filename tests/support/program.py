"""The pipeline as a program that starts in a blink, for tests that start it many times.

Each start is a fork of a server that has imported the program's libraries and done nothing else; it runs the same
`pipeline/__main__.py` as `python -m pipeline`, with an environment, arguments and outputs of its own. The program's
worker processes are forks of the same server: `prepare_workers` gives them what they would inherit otherwise.
"""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from pipeline.service import processes
from pipeline.service.executor import BatchSettings
from pipeline.service.fork_server import PRELOAD

Prepare = Callable[[], object]

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "pipeline.dataset.draft",
        "pipeline.service.service",
        "pipeline.service.health",
        *PRELOAD,
        "tests.support.dying",
    ]
)


@dataclass
class Program:
    """Pipeline that was started; `path` holds what it writes to stderr."""

    process: Any
    path: Path

    @property
    def log(self) -> str:
        return self.path.read_text()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def workers(self) -> list[int]:
        """Return the worker processes that are there, those that wait for their parent's word of their end left out."""
        path = self.path.with_suffix(".workers")
        started = [int(pid) for pid in path.read_text().split()] if path.exists() else []
        return [pid for pid in started if is_there(pid)]

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
    errors.with_suffix(".workers").write_text("")
    process = _FORKS.Process(target=_main, args=(arguments, environ, output, errors, prepare))
    process.start()
    return Program(process, errors)


def prepare_workers(*prepare: Prepare) -> None:
    """Have each worker process of this program call these before anything else; they must be picklable."""
    processes.start_process = partial(_start_process, prepare)


in_worker = False  # whether this process is a worker of a program


def _start_process(prepare: tuple[Prepare, ...], settings: BatchSettings) -> None:
    global in_worker  # noqa: PLW0603 (it is a fact of the whole process)
    in_worker = True
    for call in prepare:
        call()
    processes.start_process(settings)  # in the worker this is still the real one


def is_there(pid: int) -> bool:
    """Return whether a process runs or is stopped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _main(
    arguments: tuple[str, ...], environ: Mapping[str, str], output: Path, errors: Path, prepare: Prepare | None
) -> None:
    _inherit(environ, output, errors)
    # This process has a server: another one would import all libraries, and nothing would be forked from it.
    forkserver.ensure_running = forkserver._forkserver.ensure_running = lambda: None
    sys.argv = ["pipeline", *arguments]
    inherit = partial(_inherit, environ, output, errors, worker=True)
    if prepare:
        prepare()
        prepare_workers(inherit, prepare)
    else:
        prepare_workers(inherit)
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)


def _inherit(environ: Mapping[str, str], output: Path, errors: Path, *, worker: bool = False) -> None:
    """Return a process the environment and the outputs of its program."""
    os.environ.clear()
    os.environ.update(environ)
    for descriptor, path in ((1, output), (2, errors)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), descriptor)
    if worker:
        with errors.with_suffix(".workers").open("a") as file:
            file.write(f"{os.getpid()}\n")
