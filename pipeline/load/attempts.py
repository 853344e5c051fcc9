"""Attempts: calls whose errors are results, until the store does not answer one of them."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from common.errors import StoreUnavailable
from pipeline.model.task import Skipped

P = ParamSpec("P")
T = TypeVar("T")


class Attempts:
    """Calls that return their result or their error. After one that the store did not answer, calls are skipped."""

    def __init__(self) -> None:
        self._unavailable = False

    def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Exception:
        """Call `call`, or return `Skipped`."""
        if self._unavailable:
            return Skipped()
        try:
            return call(*args, **kwargs)
        except Exception as error:
            self._unavailable = isinstance(error, StoreUnavailable)
            return error
