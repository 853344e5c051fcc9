"""Fence the loads of a batch: each put may replace only what was there when its task was given away."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial

from lake.layout import clean_key, rejected_key
from lake.stores.base import STATS, ObjectStore
from pipeline.model.task import Task


def know_outputs(store: ObjectStore, batch: Sequence[Task]) -> tuple[list[Task], dict[Task, Exception]]:
    """Look up the outputs that the ledger does not know, as after an attempt that ended between two puts.

    Returns:
        The tasks, all of which know their outputs now, and the errors of those whose outputs could not be looked up.
    """
    if all(task.clean_etag is not None for task in batch):
        return list(batch), {}
    looked_up = dict(zip(batch, _pool().map(partial(_know_outputs, store), batch), strict=True))
    known = [task for task in looked_up.values() if isinstance(task, Task)]
    return known, {task: error for task, error in looked_up.items() if isinstance(error, Exception)}


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads that ask the store, for all batches together."""
    return ThreadPoolExecutor(STATS, "stat")


def without_conditions(batch: Sequence[Task]) -> list[Task]:
    """Return the tasks for a store whose puts cannot have a condition."""
    return [replace(task, clean_etag=None, rejected_etag=None) for task in batch]


def _know_outputs(store: ObjectStore, task: Task) -> Task | Exception:
    if task.clean_etag is not None:
        return task
    try:
        clean, rejected = _etag(store, clean_key(task.source_key)), _etag(store, rejected_key(task.source_key))
    except Exception as error:
        return error
    return replace(task, clean_etag=clean, rejected_etag=rejected)


def _etag(store: ObjectStore, key: str) -> str:
    try:
        return store.stat(key).etag
    except FileNotFoundError:
        return ""
