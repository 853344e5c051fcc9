"""Load versions of sources: open, read, transform, write, and put, in an order that survives a crash at any point."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, ParamSpec, TypeVar

from common.errors import StoreUnavailable
from common.logs import fields
from lake.layout import clean_key, rejected_key, wrong_dataset_name
from lake.mending import fixed_number
from lake.stores.base import InvalidKey, ObjectInfo, ObjectStore, PutRefused
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.task_queue import ROOM
from pipeline.load.aggregate import count_groups
from pipeline.load.fixed_files import Marks, seekable
from pipeline.load.fixity import checked
from pipeline.load.write import Part, Staged, write_load, write_refusal
from pipeline.model.contract import Contract
from pipeline.model.load_record import LoadRecord
from pipeline.model.problem import Problem, Refused
from pipeline.model.task import NO_CONTRACT, BeingWritten, NotReady, Outcome, Result, Skipped, SourceGone, Task
from pipeline.readers.base import Batch, Limits, Reader
from pipeline.readers.formats import is_small, reader_of
from pipeline.readers.unique.reference import unique_batches_plainly
from pipeline.readers.unique.stage import unique_batches

P = ParamSpec("P")
T = TypeVar("T")

NO_TEXT = 'the contract does not ask for .txt files any more: add "format": "txt" to it, or delete the file'

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SmallFile:
    """The content of a small source, and the record that its load begins with."""

    record: LoadRecord
    content: bytes


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


class Attempts:
    """Calls that return their result or their error. After one that the store did not answer, calls are skipped."""

    def __init__(self) -> None:
        self._unavailable = False

    def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Exception:
        """Call `call`, or return `Skipped`."""
        if self._unavailable:
            return Skipped()
        try:
            return call(*args, **kwargs)
        except Exception as error:
            self._unavailable = isinstance(error, StoreUnavailable)
            return error


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


def stage(
    stream: BinaryIO, record: LoadRecord, dataset: Dataset | None, place: Path | None, *, reference: bool = False
) -> Staged:
    """Read, transform and write one version of a source, to files at `place`, or in memory if it is None."""
    if dataset is None:
        return write_refusal(Refused(Problem("contract", _no_contract(record.dataset))), record, place)
    try:
        if not dataset.contract.reads(record.source_key):
            raise Refused(Problem("contract", NO_TEXT))
        with checked(stream, record.source_key, record.size, dataset.contract.fixity, place) as content:
            return _stage(content, record, dataset, place, reference=reference)
    except Refused as refusal:
        return write_refusal(refusal, record, place)


def _stage(content: BinaryIO, record: LoadRecord, dataset: Dataset, place: Path | None, *, reference: bool) -> Staged:
    reader, folder = reader_of(record.source_key), None if place is None else place.parent
    read = partial(_read, key=record.source_key, limits=dataset.limits, folder=folder, reference=reference)
    if fixed_number(record.source_key) is None:
        with seekable(content, place) if reader.seeks else nullcontext(content) as source:
            return write_load(_parts(read(source, contract=dataset.contract), dataset), record, dataset, place)
    with seekable(content, place) as copy:
        marks = Marks(record.source_key)
        return write_load(_parts(marks.batches(read, copy, dataset.contract), dataset), record, dataset, place, marks)


def _read(
    stream: BinaryIO, contract: Contract, key: str, limits: Limits, folder: Path | None, *, reference: bool
) -> Iterator[Batch]:
    """Yield the batches of a source, in which no key of the contract is there twice."""
    reader = reader_of(key)
    batches = (reader.reference if reference else reader.read)(stream, key, contract, limits=limits)
    if reference and contract.keys:
        return unique_batches_plainly(batches, contract, folder)
    return unique_batches(batches, contract, folder)


def _parts(batches: Iterable[Batch], dataset: Dataset) -> Iterator[Part]:
    for batch in batches:
        rows = dataset.transform_rows(batch.rows)
        [counts] = count_groups(dataset.contract.summary, [rows])
        yield batch, rows, counts


def _no_contract(name: str) -> str:
    """Return what to do about a file without a contract.

    The folder in use is not named: it is no part of the fingerprint, and the same fingerprint writes the same bytes.
    """
    if wrong := wrong_dataset_name(name):
        return f"there can be no contract for this folder: {wrong}; put the file into a folder with such a name"
    return (
        f"there is no contract for {name!r}: put {name}.json into the folder of contracts (PIPELINE_DATASETS, by "
        "default pipeline/datasets); a running pipeline takes it up by itself"
    )


def stage_small_files(files: Sequence[SmallFile], datasets: Mapping[str, Dataset]) -> dict[str, Staged | Exception]:
    """Stage small files in memory, by dataset and reader; return the results by key.

    Where the files of such a group fail together, or have grown too large for it, each is staged alone: an error that
    occurs again is the error of that file. Fixed files are staged alone, too.
    """
    attempt, results = Attempts(), dict[str, Staged | Exception]()
    groups = dict[tuple[str, Reader, bool], list[SmallFile]]()
    for file in files:
        key = file.record.source_key
        groups.setdefault((file.record.dataset, reader_of(key), fixed_number(key) is not None), []).append(file)
    for (name, reader, fixed), group in groups.items():
        dataset = datasets[name]
        alone = fixed or dataset.contract.fixity is not None
        if not alone and len(group) > 1 and sum(len(file.content) for file in group) <= ROOM:
            try:
                results |= _stage_together(group, dataset, reader)
                continue
            except Exception as error:
                keys = " ".join(file.record.source_key for file in group)
                log.warning(fields("batch failed", keys=keys, error=repr(error), action="load each file alone"))
        for file in group:
            results[file.record.source_key] = attempt(stage, BytesIO(file.content), file.record, dataset, None)
    return results


def _stage_together(files: Sequence[SmallFile], dataset: Dataset, reader: Reader) -> dict[str, Staged | Exception]:
    """Stage small files of one dataset and reader: one parse and one pass of sums for all."""
    results, parts = dict[str, Staged | Exception](), list[tuple[LoadRecord, Batch]]()
    tables = []
    contents = [(file.record.source_key, file.content) for file in files]
    batches = reader.read_small_files(contents, dataset.contract, dataset.limits)
    for file, batch in zip(files, batches, strict=True):
        try:
            if isinstance(batch, Refused):
                raise batch
            [unique] = unique_batches([batch], dataset.contract, None)
            tables.append(dataset.transform_rows(unique.rows))
            parts.append((file.record, unique))
        except Refused as refusal:
            results[file.record.source_key] = write_refusal(refusal, file.record, None)
    counts = count_groups(dataset.contract.summary, tables)
    for (record, batch), rows, groups in zip(parts, tables, counts, strict=True):
        results[record.source_key] = write_load([(batch, rows, groups)], record, dataset, None)
    return results


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
