"""Pipeline that ends as by `kill -9` exactly before or after a named step.

    python -m tests.support.dying --at 'put clean/' --before --nth 3 -- once

A step is a verb and what it is done to: `put`, `delete`, `open` and `list` of a key or prefix in the store, `stage` of
a file, the ledger's `take`, `commit`, `mark_unchanged`, `mark_missing`, `notice` and `adopt` of a source, `reconcile`
of the sweep, `rename` of a finished object into its place in a folder, and `sql` (before only) of a statement of the
ledger's.
"""

import argparse
import os
import runpy
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import lake.stores
import pipeline.ledger.reconcile
import pipeline.load.stage
from pipeline.ledger.ledger import Ledger
from pipeline.model.task import Task
from tests.support.program import prepare_workers


@dataclass
class Death:
    """Step at which a process ends: the `nth` one whose text begins with `at` and contains `key`.

    The first call, in the program, adds what its worker processes share with it: they call what they are sent again.
    """

    at: str
    when: Literal["before", "after"] = "before"
    key: str = ""
    nth: int = 1
    program: int = 0
    times: Any = None  # that the step was met, in the program and in its worker processes

    def __call__(self) -> None:
        """Arrange it in this process."""
        if not self.program:
            self.program, self.times = os.getpid(), get_context("forkserver").Value("i", 0)
        watch = _Watch(self)
        real = lake.stores.open_store
        lake.stores.open_store = lambda *given, **named: _Mortal(real(*given, **named), watch)
        pipeline.load.stage.write_load = watch.over(
            pipeline.load.stage.write_load, "stage", lambda given: given[1].source_key
        )
        pipeline.ledger.reconcile._apply_listings = watch.over(
            pipeline.ledger.reconcile._apply_listings, "reconcile", lambda _: ""
        )
        Ledger.commit = watch.over(Ledger.commit, "commit", lambda given: _keys(given[1]))
        for name in ("mark_unchanged", "mark_missing", "adopt"):
            setattr(Ledger, name, watch.over(getattr(Ledger, name), name, lambda given: given[1].source_key))
        Ledger.notice = watch.over(Ledger.notice, "notice", lambda given: given[1].key)
        Ledger.take = watch.over(Ledger.take, "take", lambda _: "", _keys)
        connect = sqlite3.connect
        sqlite3.connect = lambda *given, **named: watch.tracing(connect(*given, **named))
        Path.replace = watch.over(Path.replace, "rename", lambda given: str(given[1]))


def _keys(tasks: Iterable[Task]) -> str:
    return " ".join(task.source_key for task in tasks)


class _Watch:
    def __init__(self, death: Death) -> None:
        self.death = death

    def over(
        self,
        function: Callable[..., Any],
        verb: str,
        key: Callable[[tuple[Any, ...]], str],
        key_after: Callable[[Any], str] | None = None,
    ) -> Callable[..., Any]:
        """Return a function that does the same, and before and after it looks whether it is time to die."""

        @wraps(function)
        def watched(*given: Any, **named: Any) -> Any:
            self._look("before", f"{verb} {key(given)}")
            result = function(*given, **named)
            self._look("after", f"{verb} {key_after(result) if key_after else key(given)}")
            return result

        return watched

    def tracing(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Look before each statement of a connection."""
        connection.set_trace_callback(lambda statement: self._look("before", f"sql {statement.strip()}"))
        return connection

    def _look(self, when: str, step: str) -> None:
        death = self.death
        if when == death.when and step.startswith(death.at) and death.key in step:
            with death.times.get_lock():
                death.times.value += 1
                if death.times.value == death.nth:
                    where = "by itself" if os.getpid() == death.program else "in a worker process"
                    print(f"died {where}: {when} {step}", file=sys.stderr, flush=True)
                    os.kill(death.program, signal.SIGKILL)
                    time.sleep(60)  # a worker process ends with the program
                    raise AssertionError("it outlived the program")


class _Mortal:
    """Store whose process may end at any call."""

    def __init__(self, store: Any, watch: _Watch) -> None:
        self._store = store
        for verb in ("put", "delete", "open", "list"):
            setattr(self, verb, watch.over(getattr(store, verb), verb, lambda given: given[0]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def main() -> None:
    """Run `python -m pipeline` with a death in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--at", required=True)
    parser.add_argument("--before", action="store_const", const="before", dest="when", default="before")
    parser.add_argument("--after", action="store_const", const="after", dest="when")
    parser.add_argument("--key", default="")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("arguments", nargs="+", help="of `python -m pipeline`, after --")
    told = parser.parse_args()
    sys.argv = ["pipeline", *told.arguments]
    death = Death(told.at, told.when, told.key, told.nth)
    death()
    prepare_workers(death)
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    Death.__module__ = "tests.support.dying"  # under this name another process unpickles it
    sys.modules[Death.__module__] = sys.modules[__name__]
    main()
