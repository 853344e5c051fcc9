"""Versions of files, from `raw/` to `clean/` and `rejected/`, in the order that a crash cannot spoil."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

from common.errors import StoreUnavailable
from lake.layout import clean_key, rejected_key
from lake.stores.base import InvalidKey, ObjectInfo, ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.load.texts import Text, stage_texts
from pipeline.load.write import Staged, stage, stage_refusal
from pipeline.model.load_record import LoadRecord
from pipeline.model.problem import Problem
from pipeline.model.task import (
    NO_CONTRACT,
    BeingWritten,
    NotReady,
    Outcome,
    Result,
    Skipped,
    SourceGone,
    Task,
    is_small,
)

P = ParamSpec("P")

T = TypeVar("T")


def load(
    store: ObjectStore, datasets: Mapping[str, Dataset], staging: Path, tasks: Sequence[Task]
) -> list[Outcome | Exception]:
    """Load of each file the version that is there now; small ones go through each step together.

    Returns:
        What came of each, or the version if it has its result, or an error that is its alone: `SourceGone` where it is
        not there, `NotReady` where it cannot be read as things are, `ObjectChanged` where it was written to during
        the read, `StoreUnavailable` where the store does not answer, and `Skipped` for the files after that.
    """
    attempt = _Attempts()
    begun = [attempt(_begin, store, datasets, staging, task) for task in tasks]
    texts = [one for one in begun if isinstance(one, Text)]
    staged = iter(stage_texts(texts, datasets))
    ready = [next(staged) if isinstance(one, Text) else one for one in begun]
    return [
        attempt(_put, store, one, task) if isinstance(one, Staged) else one
        for one, task in zip(ready, tasks, strict=True)
    ]


class _Attempts:
    """Calls of which each gives its result or its error; after one that the store did not answer none is made."""

    def __init__(self) -> None:
        self._away = False

    def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Exception:
        if self._away:
            return Skipped()
        try:
            return call(*args, **kwargs)
        except Exception as error:
            self._away = isinstance(error, StoreUnavailable)
            return error


def _begin(store: ObjectStore, datasets: Mapping[str, Dataset], staging: Path, task: Task) -> Text | Outcome:
    """Get the text of a small file; load one that is not by itself."""
    dataset = datasets.get(task.dataset)
    fingerprint = dataset.fingerprint if dataset else NO_CONTRACT
    staging.mkdir(exist_ok=True)
    with ExitStack() as staging_ends:
        with ExitStack() as reading_ends:
            try:
                info, stream = reading_ends.enter_context(store.open(task.source_key))
            except FileNotFoundError as error:
                raise SourceGone(task.source_key) from error
            except PermissionError as error:
                raise NotReady(str(error)) from error
            except InvalidKey as error:  # a link that leads out of the lake: it is listed, and must not be followed
                record = LoadRecord(task.source_key, task.dataset, task.etag, 0, fingerprint)
                return _put(store, stage_refusal(Problem("key", str(error)), record, None), task)
            if (info.etag, fingerprint) == (task.loaded_etag, task.fingerprint):
                return info
            _check_finished(info, task)
            record = LoadRecord(info.key, task.dataset, info.etag, info.size, fingerprint)
            if dataset and is_small(info.key, info.size):
                return Text(record, stream.read())
            place = Path(staging_ends.enter_context(TemporaryDirectory(dir=staging)), "file")
            staged = stage(stream, record, dataset, place)
        return _put(store, staged, task)


def _check_finished(info: ObjectInfo, task: Task) -> None:
    """Raise `BeingWritten` for a version that is not final; the watch tells of no other than a final one."""
    watched = (task.found_by, task.etag) == ("event", info.etag)
    if info.being_written or (info.being_written is None and not watched):
        raise BeingWritten("a program has it open for writing, or changed it just now: loaded once it is closed")


def take_back(store: ObjectStore, source_key: str) -> None:
    """Remove what was made of a file: its rows first, so that no rows are there without their rejects."""
    store.delete(clean_key(source_key))
    store.delete(rejected_key(source_key))


def _put(store: ObjectStore, staged: Staged, task: Task) -> Result:
    """Put the rejects, then the clean rows: who sees the clean object sees the rejects that belong to it."""
    rejected, clean = rejected_key(staged.record.source_key), clean_key(staged.record.source_key)
    rejected_etag = clean_etag = None
    if staged.rejected:
        rejected_etag = store.put(rejected, staged.rejected, move=True)
    elif not task.first:
        store.delete(rejected)
    if staged.clean:
        clean_etag = store.put(clean, staged.clean, move=True)
    elif not task.first:
        store.delete(clean)
    return Result(staged.record, clean_etag, rejected_etag)
