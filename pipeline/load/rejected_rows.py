"""The file of rejected rows: one row for each problem, and the counts of problems for the load record."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from lake.schemas import REJECTED_SCHEMA
from pipeline.model.load_record import LoadRecord
from pipeline.model.problem import Problem
from pipeline.readers.base import PROBLEMS

MAX_COUNTS = 100  # rules and columns that a record counts one by one; the rest is counted together
OTHERS = "others"


def open_sink(place: Path | None, suffix: str) -> Path | pa.BufferOutputStream:
    """Return where a result is written: a file beside `place`, or memory."""
    return place.with_suffix(suffix) if place else pa.BufferOutputStream()


def content_of(sink: Path | pa.BufferOutputStream) -> Path | bytes:
    """Return a written result as it is put: its file, or its bytes."""
    return sink if isinstance(sink, Path) else bytes(sink.getvalue())


class RejectsWriter:
    """Writes the table of problems, which exists only if there is a problem.

    `found` keeps the first problems, as many as `remembered`. `counts` has the number of all by rule and column.
    """

    def __init__(self, place: Path | None, source_key: str, remembered: int = 0) -> None:
        self._sink, self._source_key = open_sink(place, ".rejected"), source_key
        self._writer: pq.ParquetWriter | None = None
        self.counts: Counter[tuple[str, str | None]] = Counter()
        self.found, self._remembered = list[Problem](), remembered
        self._first: str | None = None

    def __enter__(self) -> Self:
        """Return the writer, which has no problem yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, if there is one."""
        if self._writer:
            self._writer.close()

    def write(self, problems: Iterable[Problem], *, counted_only: bool = False) -> None:
        """Write problems, some at a time: they may be built while they are asked for."""
        rest = iter(problems)
        while some := list(islice(rest, PROBLEMS)):
            self.found += some[: self._remembered - len(self.found)]
            self.counts.update((problem.rule, problem.column) for problem in some)
            if not counted_only:
                self._write(some)

    def _write(self, problems: list[Problem]) -> None:
        self._first = self._first or str(problems[0])
        self._writer = self._writer or pq.ParquetWriter(self._sink, REJECTED_SCHEMA, compression="zstd")
        columns = dict(zip(Problem._fields, zip(*problems, strict=True), strict=True))
        table = pa.table({"source_key": [self._source_key] * len(problems), **columns}, schema=REJECTED_SCHEMA)
        self._writer.write_table(table)

    def add_counts(self, record: LoadRecord) -> LoadRecord:
        """Return the record with the first problem, and the number of problems by rule and column."""
        counts, others = list[list[str | int | None]](), self.counts.total()
        for (rule, column), count in self.counts.most_common(MAX_COUNTS):
            counts.append([rule, column, count])
            others -= count
        if others:
            counts.append([OTHERS, None, others])
        return replace(record, first_problem=self._first, problems=counts)

    def finish(self, record: LoadRecord) -> None:
        """Write the load record into the footer."""
        if self._writer:
            self._writer.add_key_value_metadata(record.footer)

    @property
    def content(self) -> Path | bytes | None:
        """The written file or its bytes; None where there was no problem."""
        return content_of(self._sink) if self._writer else None
