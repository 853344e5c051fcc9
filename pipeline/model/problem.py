"""Problems of a record or a file, and the bounds of every message."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from common.messages import shortened

VALUE_LIMIT = 4096  # characters of a value or record that a problem keeps


class Problem(NamedTuple):
    """One thing that is wrong: `rule` is a short fixed word, `message` a sentence to act on.

    `line` is the physical line where the record starts, None for the file as a whole.
    """

    rule: str
    message: str
    line: int | None = None
    column: str | None = None
    value: str | None = None
    raw: str | None = None

    def __str__(self) -> str:
        """Return place and message in one line."""
        column = f"column {shortened(self.column)}" if self.column else ""
        place = [f"line {self.line}" if self.line else "", column]
        return ": ".join(part for part in (", ".join(filter(None, place)), self.message) if part)


class Refused(Exception):
    """The file as a whole cannot be loaded; retried when the file or the fingerprint changes."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class TooManyRejects(Refused):
    """More records were rejected than the contract allows: the first of their problems, and the counts of all.

    Attributes:
        found: the first problems of the file.
        counts: all its problems, by rule and column.
    """

    def __init__(
        self, problem: Problem, found: Sequence[Problem], counts: Mapping[tuple[str, str | None], int]
    ) -> None:
        super().__init__(problem)
        self.found, self.counts = found, counts
