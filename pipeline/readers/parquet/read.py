"""Read a Parquet file to batches: its values are written as text and go through the same checks as that of a CSV."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import SEEK_END
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.contract import Contract
from pipeline.model.field import FieldSpec
from pipeline.model.problem import VALUE_LIMIT, Problem
from pipeline.readers.base import LIMITS, Batch, Limits
from pipeline.readers.cells.batch import Records, check_plainly, check_records
from pipeline.readers.csv.explain import shown_text
from pipeline.readers.csv.header import Header
from pipeline.readers.decode import BLOCK_SIZE
from pipeline.readers.parquet.cells import more_texts, plain_text, write_column
from pipeline.readers.parquet.file import batches_of, open_parquet, refuse_broken
from pipeline.readers.parquet.fit import fit, native

Texts = Callable[[pa.RecordBatch, Contract], list[pa.Array]]  # of a batch: the columns as text, maybe no UTF-8


def read_parquet(
    stream: BinaryIO, key: str, contract: Contract, block_size: int = BLOCK_SIZE, limits: Limits = LIMITS
) -> Iterator[Batch]:
    """Yield a file's rows in batches, numbered from 1; `Refused` if the file as a whole cannot be loaded."""
    for records, spec, drift in _records(stream, key, contract, block_size, limits, _write_columns):
        yield replace(check_records(records, spec), drift=drift)


def read_parquet_plainly(
    stream: BinaryIO, key: str, contract: Contract, block_size: int = BLOCK_SIZE, limits: Limits = LIMITS
) -> Iterator[Batch]:
    """Do as `read_parquet`, value by value: the reference for people, tests and `verify`."""
    for records, spec, drift in _records(stream, key, contract, block_size, limits, _write_plainly):
        yield replace(check_plainly(records, spec), drift=drift)


def _records(
    stream: BinaryIO, _: str, contract: Contract, block_size: int, limits: Limits, texts: Texts
) -> Iterator[tuple[Records, Contract, str | None]]:
    """Yield the records of a file, each with the contract of its columns as they are written, and the drift."""
    size = stream.seek(0, SEEK_END)
    stream.seek(0)
    file = open_parquet(stream)
    header, schema = fit(file.schema_arrow, contract), file.schema_arrow
    placed = zip(contract.fields, header.places, strict=True)
    fields = tuple(field if place is None else native(field, schema.types[place]) for field, place in placed)
    spec, first = replace(contract, fields=fields), 1
    names, known = list[str](), list[FieldSpec]()
    for field, place in zip(fields, header.places, strict=True):
        if place is not None:
            names.append(schema.names[place])
            known.append(field)
    there = replace(spec, fields=tuple(known))
    for part in batches_of(file, [*names, *header.more_names], size, block_size, limits):
        batch = part.select(names)
        with refuse_broken():
            columns = texts(batch, there)
            more = more_texts(part.select(header.more_names)) if header.more else None
        records = _checked(batch, columns, first, there, limits.record)
        yield replace(records, columns=_in_places(records, header), more=more), spec, header.drift
        first += batch.num_rows


def _in_places(records: Records, header: Header) -> list[pa.Array]:
    """Return the columns by field, of which the file may lack some."""
    columns, nothing = iter(records.columns), pa.nulls(len(records.lines), pa.string())
    return [nothing if place is None else next(columns) for place in header.places]


def _write_columns(batch: pa.RecordBatch, contract: Contract) -> list[pa.Array]:
    return [write_column(column, field) for column, field in zip(batch.columns, contract.fields, strict=True)]


def _write_plainly(batch: pa.RecordBatch, contract: Contract) -> list[pa.Array]:
    columns = list[pa.Array]()
    for column, field in zip(batch.columns, contract.fields, strict=True):
        texts = pa.array([plain_text(value, field) for value in column], pa.binary())
        columns.append(texts.view(pa.string()))
    return columns


def _checked(batch: pa.RecordBatch, columns: list[pa.Array], first: int, contract: Contract, limit: int) -> Records:
    """Return the records of a batch, with the problems of those whose text is none, or is too long."""
    lines = np.arange(first, first + batch.num_rows)

    def raw(number: int) -> str:
        values = [_shown(column[number]) for column in columns]
        return json.dumps(dict(zip(batch.schema.names, values, strict=True)), ensure_ascii=False)[:VALUE_LIMIT]

    malformed: dict[int, list[Problem]] = {}
    for number, (rule, message, place) in _faults(columns, limit):
        column = None if place is None else contract.fields[place].name
        value = None if place is None else _shown(columns[place][number])
        malformed.setdefault(number, []).append(Problem(rule, message, int(lines[number]), column, value, raw(number)))
    if malformed:
        bad = np.zeros(batch.num_rows, bool)
        bad[[*malformed]] = True
        sound = [pc.if_else(pa.array(bad), pa.scalar(None, pa.string()), column) for column in columns]
        return Records(sound, lines, raw, malformed)
    return Records(columns, lines, raw)


def _shown(cell: pa.Scalar) -> str | None:
    return shown_text(bytes(cell.as_buffer())[:VALUE_LIMIT]) if cell.is_valid else None


def _faults(columns: Sequence[pa.Array], limit: int) -> Iterator[tuple[int, tuple[str, str, int | None]]]:
    """Yield the number of a row, and rule, message and field of what is wrong with it as text."""
    sizes = sum(pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False) for column in columns)
    for number in np.flatnonzero(sizes > limit).tolist():
        message = f"the row has {int(sizes[number]):,} bytes of text: expected at most {limit:,}"
        yield number, ("size", f"{message}; else raise PIPELINE_RECORD_MIB", None)
    for place, column in enumerate(columns):
        for number in _no_text(column):
            yield number, ("encoding", "it is not UTF-8, or has a NUL: is this text?", place)


def _no_text(column: pa.Array) -> list[int]:
    """Return the numbers of the cells that are not UTF-8, or have a NUL."""
    try:
        column.validate(full=True)
        wrong = pc.match_substring(column, "\0").fill_null(False)
        return np.flatnonzero(wrong.to_numpy(zero_copy_only=False)).tolist() if wrong.true_count else []
    except pa.ArrowInvalid:
        return [
            number for number, cell in enumerate(column.view(pa.binary()).to_pylist()) if cell and not _is_text(cell)
        ]


def _is_text(cell: bytes) -> bool:
    try:
        return "\0" not in cell.decode()
    except UnicodeDecodeError:
        return False
