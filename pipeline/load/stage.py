"""Stage versions of sources: read, transform and write them, to files or in memory; nothing is put."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from common.logs import fields
from lake.layout import wrong_dataset_name
from lake.mending import fixed_number
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.task_queue import ROOM
from pipeline.load.aggregate import count_groups
from pipeline.load.attempts import Attempts
from pipeline.load.fixed_files import Marks, seekable
from pipeline.load.fixity import checked
from pipeline.load.write import Part, Staged, write_load, write_refusal
from pipeline.model.contract import Contract
from pipeline.model.load_record import LoadRecord
from pipeline.model.problem import Problem, Refused
from pipeline.readers.base import Batch, Limits, Reader
from pipeline.readers.formats import reader_of
from pipeline.readers.unique.reference import unique_batches_plainly
from pipeline.readers.unique.stage import unique_batches

NO_TEXT = 'the contract does not ask for .txt files any more: add "format": "txt" to it, or delete the file'

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SmallFile:
    """The content of a small source, and the record that its load begins with."""

    record: LoadRecord
    content: bytes


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
