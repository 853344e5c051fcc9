"""Read JSON Lines by the rules as they are written, line by line: the reference for people, tests and `verify`."""

from collections.abc import Iterator
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
from pipeline.readers.jsonl.record import check_headings, more_of, read_line


def read_jsonl_plainly(
    stream: BinaryIO, key: str, contract: Contract, block_size: int = BLOCK_SIZE, limits: Limits = LIMITS
) -> Iterator[Batch]:
    """Yield a file's records, a batch for each block; `Refused` if the file as a whole cannot be loaded."""
    check_headings(contract)
    chunks = text_chunks(stream, key, contract.encoding, block_size, limits)
    for lines in cut_lines(chunks, limits.record):
        yield check_plainly(_records(lines, contract, limits.record), contract)


def _records(lines: Lines, contract: Contract, limit: int) -> Records:
    texts, numbers, cells = list[bytes](), list[int](), list[list[str | None]]()
    malformed: dict[int, list[Problem]] = {}
    ends = lines.text.split(b"\n")
    for number, text in enumerate(ends, lines.first):
        if not text.strip(SPACE):
            continue
        values, problems = read_or_reject(text, number, contract, limit)
        if problems:
            malformed[len(texts)] = problems
        texts.append(text)
        numbers.append(number)
        cells.append(values)
    if lines.cut is not None:
        malformed[len(texts)] = [too_long(lines.cut, lines.first + len(ends) - 1)]
        texts.append(lines.cut)
        numbers.append(lines.first + len(ends) - 1)
        cells.append([None] * len(contract.fields))
    columns = [pa.array([row[number] for row in cells], pa.string()) for number in range(len(contract.fields))]
    more = pa.array([more_of(text, contract) for text in texts], pa.string()) if contract.more else None
    return Records(columns, np.array(numbers, np.int64), lambda number: shown_text(texts[number]), malformed, more)


def read_or_reject(text: bytes, number: int, contract: Contract, limit: int) -> tuple[list[str | None], list[Problem]]:
    """Return the cells of a line that is not empty, and its problems; of a malformed one no cell is looked at."""
    if len(text) > limit:
        return [None] * len(contract.fields), [too_long(text[:VALUE_LIMIT], number)]
    values, problems = read_line(text, number, contract)
    return [None] * len(values) if problems else values, problems


def too_long(raw: bytes, number: int) -> Problem:
    """Return the problem of a line that is longer than a record may be."""
    return Problem("size", TOO_LONG, number, raw=shown_text(raw))


TOO_LONG = "the line is longer than a record may be: does it lack line ends? Else raise PIPELINE_RECORD_MIB"
