"""Read JSON Lines by the rules as they are written, line by line: the reference for people, tests and `verify`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.model.contract import Contract
from pipeline.model.problem import VALUE_LIMIT, Problem
from pipeline.readers.base import LIMITS, Batch, Limits
from pipeline.readers.cells.batch import Records, check_plainly
from pipeline.readers.csv.explain import shown_text
from pipeline.readers.decode import text_chunks
from pipeline.readers.jsonl.lines import BLOCK_SIZE, SPACE, Lines, cut_lines
from pipeline.readers.jsonl.record import Line, check_headings, read_line
from pipeline.readers.jsonl.surplus import Keys, more_of


def read_jsonl_plainly(
    stream: BinaryIO, key: str, contract: Contract, block_size: int = BLOCK_SIZE, limits: Limits = LIMITS
) -> Iterator[Batch]:
    """Yield a file's records, a batch for each block; `Refused` if the file as a whole cannot be loaded."""
    check_headings(contract)
    chunks = text_chunks(stream, key, contract.encoding, block_size, limits)
    keys = Keys(contract)
    for lines in cut_lines(chunks, limits.record):
        batch = check_plainly(_records(lines, contract, limits.record, keys), contract)
        yield replace(batch, drift=keys.drift)


def _records(lines: Lines, contract: Contract, limit: int, keys: Keys) -> Records:
    texts, numbers, cells = list[bytes](), list[int](), list[list[str | None]]()
    malformed: dict[int, list[Problem]] = {}
    ends = lines.text.split(b"\n")
    for number, text in enumerate(ends, lines.first):
        if not text.strip(SPACE):
            continue
        line = read_or_reject(text, number, contract, limit)
        if line.problems:
            malformed[len(texts)] = line.problems
        if line.keys is not None:
            keys.add(number, line.keys)
        texts.append(text)
        numbers.append(number)
        cells.append(line.cells)
    if lines.cut is not None:
        malformed[len(texts)] = [too_long(lines.cut, lines.first + len(ends) - 1)]
        texts.append(lines.cut)
        numbers.append(lines.first + len(ends) - 1)
        cells.append([None] * len(contract.fields))
    columns = [pa.array([row[number] for row in cells], pa.string()) for number in range(len(contract.fields))]
    more = pa.array([more_of(text, contract) for text in texts], pa.string()) if contract.more else None
    return Records(columns, np.array(numbers, np.int64), lambda number: shown_text(texts[number]), malformed, more)


def read_or_reject(text: bytes, number: int, contract: Contract, limit: int) -> Line:
    """Read a line that is not empty; one that is too long is not looked at."""
    if len(text) > limit:
        return Line([None] * len(contract.fields), [too_long(text[:VALUE_LIMIT], number)])
    return read_line(text, number, contract)


def too_long(raw: bytes, number: int) -> Problem:
    """Return the problem of a line that is longer than a record may be."""
    return Problem("size", TOO_LONG, number, raw=shown_text(raw))


TOO_LONG = "the line is longer than a record may be: does it lack line ends? Else raise PIPELINE_RECORD_MIB"
