"""Rejected records of a block as boolean masks; their problems are built lazily, in the order of lines."""

import functools
import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.model.contract import Contract
from pipeline.model.problem import Problem
from pipeline.readers.base import PROBLEMS
from pipeline.readers.csv.blocks import Block, Offsets
from pipeline.readers.csv.explain import explain_cell, explain_fault, explain_record, shown_text
from pipeline.readers.csv.header import Header
from pipeline.readers.csv.record import split_record

SPLIT = 256  # records whose cells are cached: records of many problems are few


@dataclass(frozen=True)
class Rejects:
    """The rejected records of a block, as masks.

    `malformed` marks, of all records, those that cannot be split into the fields of the header. Of the others,
    `invalid` marks by the field's number those whose cell breaks a rule; `cells` has all cells of these fields.
    """

    block: Block
    header: Header
    contract: Contract
    malformed: NDArray[np.bool_]
    invalid: Mapping[int, NDArray[np.bool_]]
    cells: Mapping[int, pa.Array]

    @property
    def marks(self) -> NDArray[np.bool_]:
        """The mask of all rejected records, malformed or invalid."""
        marks = self.malformed.copy()
        if self.invalid:
            marks[~self.malformed] = functools.reduce(np.logical_or, self.invalid.values())
        return marks

    def texts(self, rows: Sequence[int]) -> list[str]:
        """Return the texts of good records, by their numbers among these."""
        block, numbers = self.block, np.flatnonzero(~self.marks)[list(rows)].tolist()
        return [shown_text(block.data[block.starts[number] : block.stops[number]]) for number in numbers]

    def problems(self) -> Iterator[Problem]:
        """Yield all problems in the order of lines, built about `PROBLEMS` at a time: each has its record's text."""
        counts = self.malformed.astype(int)
        counts[~self.malformed] = sum(marks.astype(int) for marks in self.invalid.values())
        rejected = np.flatnonzero(counts)
        edges = rejected[1:][np.diff(np.cumsum(counts[rejected]) // PROBLEMS) > 0]
        parts = (self._part(slice(*ends)) for ends in itertools.pairwise([0, *edges.tolist(), len(counts)]))
        dialect = self.contract.dialect
        faults = (explain_fault(fault.rule, fault.line, fault.raw, dialect) for fault in self.block.faults)
        return heapq.merge(faults, itertools.chain.from_iterable(parts), key=attrgetter("line"))

    def _part(self, part: slice) -> list[Problem]:
        """Return the problems of some of the records in the order of lines."""
        malformed, problems = self.malformed[part], list[Problem]()
        columns = self.header.columns(self.contract.fields) if malformed.any() else []
        for record in np.flatnonzero(malformed) + part.start:
            raw, line = self.block.data[self.block.starts[record] : self.block.stops[record]], self.block.lines[record]
            explained = explain_record(raw, split_record(raw, self.contract.dialect), int(line), columns, self.contract)
            problems += _not_empty(explained, shown_text(raw), int(line))
        # One text for all problems of a record, which may be as many as its cells.
        shown = functools.cache(lambda start, stop: shown_text(self.block.data[start:stop]))
        split = functools.lru_cache(SPLIT)(self._split)
        records, before = np.flatnonzero(~malformed) + part.start, int((~self.malformed[: part.start]).sum())
        for number in sorted(self.invalid, key=self._place):
            at = np.flatnonzero(self.invalid[number][before : before + len(records)])
            if len(at):
                cells = self.cells[number].take(pa.array(before + at)).to_pylist()
                problems += self._explain_cells(number, records[at], cells, split, shown)
        return sorted(problems, key=attrgetter("line"))

    def _explain_cells(
        self,
        number: int,
        records: Offsets,
        cells: list[str | None],
        split: Callable[[int, int], list[bytes]],
        shown: Callable[[int, int], str],
    ) -> Iterator[Problem]:
        """Yield the problems of one field's cells, each of another record; a null is a missing value."""
        field, place = self.contract.fields[number], self._place(number)
        block, contract = self.block, self.contract
        ends = (part[records].tolist() for part in (block.starts, block.stops, block.lines))
        for start, stop, line, text in zip(*ends, cells, strict=True):
            cell = split(start, stop)[place] if text is None else text.encode()
            record = shown(start, stop)
            yield from _not_empty(explain_cell(cell, record, line, field, contract), record, line)

    def _place(self, number: int) -> int:
        """Return the place of a field that has cells."""
        place = self.header.places[number]
        assert place is not None
        return place

    def _split(self, start: int, stop: int) -> list[bytes]:
        return split_record(self.block.data[start:stop], self.contract.dialect)


def _not_empty(problems: list[Problem], record: str, line: int) -> list[Problem]:
    if not problems:
        raise AssertionError(f"line {line} was rejected, and no rule explains it: {record!r}")
    return problems
