"""Work in steps: one answer for all that ask at once, and an error for who made it."""

from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.load.steps import Steps, finish, in_step


def work(*asks: int) -> Steps[int, float, list[float]]:
    got = []
    for ask in asks:
        got += [(yield ask)]
    if not asks:
        raise KeyError("nothing")
    return got


def test_who_asks_at_the_same_step_is_answered_at_once():
    asked: list[list[int]] = []

    def halves(asks: Sequence[int]) -> list[float]:
        asked.append(list(asks))
        return [ask / 2 for ask in asks]

    first, second, third = in_step([work(1, 2, 3), work(), work(4)], halves)
    assert (first, third, repr(second)) == ([0.5, 1, 1.5], [2], "KeyError('nothing')")
    assert asked == [[1, 4], [2], [3]]


def test_what_has_no_answer_ends_who_asked_alone():
    def parts(asks: Sequence[int]) -> list[float]:
        return [1 / ask for ask in asks]

    results: list[Any] = in_step([work(1, 2), work(4, 0, 8), work(8, 8)], parts)
    assert (results[0], results[2]) == ([1, 0.5], [0.125, 0.125])
    assert isinstance(results[1], ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        finish(work(2, 0), parts)
    assert finish(work(2, 4), parts) == [0.5, 0.25]
