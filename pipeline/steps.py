"""Work in steps, so that several files can go through each step one after the other.

A step is hundreds of short calls, and what the processor needs for them is in its caches when it has just taken the
same step for another file: small files staged so take a sixth less time than one by one.
"""

from collections.abc import Generator, Iterable
from typing import TypeVar

Result = TypeVar("Result")
Steps = Generator[None, None, Result]  # it yields between two steps, and returns what came of them


def finish(steps: Steps[Result]) -> Result:
    """Take all steps, and give what came of them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def in_step(together: Iterable[Steps[Result]]) -> list[Result | Exception]:
    """Take each step of all before the next one, and give what came of each: an error ends that one alone."""
    ahead = dict(enumerate(together))
    results: dict[int, Result | Exception] = {}
    while ahead:
        for number, steps in list(ahead.items()):
            try:
                next(steps)
            except StopIteration as end:
                results[number] = end.value
            except Exception as error:
                results[number] = error
            if number in results:
                del ahead[number]
    return [results[number] for number in sorted(results)]
