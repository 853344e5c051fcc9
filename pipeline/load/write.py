"""Write the results of a load: clean rows and problems as Parquet, the record of the load in both footers."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from common.logs import fields
from lake.schemas import LINEAGE
from pipeline.dataset.dataset import Dataset
from pipeline.load.aggregate import GroupCounts, Groups
from pipeline.load.clean_rows import CleanWriter
from pipeline.load.fixed_files import Marks
from pipeline.load.rejected_rows import RejectsWriter, content_of, open_sink
from pipeline.model.data_resource import NO_LIMIT, RejectsLimit
from pipeline.model.load_record import LoadRecord
from pipeline.model.problem import Problem, Refused, TooManyRejects
from pipeline.readers.base import Batch

Part = tuple[Batch, pa.Table, GroupCounts]  # a batch as it was read, its clean rows, and their sums

REMEMBERED = 1000  # problems of a file that has too many, which are kept beside the reason

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Staged:
    """The results of a load before they are put: its record, and its objects, each a staged file or its content."""

    record: LoadRecord
    clean: Path | bytes | None
    rejected: Path | bytes | None


def write_load(
    parts: Iterable[Part], record: LoadRecord, dataset: Dataset, place: Path | None, marks: Marks | None = None
) -> Staged:
    """Write a load part by part, so that memory is bounded: to files at `place`, or in memory if it is None.

    A `Refused` raised by the parts or by the sums becomes a refusal.
    """
    try:
        return _write_rows(parts, record, dataset, place, marks)
    except Refused as refusal:
        return write_refusal(refusal, record, place)


def write_refusal(refusal: Refused, record: LoadRecord, place: Path | None) -> Staged:
    """Write the reject of a source that is refused as a whole, and the problems that were the reason."""
    if refusal.problem.rule == "transform":  # its author needs the traceback
        log.warning(fields("transform failed", key=record.source_key), exc_info=refusal.__cause__)
    with RejectsWriter(place, record.source_key) as rejects:
        rejects.write([refusal.problem])
        if isinstance(refusal, TooManyRejects):
            rejects.write(refusal.found)
            rejects.counts.update(refusal.counts)
            rejects.counts.subtract((problem.rule, problem.column) for problem in refusal.found)
        record = replace(rejects.add_counts(record), status="refused")
        rejects.finish(record)
    return Staged(record, None, rejects.content)


def _write_rows(
    parts: Iterable[Part], record: LoadRecord, dataset: Dataset, place: Path | None, marks: Marks | None
) -> Staged:
    groups, clean, limit = Groups(), open_sink(place, ".clean"), dataset.contract.rejects
    schema = pa.schema([*dataset.schema, *LINEAGE])
    remembered = 0 if limit == NO_LIMIT else REMEMBERED
    with RejectsWriter(place, record.source_key, remembered) as rejects, CleanWriter(clean, schema) as writer:
        for batch, rows, counts in parts:
            record = _add_rows(record, batch, rows.num_rows)
            hopeless = limit.certain(record.rows_rejected)  # the rest is read for its counts alone
            rejects.write(batch.problems, counted_only=hopeless)
            with _refuse_overflow():
                groups.add(counts)
            if not hopeless:
                writer.write(_add_lineage(rows, record.source_key))
        _check_limit(limit, record, rejects)
        with _refuse_overflow():
            record = replace(rejects.add_counts(record), share=groups.share(dataset.schema))
        record = replace(record, mends=marks.kept if marks else None)
        writer.finish(record.footer)
        rejects.finish(record)
    return Staged(record, content_of(clean), rejects.content)


def _check_limit(limit: RejectsLimit, record: LoadRecord, rejects: RejectsWriter) -> None:
    """Raise `TooManyRejects` if more records were rejected than the contract allows."""
    if limit.exceeded(record.rows_rejected, record.rows_read):
        message = (
            f"{record.rows_rejected:,} of {record.rows_read:,} records were rejected: expected {limit}; "
            "correct the file, or raise `rejects` in the contract"
        )
        raise TooManyRejects(Problem("rejects", message), rejects.found, rejects.counts)


@contextmanager
def _refuse_overflow() -> Iterator[None]:
    try:
        yield
    except (OverflowError, ValueError) as error:  # Fraction raises one for infinity, the other for not-a-number
        raise Refused(Problem("summary", f"a sum cannot be held: {error}")) from error


def _add_rows(record: LoadRecord, batch: Batch, kept: int) -> LoadRecord:
    return replace(
        record,
        rows_read=record.rows_read + batch.rows.num_rows + batch.rejected,
        rows_kept=record.rows_kept + kept,
        rows_dropped=record.rows_dropped + batch.rows.num_rows - kept,
        rows_rejected=record.rows_rejected + batch.rejected,
        drift=batch.drift,
    )


def _add_lineage(rows: pa.Table, source_key: str) -> pa.Table:
    source = pa.DictionaryArray.from_arrays(np.zeros(rows.num_rows, np.int8), [source_key])
    return rows.add_column(rows.num_columns - 1, "_source_key", source)  # before the line, which is the last
