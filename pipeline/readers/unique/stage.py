"""Reject the records of a file whose key was there before: a stage over its batches, whatever reader made them.

Only a record that is good in all else has a key. The first one with a key stays; a record that is rejected, for
whatever reason, is not the first one of any key.
"""

import functools
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from common.messages import listed, shortened
from pipeline.model.contract import Contract
from pipeline.model.keys import Key
from pipeline.model.problem import VALUE_LIMIT, Problem
from pipeline.readers.base import PROBLEMS, Batch
from pipeline.readers.unique.hashes import Hashes, hash_keys, is_exact
from pipeline.readers.unique.index import Index
from pipeline.readers.unique.key_log import KeyLog
from pipeline.readers.unique.runs import Lines

Duplicates = Mapping[int, Sequence[tuple[Key, int]]]  # by number of a row: each key that was there, and in which line


def unique_batches(batches: Iterable[Batch], contract: Contract, folder: Path | None) -> Iterator[Batch]:
    """Yield batches without the records whose key was there before, which are rejected.

    Args:
        batches: of one file.
        contract: has the keys.
        folder: for what does not stay in memory; None for a small file.
    """
    if not contract.keys:
        yield from batches
        return
    met = [_Met(key, contract.schema, folder) for key in contract.keys]
    try:
        for batch in batches:
            yield without(batch, _duplicates(batch.rows, met)) if batch.rows.num_rows else batch
    finally:
        for keys in met:
            keys.log.close()
            keys.index.close()


def without(batch: Batch, duplicates: Duplicates) -> Batch:
    """Return a batch in which some of the good records are rejected, because their keys are no longer new."""
    if not duplicates:
        return batch
    good = np.ones(batch.rows.num_rows, bool)
    good[[*duplicates]] = False
    problems = heapq.merge(batch.problems, _problems(batch, duplicates), key=attrgetter("line"))
    texts = _texts_of(batch, np.flatnonzero(good))
    return replace(
        batch, rows=batch.rows.filter(pa.array(good)), problems=problems, rejected=batch.rejected + len(duplicates),
        texts=texts,
    )  # fmt: skip


def _texts_of(batch: Batch, numbers: NDArray[np.int64]) -> Any:
    return lambda rows: batch.texts([int(numbers[row]) for row in rows])


def _problems(batch: Batch, duplicates: Duplicates) -> Iterator[Problem]:
    numbers = sorted(duplicates)
    for start in range(0, len(numbers), PROBLEMS):  # the texts of many are found in one pass over the batch
        some = numbers[start : start + PROBLEMS]
        for number, raw in zip(some, batch.texts(some), strict=True):
            for key, first in duplicates[number]:
                yield _problem(batch.rows, number, key, first, raw)


def _problem(rows: pa.Table, number: int, key: Key, first: int, raw: str) -> Problem:
    value = ", ".join(_shown(rows[name][number].as_py()) for name in key.names)
    column = key.names[0] if len(key.names) == 1 else None
    expected = "a value" if column else f"values of {listed(key.names)}"
    message = f"expected {expected} that no record before has, found {shortened(value)!r} in line {first} too"
    return Problem(key.rule, message, rows["_line"][number].as_py(), column, value[:VALUE_LIMIT], raw)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Met:
    """The keys of one kind that were met in a file so far."""

    def __init__(self, key: Key, schema: pa.Schema, folder: Path | None) -> None:
        fields = [schema.field(name) for name in key.names]
        self.key, self.index, self.exact = key, Index(folder), is_exact([field.type for field in fields])
        self.log = KeyLog(pa.schema([*fields, pa.field("_line", pa.int64())]), folder)

    def prepare(self, rows: pa.Table) -> None:
        """Hash the keys of a batch; a key with a null is none."""
        self.rows = rows.select([*self.key.names, "_line"]).combine_chunks()
        columns = [column.chunk(0) for column in self.rows.columns]
        valid = np.ones(rows.num_rows, bool)
        for column in columns:
            if column.null_count:
                valid &= column.is_valid().to_numpy(zero_copy_only=False)
        self.valid, numbers = valid, np.flatnonzero(valid)
        if len(numbers) < len(valid):
            columns = [column.take(pa.array(numbers)) for column in columns]
        hashes = hash_keys(columns[:-1]) if len(numbers) else np.empty(0, np.uint64)
        order = np.argsort(hashes)
        self.hashes: Hashes = hashes[order]
        self.numbers, self.lines = numbers[order], columns[-1].to_numpy()[order]
        self.found, self.found_lines = self.index.find(self.hashes)

    def suspects(self) -> NDArray[np.int64]:
        """Return the numbers of the rows whose hash is there twice, in this batch or in those before."""
        known, same = np.zeros(len(self.hashes), bool), self.hashes[1:] == self.hashes[:-1]
        known[1:] |= same
        known[:-1] |= same
        known[self.found] = True
        return self.numbers[known]

    def first_lines(self) -> dict[int, int]:
        """Return the line of the first record with the same key in an earlier batch, by the number of the row."""
        numbers, lines = self.numbers[self.found], self.found_lines
        if not self.exact and len(numbers):
            now, before = self.rows.take(pa.array(numbers)), self.log.at(lines)
            same = functools.reduce(pc.and_, (pc.equal(now[name], before[name]) for name in self.key.names))
            equal = same.to_numpy()
            numbers, lines = numbers[equal], lines[equal]
        return dict(zip(numbers.tolist(), lines.tolist(), strict=True))

    def values(self, numbers: NDArray[np.int64]) -> list[tuple[Any, ...]]:
        """Return the keys of some rows of the batch."""
        taken = self.rows.select(self.key.names).take(pa.array(numbers))
        return list(zip(*(column.to_pylist() for column in taken.columns), strict=True))

    def add(self, rejected: NDArray[np.int64]) -> None:
        """Add the keys of the batch, without those of the rejected rows."""
        kept = ~np.isin(self.numbers, rejected) if len(rejected) else np.ones(len(self.numbers), bool)
        lines: Lines = self.lines[kept]
        if not len(lines):
            return
        self.index.add(self.hashes[kept], lines)
        if not self.exact:
            taken = self.valid.copy()
            taken[rejected] = False
            self.log.add(self.rows if taken.all() else self.rows.filter(pa.array(taken)))


def _duplicates(rows: pa.Table, met: Sequence[_Met]) -> dict[int, list[tuple[Key, int]]]:
    """Return the rows of a batch whose key was there before, and add the keys of the others to what was met."""
    for keys in met:
        keys.prepare(rows)
    suspects = np.unique(np.concatenate([keys.suspects() for keys in met]))
    duplicates = _decide(suspects, rows, met) if len(suspects) else {}
    rejected = np.array([*duplicates], np.int64)
    for keys in met:
        keys.add(rejected)
    return duplicates


def _decide(suspects: NDArray[np.int64], rows: pa.Table, met: Sequence[_Met]) -> dict[int, list[tuple[Key, int]]]:
    """Decide one row after the other: whether its key is there before depends on those that were rejected."""
    before = [keys.first_lines() for keys in met]
    here: list[dict[tuple[Any, ...], int]] = [{} for _ in met]
    values = [keys.values(suspects) for keys in met]
    lines = rows["_line"].to_numpy()[suspects].tolist()
    duplicates = dict[int, list[tuple[Key, int]]]()
    for place, (number, line) in enumerate(zip(suspects.tolist(), lines, strict=True)):
        known = list[tuple[Key, int]]()
        for keys, earlier, now, cells in zip(met, before, here, values, strict=True):
            if None not in cells[place] and (first := earlier.get(number) or now.get(cells[place])):
                known.append((keys.key, first))
        if known:
            duplicates[number] = known
            continue
        for now, cells in zip(here, values, strict=True):
            now[cells[place]] = line
    return duplicates
