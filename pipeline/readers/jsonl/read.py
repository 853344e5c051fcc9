"""Read a stream of JSON Lines to batches: typed good rows with their lines, and a problem for every reject."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.model.contract import Contract
from pipeline.model.problem import Problem
from pipeline.readers.base import LIMITS, Batch, Limits
from pipeline.readers.cells.batch import Records, check_records
from pipeline.readers.csv.explain import shown_text
from pipeline.readers.decode import text_chunks
from pipeline.readers.jsonl.lines import BLOCK_SIZE, SPACE, Lines, cut_lines
from pipeline.readers.jsonl.record import check_headings, keys_of
from pipeline.readers.jsonl.reference import read_or_reject, too_long
from pipeline.readers.jsonl.structure import Marks, Mask, Offsets, find_marks
from pipeline.readers.jsonl.surplus import Keys, more_of
from pipeline.readers.jsonl.values import Spans, cells_of
from pipeline.readers.prefetch import in_order

TEMPLATES = 16  # of a block: lines of other forms are read one by one


@dataclass(frozen=True)
class Part:
    """Some lines of a block, by number from 0, and their cells by field; their keys; and the problems, if there are."""

    lines: Offsets
    columns: Sequence[pa.Array]
    keys: Keys
    malformed: dict[int, list[Problem]] = field(default_factory=dict)


def read_jsonl(
    stream: BinaryIO, key: str, contract: Contract, block_size: int = BLOCK_SIZE, limits: Limits = LIMITS
) -> Iterator[Batch]:
    """Yield a file's records, a batch for each block; `Refused` if the file as a whole cannot be loaded."""
    check_headings(contract)
    chunks = text_chunks(stream, key, contract.encoding, block_size, limits)

    def read_block(lines: Lines) -> tuple[Batch, list[Keys]]:
        records, keys = _records(lines, contract, limits.record)
        return check_records(records, contract), keys

    keys = Keys(contract)
    for batch, found in in_order(read_block, cut_lines(chunks, limits.record)):
        keys.join(*found)
        yield replace(batch, drift=keys.drift)


def _records(lines: Lines, contract: Contract, limit: int) -> tuple[Records, list[Keys]]:
    """Return the records of a block, and the keys of its objects."""
    text = lines.text if lines.text.endswith(b"\n") else lines.text + b"\n"  # after a cut line: one empty line
    marks = find_marks(text)
    parts, alone = _read_alike(text, marks, contract, limit)
    parts.append(_read_alone(text, marks, alone, lines, contract, limit))
    numbers = np.concatenate([part.lines for part in parts])
    columns = [pa.concat_arrays(column) for column in zip(*(part.columns for part in parts), strict=True)]
    if len(parts) > 1:
        order = np.argsort(numbers)
        numbers, columns = numbers[order], [column.take(pa.array(order)) for column in columns]
    problems = parts[-1].malformed
    malformed = dict(zip(np.searchsorted(numbers, [*problems]).tolist(), problems.values(), strict=True))

    def raw(number: int) -> str:
        line = numbers[number]
        return shown_text(text[marks.starts[line] : marks.stops[line]])

    more = None
    if contract.more:
        spans = zip(marks.starts.tolist(), marks.stops.tolist(), strict=True)
        known = {line: more_of(text[start:stop], contract) for line, (start, stop) in enumerate(spans)}
        more = pa.array(map(known.get, numbers.tolist()), pa.string())  # of a line that is cut, none
    return Records(columns, numbers + lines.first, raw, malformed, more), [part.keys for part in parts]


def _read_alike(text: bytes, marks: Marks, contract: Contract, limit: int) -> tuple[list[Part], Offsets]:
    """Read the lines that are written like another one. Return them in parts, and the lines that are not read."""
    filled = marks.stops > marks.starts
    left = filled & ~marks.odd & (marks.count > 2) & (marks.stops - marks.starts <= limit) & _are_utf8(text, marks)
    parts, alone = list[Part](), filled.copy()
    for _ in range(TEMPLATES):
        if not left.any():
            break
        line = int(np.argmax(left))
        left[line] = False
        keys = keys_of(text[marks.starts[line] : marks.stops[line]], contract)
        if 2 * len(keys) + 1 == marks.count[line]:
            group = np.append(line, np.flatnonzero(left & (marks.count == marks.count[line])))
            table, same = marks.alike(line, group)
            lines = group[same]
            columns, bad = _columns(text, marks, table[same], keys, contract)
            if bad.any():
                columns = [column.filter(pa.array(~bad)) for column in columns]
            parts.append(Part(lines[~bad], columns, Keys(contract).add(line, keys)))
            left[lines] = False
            alone[parts[-1].lines] = False
    return parts, np.flatnonzero(alone)


def _are_utf8(text: bytes, marks: Marks) -> Mask:
    """Mark the lines that are UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return np.array([_is_utf8(text[start:stop]) for start, stop in zip(marks.starts, marks.stops, strict=True)])
    return np.ones(len(marks.starts), bool)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _columns(
    text: bytes, marks: Marks, table: Offsets, keys: Sequence[str], contract: Contract
) -> tuple[list[pa.Array], Mask]:
    """Return the cells of lines with the same keys by field, and a mask of the lines that must be read alone.

    `table` has the numbers of each line's marks: a brace, and for each key a colon and what ends its value.
    """
    columns: list[pa.Array] = [pa.nulls(len(table), pa.string())] * len(contract.fields)
    numbers = {spec.heading.text: number for number, spec in enumerate(contract.fields)}
    shadow, wrong = np.frombuffer(marks.shadow, np.uint8), np.zeros(len(table), bool)
    at, quotes = marks.at[table], marks.quotes[table]
    for place, key in enumerate(keys):
        colon, end = 2 * place + 1, 2 * place + 2
        spans = Spans(text, shadow, at[:, colon] + 1, at[:, end], quotes[:, end] - quotes[:, colon])
        number = numbers.get(key)
        cells, bad = cells_of(spans, None if number is None else contract.fields[number])
        wrong |= bad
        if number is not None:
            columns[number] = cells
    return columns, wrong


def _read_alone(text: bytes, marks: Marks, alone: Offsets, lines: Lines, contract: Contract, limit: int) -> Part:
    """Read lines one by one, and the one that is cut; lines of white space are skipped."""
    numbers, cells, keys = list[int](), list[list[str | None]](), Keys(contract)
    malformed: dict[int, list[Problem]] = {}
    for number in alone.tolist():
        raw = text[marks.starts[number] : marks.stops[number]]
        if raw.strip(SPACE):
            line = read_or_reject(raw, number + lines.first, contract, limit)
            numbers.append(number)
            cells.append(line.cells)
            if line.problems:
                malformed[number] = line.problems
            if line.keys is not None:
                keys.add(number, line.keys)
    if lines.cut is not None:
        number = len(marks.starts) - (0 if lines.text else 1)
        numbers.append(number)
        cells.append([None] * len(contract.fields))
        malformed[number] = [too_long(lines.cut, number + lines.first)]
    columns = [pa.array([row[number] for row in cells], pa.string()) for number in range(len(contract.fields))]
    return Part(np.array(numbers, np.int64), columns, keys, malformed)
