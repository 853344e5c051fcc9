"""What is wrong in a block, told in order of lines, some records at a time."""

import functools
import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.model.contract import Contract
from pipeline.model.problem import Problem
from pipeline.readers.csv.explain import explain_cell, explain_fault, explain_record, shown_text, split_record
from pipeline.readers.csv.header import Header
from pipeline.readers.csv.split import Block, Offsets

PROBLEMS = 4096  # that are told and written at a time: with their records they have 16 MiB at most
SPLIT = 256  # records whose cells are kept at hand: records of many problems are few


@dataclass(frozen=True)
class Wrong:
    """The records of a block that are rejected, as masks and not yet in words.

    `odd` marks, of all records, those that could not be split into the fields of the header; of the others, `broken`
    marks by the field's number those whose cell breaks a rule, and `texts` has all cells of these fields.
    """

    block: Block
    header: Header
    contract: Contract
    odd: NDArray[np.bool_]
    broken: Mapping[int, NDArray[np.bool_]]
    texts: Mapping[int, pa.Array]

    @property
    def rejected(self) -> NDArray[np.bool_]:
        """Mark, of all records, those that are rejected."""
        marks = self.odd.copy()
        if self.broken:
            marks[~self.odd] = functools.reduce(np.logical_or, self.broken.values())
        return marks

    def problems(self) -> Iterator[Problem]:
        """Say in order of lines what is wrong, `PROBLEMS` at a time: all cells may be, each with its record's text."""
        counts = self.odd.astype(int)
        counts[~self.odd] = sum(marks.astype(int) for marks in self.broken.values())
        bad = np.flatnonzero(counts)
        edges = bad[1:][np.diff(np.cumsum(counts[bad]) // PROBLEMS) > 0]
        parts = (self._told(slice(*ends)) for ends in itertools.pairwise([0, *edges.tolist(), len(self.odd)]))
        faults = (explain_fault(fault.rule, fault.line, fault.raw) for fault in self.block.faults)
        return heapq.merge(faults, itertools.chain.from_iterable(parts), key=attrgetter("line"))

    def _told(self, part: slice) -> list[Problem]:
        """Give the problems of a part of the records in order of lines."""
        odd, problems = self.odd[part], list[Problem]()
        columns = self.header.columns(self.contract.fields) if odd.any() else []
        for record in np.flatnonzero(odd) + part.start:
            raw, line = self.block.data[self.block.starts[record] : self.block.stops[record]], self.block.lines[record]
            found = explain_record(raw, int(line), columns, self.contract)
            problems += _some(found, shown_text(raw), int(line))
        # One for all problems of a record, which may be as many as it has cells.
        shown = functools.cache(lambda start, stop: shown_text(self.block.data[start:stop]))
        split = functools.lru_cache(SPLIT)(self._cells)
        records, before = np.flatnonzero(~odd) + part.start, int((~self.odd[: part.start]).sum())
        for number in sorted(self.broken, key=self.header.places.__getitem__):
            at = np.flatnonzero(self.broken[number][before : before + len(records)])
            if len(at):
                cells = self.texts[number].take(pa.array(before + at)).to_pylist()
                problems += self._of_cells(number, records[at], cells, split, shown)
        return sorted(problems, key=attrgetter("line"))

    def _of_cells(
        self,
        number: int,
        records: Offsets,
        cells: list[str | None],
        split: Callable[[int, int], list[bytes]],
        shown: Callable[[int, int], str],
    ) -> Iterator[Problem]:
        """Yield the problems of one field's cells, each of another record; a null is one of the missing values."""
        field, place = self.contract.fields[number], self.header.places[number]
        block, contract = self.block, self.contract
        ends = (part[records].tolist() for part in (block.starts, block.stops, block.lines))
        for start, stop, line, text in zip(*ends, cells, strict=True):
            cell = split(start, stop)[place] if text is None else text.encode()
            record = shown(start, stop)
            yield from _some(explain_cell(cell, record, line, field, contract), record, line)

    def _cells(self, start: int, stop: int) -> list[bytes]:
        return split_record(self.block.data[start:stop], self.contract.delimiter, self.contract.quote)


def _some(problems: list[Problem], record: str, line: int) -> list[Problem]:
    if not problems:
        raise AssertionError(f"line {line} was marked as bad, and no rule says why: {record!r}")
    return problems
