"""Write the results of a load: clean rows and problems as Parquet, the record of the load in both footers."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.logs import fields
from lake.published import REJECTED_SCHEMA
from pipeline.dataset.dataset import Dataset
from pipeline.load.aggregate import GroupCounts, Groups
from pipeline.load.parquet import CleanWriter
from pipeline.model.load_record import LoadRecord
from pipeline.model.problem import Problem, Refused
from pipeline.readers.base import PROBLEMS, Batch

MAX_COUNTS = 100  # rules and columns that a record counts one by one; the rest is counted together

OTHERS = "others"

LINEAGE = [pa.field("_source_key", pa.string()), pa.field("_line", pa.int64())]

Part = tuple[Batch, pa.Table, GroupCounts]  # a batch as it was read, its clean rows, and their sums

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Staged:
    """The results of a load before they are put: its record, and its objects, each a staged file or its content."""

    record: LoadRecord
    clean: Path | bytes | None
    rejected: Path | bytes | None


def write_load(parts: Iterable[Part], record: LoadRecord, dataset: Dataset, place: Path | None) -> Staged:
    """Write a load part by part, so that memory is bounded: to files at `place`, or in memory if it is None.

    A `Refused` raised by the parts or by the sums becomes a refusal.
    """
    try:
        return _write_rows(parts, record, dataset, place)
    except Refused as refusal:
        return write_refusal(refusal, record, place)


def write_refusal(refusal: Refused, record: LoadRecord, place: Path | None) -> Staged:
    """Write the one reject of a source that is refused as a whole."""
    if refusal.problem.rule == "transform":  # its author needs the traceback
        log.warning(fields("transform failed", key=record.source_key), exc_info=refusal.__cause__)
    with _RejectsWriter(place, record.source_key) as rejects:
        rejects.write([refusal.problem])
        record = replace(rejects.add_counts(record), status="refused")
        rejects.finish(record)
    return Staged(record, None, rejects.content)


def _write_rows(parts: Iterable[Part], record: LoadRecord, dataset: Dataset, place: Path | None) -> Staged:
    groups, clean = Groups(), _sink(place, ".clean")
    schema = pa.schema([*dataset.schema, *LINEAGE])
    with _RejectsWriter(place, record.source_key) as rejects, CleanWriter(clean, schema) as writer:
        for batch, rows, counts in parts:
            rejects.write(batch.problems)
            with _refuse_overflow():
                groups.add(counts)
            writer.write(_add_lineage(rows, record.source_key))
            record = _add_rows(record, batch, rows.num_rows)
        with _refuse_overflow():
            record = replace(rejects.add_counts(record), share=groups.share(dataset.schema))
        writer.finish(record.footer)
        rejects.finish(record)
    return Staged(record, _content(clean), rejects.content)


@contextmanager
def _refuse_overflow() -> Iterator[None]:
    try:
        yield
    except (OverflowError, ValueError) as error:  # Fraction raises one for infinity, the other for not-a-number
        raise Refused(Problem("summary", f"a sum cannot be held: {error}")) from error


def _sink(place: Path | None, suffix: str) -> Path | pa.BufferOutputStream:
    return place.with_suffix(suffix) if place else pa.BufferOutputStream()


def _content(sink: Path | pa.BufferOutputStream) -> Path | bytes:
    return sink if isinstance(sink, Path) else bytes(sink.getvalue())


def _add_rows(record: LoadRecord, batch: Batch, kept: int) -> LoadRecord:
    return replace(
        record,
        rows_read=record.rows_read + batch.rows.num_rows + batch.rejected,
        rows_kept=record.rows_kept + kept,
        rows_dropped=record.rows_dropped + batch.rows.num_rows - kept,
        rows_rejected=record.rows_rejected + batch.rejected,
    )


def _add_lineage(rows: pa.Table, source_key: str) -> pa.Table:
    source = pa.DictionaryArray.from_arrays(np.zeros(rows.num_rows, np.int8), [source_key])
    return rows.add_column(rows.num_columns - 1, "_source_key", source)  # before the line, which is the last


class _RejectsWriter:
    """Writes the table of problems, which exists only if there is a problem."""

    def __init__(self, place: Path | None, source_key: str) -> None:
        self._sink, self._source_key = _sink(place, ".rejected"), source_key
        self._writer: pq.ParquetWriter | None = None
        self._counter: Counter[tuple[str, str | None]] = Counter()
        self._first: str | None = None

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

    def add_counts(self, record: LoadRecord) -> LoadRecord:
        """Return the record with the first problem, and the number of problems by rule and column."""
        counts, others = list[list[str | int | None]](), self._counter.total()
        for (rule, column), count in self._counter.most_common(MAX_COUNTS):
            counts.append([rule, column, count])
            others -= count
        if others:
            counts.append([OTHERS, None, others])
        return replace(record, first_problem=self._first, problems=counts)

    def finish(self, record: LoadRecord) -> None:
        if self._writer:
            self._writer.add_key_value_metadata(record.footer)

    @property
    def content(self) -> Path | bytes | None:
        return _content(self._sink) if self._writer else None
