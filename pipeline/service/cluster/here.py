"""Executor of the pipeline's own machine, from which a cluster takes over."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from pipeline.service.executor import Executor


class Here:
    """The executor of this machine: used until the first answer of a scheduler, and closed after its last load."""

    def __init__(self, executor: Executor) -> None:
        self.executor, self.used = executor, True
        self._loads, self._lock = 0, Lock()

    @contextmanager
    def one_load(self) -> Iterator[Executor | None]:
        """Yield the executor for one load; None if it is not used any more."""
        with self._lock:
            here = self.executor if self.used else None
            self._loads += bool(here)
        try:
            yield here
        finally:
            if here:
                with self._lock:
                    self._loads -= 1
                self._close_unused()

    def leave(self) -> None:
        """Use the executor for no other load."""
        with self._lock:
            self.used = False
        self._close_unused()

    def _close_unused(self) -> None:
        if not self.used and not self._loads:
            self.executor.close()
