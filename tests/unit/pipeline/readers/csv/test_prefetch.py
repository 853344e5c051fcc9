"""Work ahead of who asks: in order, with an error in its place."""

from threading import current_thread

import pytest

from pipeline.readers.prefetch import in_order


def items(count, error=None):
    yield from range(count)
    if error:
        raise error


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_results_are_in_order(count):
    assert list(in_order(lambda item: item * 2, items(count))) == [item * 2 for item in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_an_error_of_the_items_comes_after_the_results_before_it(count):
    results = in_order(lambda item: item, items(count, ValueError("no more")))
    assert [next(results) for _ in range(count)] == list(range(count))
    with pytest.raises(ValueError, match="no more"):
        next(results)


def test_an_error_of_the_work_comes_in_its_place():
    results = in_order(lambda item: 6 // (3 - item), items(9))
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_one_item_alone_takes_no_thread():
    assert list(in_order(lambda _: current_thread(), items(1))) == [current_thread()]
    assert current_thread() not in in_order(lambda _: current_thread(), items(2))
