"""Run work in threads ahead of its consumer, and yield the results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

THREADS = 2  # more of them found nothing to do: cutting before them and writing after them take as long

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `work(item)` for each item, in order, computed a few items ahead; a single item takes no thread.

    If the items end with an error, it is raised after the results of those before it.
    """
    ended: list[Exception] = []
    rest = _until_error(items, ended)
    first = list(islice(rest, 2))
    if len(first) < 2:
        yield from map(work, first)
    else:
        yield from _ahead(work, chain(first, rest))
    if ended:
        raise ended[0]


def _until_error(items: Iterable[Item], ended: list[Exception]) -> Iterator[Item]:
    try:
        yield from items
    except Exception as error:
        ended.append(error)


def _ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    ahead: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(THREADS, "read") as pool:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > THREADS:
                yield ahead.popleft().result()
        yield from (future.result() for future in ahead)
