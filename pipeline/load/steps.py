"""Work that stops on its way for answers, so that what several ask for at the same step can be found in one go.

A small file is hundreds of short calls, whatever its size. Here each step of all is taken before the next one: what the
processor needs for it is in its caches when it has just taken it for another, and what they ask for takes one call.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TypeVar

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")
Result = TypeVar("Result")
Steps = Generator[Ask, Answer, Result]  # it yields what it asks for, is sent the answer, and returns what came of it
Answers = Callable[[Sequence[Ask]], Sequence[Answer | Exception]]


def finish(steps: Steps[Ask, Answer, Result], answer: Answers[Ask, Answer]) -> Result:
    """Take all steps, and give what came of them."""
    [result] = in_step([steps], answer)
    if isinstance(result, Exception):
        raise result
    return result


def in_step(together: Iterable[Steps[Ask, Answer, Result]], answer: Answers[Ask, Answer]) -> list[Result | Exception]:
    """Take each step of all before the next one, and give what came of each: an error ends that one alone."""
    results: dict[int, Result | Exception] = {}
    ahead = dict(enumerate(together))
    answers: dict[int, Answer | Exception | None] = dict.fromkeys(ahead)  # a generator is begun with None
    while ahead:
        asks = {}
        for number, steps in ahead.items():
            given = answers[number]
            try:
                asks[number] = steps.throw(given) if isinstance(given, Exception) else steps.send(given)  # type: ignore[arg-type]
            except StopIteration as end:
                results[number] = end.value
            except Exception as error:
                results[number] = error
        ahead = {number: ahead[number] for number in asks}
        answers = dict(zip(asks, _answers(list(asks.values()), answer), strict=True))
    return [results[number] for number in sorted(results)]


def _answers(asks: Sequence[Ask], answer: Answers[Ask, Answer]) -> Sequence[Answer | Exception]:
    """Answer all at once; where that fails one by one, for the error is that of one alone."""
    try:
        return answer(asks) if asks else []
    except Exception as error:
        return [error] if len(asks) == 1 else [one for ask in asks for one in _answers([ask], answer)]
