"""A CSV stream to two staged Parquet files, good rows and problems, and the record of the load in their footers."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.logs import fields
from lake.layout import wrong_dataset_name
from lake.published import REJECTED_SCHEMA
from pipeline.dataset.dataset import Dataset
from pipeline.dataset.transform import transformed
from pipeline.load.aggregate import Counted, Groups, counted
from pipeline.load.parquet import CleanWriter
from pipeline.load.steps import Steps, finish
from pipeline.model.load_record import Counts, LoadRecord
from pipeline.model.problem import Problem, Refused
from pipeline.readers.csv.batch import Batch
from pipeline.readers.csv.read import read_csv
from pipeline.readers.csv.rejects import PROBLEMS

MAX_COUNTS = 100  # rules and columns that a record counts one by one; what is beyond is counted together

OTHERS = "others"

LINEAGE = [pa.field("_source_key", pa.string()), pa.field("_line", pa.int64())]


Reader = Callable[..., Iterator[Batch]]  # `read_csv`, or the plain one

Made = tuple[pa.Table, Counted]  # the rows that come out of the transform, and their sums

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Staged:
    """A load that is ready to be put: the record, and the objects that it has, in files or in memory."""

    record: LoadRecord
    clean: Path | bytes | None
    rejected: Path | bytes | None


def stage(
    stream: BinaryIO, record: LoadRecord, dataset: Dataset | None, place: Path | None, read: Reader = read_csv
) -> Staged:
    """Read, check and convert one version of a file into `place`, or in memory; what cannot be loaded has a problem."""
    if dataset is None:
        return stage_refusal(Problem("contract", _no_contract(record.dataset)), record, place)
    batches = read(stream, record.source_key, dataset.contract, limits=dataset.limits)
    return finish(stage_batches(batches, record, dataset, place), partial(made_of, dataset))


def _no_contract(name: str) -> str:
    """Return the way out for a file without a contract.

    The folder in use is not named: it is no part of the fingerprint, and the same fingerprint writes the same bytes.
    """
    if wrong := wrong_dataset_name(name):
        return f"there can be no contract for this folder: {wrong}; put the file into a folder with such a name"
    return (
        f"there is no contract for {name!r}: add {name}.json to pipeline/datasets, or to the folder that "
        "PIPELINE_DATASETS names, if it is not there yet, and restart the pipeline: it reads contracts at its start"
    )


def made_of(dataset: Dataset, read: Sequence[pa.Table]) -> list[Made | Exception]:
    """Transform good rows and sum them up: those of several files in one go, where that can be."""
    schema, rows = dataset.schema.append(pa.field("_line", pa.int64())), list[pa.Table | Refused](read)
    if dataset.transform:
        rows = transformed(read, dataset.transform, schema, rowwise=dataset.rowwise)
    tables = [one for one in rows if isinstance(one, pa.Table)]
    counts = iter(counted(dataset.contract.summary, tables) if tables else [])
    return [(one, next(counts)) if isinstance(one, pa.Table) else one for one in rows]


def stage_batches(
    batches: Iterator[Batch], record: LoadRecord, dataset: Dataset, place: Path | None
) -> Steps[pa.Table, Made, Staged]:
    """Do as `stage` with what is read of a file, but ask for what is `made_of` its good rows."""
    try:
        return (yield from _stage_rows(batches, record, dataset, place))
    except Refused as refusal:
        if refusal.problem.rule == "transform":  # a user's code: its author needs the place, not the words alone
            log.warning(fields("transform failed", key=record.source_key), exc_info=refusal.__cause__)
        return stage_refusal(refusal.problem, record, place)


def _stage_rows(
    batches: Iterator[Batch], record: LoadRecord, dataset: Dataset, place: Path | None
) -> Steps[pa.Table, Made, Staged]:
    """Write the good rows and the problems block by block, so that memory is bounded whatever the file's size."""
    groups, rejects = Groups(), _Rejects(place, record.source_key)
    schema = pa.schema([*dataset.schema, *LINEAGE])
    clean = _sink(place, ".clean")
    with rejects, CleanWriter(clean, schema) as writer:
        for batch in batches:
            rejects.write(batch.problems)
            rows, counts = yield batch.rows
            with _summary_refused():
                groups.add(counts)
            writer.write(_with_lineage(rows, record.source_key))
            record = _counted(record, batch, rows.num_rows)
        with _summary_refused():
            record = replace(rejects.counted(record), share=groups.share(dataset.schema))
        writer.finish(record.footer)
        rejects.finish(record)
    return Staged(record, _content(clean), rejects.content)


def _sink(place: Path | None, suffix: str) -> Path | pa.BufferOutputStream:
    return place.with_suffix(suffix) if place else pa.BufferOutputStream()


def _content(sink: Path | pa.BufferOutputStream) -> Path | bytes:
    return sink if isinstance(sink, Path) else bytes(sink.getvalue())


def _counted(record: LoadRecord, batch: Batch, kept: int) -> LoadRecord:
    return replace(
        record,
        rows_read=record.rows_read + batch.rows.num_rows + batch.rejected,
        rows_kept=record.rows_kept + kept,
        rows_dropped=record.rows_dropped + batch.rows.num_rows - kept,
        rows_rejected=record.rows_rejected + batch.rejected,
    )


def _with_lineage(rows: pa.Table, source_key: str) -> pa.Table:
    source = pa.DictionaryArray.from_arrays(np.zeros(rows.num_rows, np.int8), [source_key])
    return rows.add_column(rows.num_columns - 1, "_source_key", source)  # before the line, which is the last


class _Rejects:
    """The table of problems, which there is only if there is a problem."""

    def __init__(self, place: Path | None, source_key: str) -> None:
        self._sink, self._source_key = _sink(place, ".rejected"), source_key
        self._writer: pq.ParquetWriter | None = None
        self._counter: Counter[tuple[str, str | None]] = Counter()
        self._first: str | None = None

    def counted(self, record: LoadRecord) -> LoadRecord:
        """Give the record with the first problem, and how many there are by rule and column."""
        return replace(record, first_problem=self._first, problems=self._counts())

    def _counts(self) -> Counts:
        ordered = self._counter.most_common()
        counts: Counts = [[rule, column, count] for (rule, column), count in ordered[:MAX_COUNTS]]
        beyond = sum(count for _, count in ordered[MAX_COUNTS:])
        return [*counts, [OTHERS, None, beyond]] if beyond else counts

    @property
    def content(self) -> Path | bytes | None:
        return _content(self._sink) if self._writer else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer:
            self._writer.close()

    def write(self, problems: Iterable[Problem]) -> None:
        rest = iter(problems)
        while some := list(islice(rest, PROBLEMS)):
            self._write(some)

    def _write(self, problems: list[Problem]) -> None:
        self._first = self._first or str(problems[0])
        self._writer = self._writer or pq.ParquetWriter(self._sink, REJECTED_SCHEMA, compression="zstd")
        columns = dict(zip(Problem._fields, zip(*problems, strict=True), strict=True))
        table = pa.table({"source_key": [self._source_key] * len(problems), **columns}, schema=REJECTED_SCHEMA)
        self._writer.write_table(table)
        self._counter.update(zip(columns["rule"], columns["column"], strict=True))

    def finish(self, record: LoadRecord) -> None:
        if self._writer:
            self._writer.add_key_value_metadata(record.footer)


def stage_refusal(problem: Problem, record: LoadRecord, place: Path | None) -> Staged:
    """Write the one reject of a file that cannot be loaded as a whole."""
    with _Rejects(place, record.source_key) as rejects:
        rejects.write([problem])
        record = replace(rejects.counted(record), status="refused")
        rejects.finish(record)
    return Staged(record, None, rejects.content)


@contextmanager
def _summary_refused() -> Iterator[None]:
    try:
        yield
    except (OverflowError, ValueError) as error:  # Fraction says one of infinity, the other of not-a-number
        raise Refused(Problem("summary", f"a sum cannot be held: {error}")) from error
