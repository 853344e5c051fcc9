"""Load versions of sources: open, stage, and put, in an order that survives a crash at any point."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from common.logs import fields
from lake.layout import clean_key, rejected_key
from lake.stores.base import InvalidKey, ObjectInfo, ObjectStore, PutRefused
from pipeline.dataset.dataset import Dataset
from pipeline.load.attempts import Attempts
from pipeline.load.stage import SmallFile, stage, stage_small_files
from pipeline.load.write import Staged, write_refusal
from pipeline.model.load_record import LoadRecord
from pipeline.model.problem import Problem, Refused
from pipeline.model.task import NO_CONTRACT, BeingWritten, NotReady, Outcome, Result, SourceGone, Task
from pipeline.readers.formats import is_small

log = logging.getLogger(__name__)


def load(
    store: ObjectStore, datasets: Mapping[str, Dataset], staging: Path, tasks: Sequence[Task]
) -> list[Outcome | Exception]:
    """Load the present version of each source; the small ones of a dataset are staged together.

    Returns:
        For each task its outcome (an `ObjectInfo` if that version has its result), or the error of that task alone:
        `SourceGone`, `NotReady`, `ObjectChanged` if the source was written to while it was read, `PutRefused` if an
        output is not the one that the task expects, `StoreUnavailable` for the first call that the store did not
        answer, and `Skipped` for the tasks after that.
    """
    attempt = Attempts()
    opened = [attempt(_load_or_open, store, datasets, staging, task) for task in tasks]
    staged = stage_small_files([file for file in opened if isinstance(file, SmallFile)], datasets)
    outcomes = list[Outcome | Exception]()
    for task, file in zip(tasks, opened, strict=True):
        outcome = staged[file.record.source_key] if isinstance(file, SmallFile) else file
        outcomes.append(attempt(_put, store, outcome, task) if isinstance(outcome, Staged) else outcome)
    return outcomes


def _load_or_open(
    store: ObjectStore, datasets: Mapping[str, Dataset], staging: Path, task: Task
) -> SmallFile | Outcome:
    """Load a source; of a small one, only read the content."""
    dataset = datasets.get(task.dataset)
    fingerprint = dataset.fingerprint if dataset else NO_CONTRACT
    staging.mkdir(exist_ok=True)
    with ExitStack() as until_put:
        with ExitStack() as until_read:
            try:
                info, stream = until_read.enter_context(store.open(task.source_key))
            except FileNotFoundError as error:
                raise SourceGone(task.source_key) from error
            except PermissionError as error:
                raise NotReady(str(error)) from error
            except InvalidKey as error:  # a link that leads out of the lake: it is listed, and must not be followed
                record = LoadRecord(task.source_key, task.dataset, task.etag, 0, fingerprint)
                return _put(store, write_refusal(Refused(Problem("key", str(error))), record, None), task)
            if (info.etag, fingerprint) == (task.loaded_etag, task.fingerprint):
                return info
            _check_finished(info, task)
            record = LoadRecord(info.key, task.dataset, info.etag, info.size, fingerprint)
            if dataset and dataset.contract.reads(info.key) and is_small(info.key, info.size):
                return SmallFile(record, stream.read())
            folder = until_put.enter_context(TemporaryDirectory(dir=staging))
            staged = stage(stream, record, dataset, Path(folder, "file"))
        return _put(store, staged, task)


def _check_finished(info: ObjectInfo, task: Task) -> None:
    """Raise `BeingWritten` for a version that is not final; an event is sent for a final version only."""
    final_by_event = (task.found_by, task.etag) == ("event", info.etag)
    if info.being_written or (info.being_written is None and not final_by_event):
        raise BeingWritten("a program has it open for writing, or changed it just now: loaded once it is closed")


def _put(store: ObjectStore, staged: Staged, task: Task) -> Result:
    """Put the rejects, then the clean rows: who sees the clean object sees the rejects that belong to it.

    A load that was given up may get here late, so it replaces only what the task expects, and it deletes nothing.
    """
    key = staged.record.source_key
    rejected_etag = _put_output(store, rejected_key(key), staged.rejected, task.rejected_etag)
    clean_etag = _put_output(store, clean_key(key), staged.clean, task.clean_etag)
    return Result(staged.record, clean_etag, rejected_etag)


def _put_output(store: ObjectStore, key: str, output: Path | bytes | None, expected: str | None) -> str | None:
    if output is None:
        return None
    try:
        return store.put(key, output, move=True, expected=expected)
    except PutRefused:
        action = "load the file again; whatever is there now stays until then"
        log.warning(fields("put refused", key=key, expected=expected or "no object", action=action))
        raise


def remove_outputs(store: ObjectStore, source_key: str) -> None:
    """Delete the outputs of a source: its rows first, so that no rows are there without their rejects."""
    store.delete(clean_key(source_key))
    store.delete(rejected_key(source_key))
