"""What is wrong with a record or a file."""

from typing import NamedTuple

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
        """Give place and message in one line."""
        place = [f"line {self.line}" if self.line else "", f"column {self.column}" if self.column else ""]
        return ": ".join(part for part in (", ".join(filter(None, place)), self.message) if part)


class Refused(Exception):
    """The file as a whole cannot be loaded, and `problem` says why; it is tried again when it or the recipe changes."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem
