"""One CSV stream to two staged Parquet files, good rows and problems, and the record of the load in their footers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.reader.blocks import Block, read_blocks
from pipeline.reader.explain import explain
from pipeline.reader.masks import check_column
from pipeline.reader.problem import Problem, Refused
from pipeline.recipe import Dataset, to_frame
from pipeline.summary import Groups, Share

FOOTER = b"lakelet"
LINEAGE = [pa.field("_source_key", pa.string()), pa.field("_line", pa.int64())]
REJECTED_SCHEMA = pa.schema(
    [("source_key", pa.string()), ("line", pa.int64())]
    + [(name, pa.string()) for name in ("column", "rule", "value", "message", "raw")]
)


@dataclass(frozen=True)
class Record:
    """What one load did, with no clock, host or chance in it: the same version and recipe give the same record."""

    source_key: str
    dataset: str
    etag: str
    size: int
    recipe: str
    status: str = "loaded"
    rows_read: int = 0
    rows_kept: int = 0
    rows_dropped: int = 0
    rows_rejected: int = 0
    first_problem: str | None = None
    share: Share | None = None

    @property
    def footer(self) -> dict[bytes, bytes]:
        """The record as Parquet's key and value."""
        return {FOOTER: json.dumps(asdict(self), ensure_ascii=False).encode()}


@dataclass(frozen=True)
class Staged:
    """A load that is ready to be put: the record, and the files that it has."""

    record: Record
    clean: Path | None
    rejected: Path | None


def read_record(file: BinaryIO) -> Record:
    """Read the record of a load from a clean or rejected object; `ValueError` if it is none of ours."""
    metadata = pq.read_metadata(file).metadata or {}
    if FOOTER not in metadata:
        raise ValueError("it has no record of a load in its footer")
    return Record(**json.loads(metadata[FOOTER]))


def stage(stream: BinaryIO, record: Record, dataset: Dataset | None, place: Path) -> Staged:
    """Read, check and convert one version of a file into `place`; a file that cannot be loaded has a problem alone."""
    try:
        if dataset is None:
            name = record.dataset
            raise Refused(Problem("contract", f"there is no contract for {name!r}: add pipeline/datasets/{name}.json"))
        clean, record = _stage_clean(stream, record, dataset, place)
        return Staged(record, clean, None)
    except Refused as refusal:
        record = replace(record, status="refused", first_problem=str(refusal))
        return Staged(record, None, _stage_rejected([refusal.problem], record, place))


def _stage_clean(stream: BinaryIO, record: Record, dataset: Dataset, place: Path) -> tuple[Path, Record]:
    path, groups, read, kept = place.with_suffix(".clean"), Groups(dataset.contract.summary), 0, 0
    schema = pa.schema([*dataset.schema, *LINEAGE])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in read_blocks(stream, record.source_key, dataset.contract):
            typed = _typed(block, dataset)
            rows = _transformed(typed, dataset)
            read, kept = read + typed.num_rows, kept + rows.num_rows
            groups.add(rows)
            lines = rows["_line"].combine_chunks()
            source = pa.repeat(pa.scalar(record.source_key), rows.num_rows)
            writer.write_table(pa.table([*(rows[name] for name in dataset.schema.names), source, lines], schema=schema))
        with _summary_refused():
            share = groups.share(dataset.schema)
        record = replace(record, rows_read=read, rows_kept=kept, rows_dropped=read - kept, share=share)
        writer.add_key_value_metadata(record.footer)
    return path, record


def _stage_rejected(problems: list[Problem], record: Record, place: Path) -> Path:
    path = place.with_suffix(".rejected")
    rows = [{"source_key": record.source_key, **asdict(problem)} for problem in problems]
    with pq.ParquetWriter(path, REJECTED_SCHEMA, compression="zstd") as writer:
        writer.write_table(pa.Table.from_pylist(rows, REJECTED_SCHEMA))
        writer.add_key_value_metadata(record.footer)
    return path


def _typed(block: Block, dataset: Dataset) -> pa.Table:
    """Cast and check a block; the first record that breaks a rule refuses the file."""
    contract = dataset.contract
    columns, wrong = [], np.zeros(len(block.lines), bool)
    for field, text in zip(contract.fields, block.columns, strict=True):
        values, bad = check_column(pa.array(text, pa.string()), field, contract.missing)
        columns.append(values)
        wrong |= bad.to_numpy(zero_copy_only=False)
    if wrong.any():
        raise Refused(_first_problem(block, dataset, int(wrong.argmax())))
    schema = contract.schema.append(pa.field("_line", pa.int64()))
    return pa.table([*columns, pa.array(block.lines, pa.int64())], schema=schema)


def _first_problem(block: Block, dataset: Dataset, row: int) -> Problem:
    cells = [column[row] for column in block.columns]
    for field, cell in zip(dataset.contract.fields, cells, strict=True):
        for rule, message in explain(cell, field, dataset.contract.missing):
            raw = dataset.contract.delimiter.join(cells)
            return Problem(rule, message, block.lines[row], field.name, cell, raw)
    raise AssertionError(f"line {block.lines[row]} was marked as bad, and no rule says why")


def _transformed(typed: pa.Table, dataset: Dataset) -> pa.Table:
    """Run the transform and hold it to its rules."""
    if dataset.transform is None:
        return typed
    schema = dataset.schema.append(pa.field("_line", pa.int64()))
    with _transform_refused():
        rows = pa.Table.from_pandas(dataset.transform(to_frame(typed)), schema=schema, preserve_index=False)
        lines = rows["_line"].to_numpy()
        if (np.diff(lines) <= 0).any() or not pc.all(pc.is_in(rows["_line"], value_set=typed["_line"])).as_py():
            raise ValueError("_line must stay an increasing part of the lines that came in")
    return rows


@contextmanager
def _transform_refused() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise Refused(Problem("transform", f"the transform failed: {error!r}")) from error


@contextmanager
def _summary_refused() -> Iterator[None]:
    try:
        yield
    except OverflowError as error:
        raise Refused(Problem("summary", str(error))) from error
