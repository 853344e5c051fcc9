"""What differs between a Parquet object that should be and the one that is: named by object and line."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.model.load_record import LoadRecord, read_load_record

Row = dict[str, Any]

# What is said of a damaged Parquet file, and of JSON that has another shape.
UNREADABLE = (OSError, ValueError, OverflowError, pa.ArrowException, KeyError, TypeError, AttributeError)
SHOWN = 200  # characters of a value

_ROWS = 10_000  # rows that are looked at one by one at a time


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be: in which object, and in which line of its source."""

    key: str
    line: int | None
    what: str
    expected: str
    found: str


def compare_objects(key: str, expected: Path | None, found: Path | None) -> Iterator[Difference]:
    """Yield what differs in an object: that it is there or not, each value of its footer, and its first wrong row."""
    if expected is None or found is None:
        if expected or found:
            said = ("an object" if path else "no object" for path in (expected, found))
            yield Difference(key, None, "object", *said)
        return
    try:
        yield from compare_records(key, read_load_record(expected), read_load_record(found))
    except ValueError as error:
        yield Difference(key, None, "footer", "the record of a load", shown(error))
    try:
        yield from _compare_rows(key, expected, found)
    except UNREADABLE as error:
        yield unreadable(key, error)


def unreadable(key: str, error: Exception) -> Difference:
    """Tell of an object that Arrow cannot read."""
    return Difference(key, None, "object", "a whole Parquet file", shown(error))


def compare_records(key: str, expected: LoadRecord, found: LoadRecord) -> Iterator[Difference]:
    """Yield each value of a footer that differs."""
    other = asdict(found)
    for name, value in asdict(expected).items():
        if json.dumps(value) != json.dumps(other[name]):
            yield Difference(key, None, f"footer, {name}", shown(value), shown(other[name]))


def rows(file: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[Row]:
    """Yield the rows of a file one by one."""
    for batch in file.iter_batches(_ROWS, columns=columns):
        yield from batch.to_pylist()


def shown(value: object) -> str:
    """Give a value as a person reads it, shortened."""
    text = str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _compare_rows(key: str, expected: Path, found: Path) -> Iterator[Difference]:
    with pq.ParquetFile(expected) as one, pq.ParquetFile(found) as other:
        if one.schema_arrow != other.schema_arrow:
            yield Difference(key, None, "columns", _columns(one), _columns(other))
        elif not _same_groups(one, other):
            line = "_line" if "_line" in one.schema_arrow.names else "line"
            for row, its in zip_longest(rows(one), rows(other)):
                if repr(row) != repr(its):  # as text, for not-a-number does not equal itself
                    yield _row_difference(key, row, its, line)
                    return


def _columns(file: pq.ParquetFile) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in file.schema_arrow)


def _same_groups(one: pq.ParquetFile, other: pq.ParquetFile) -> bool:
    """Say whether all rows are equal, a row group at a time: those of a load are its blocks."""
    groups = range(one.num_row_groups)
    sizes = [[file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] for file in (one, other)]
    return sizes[0] == sizes[1] and all(one.read_row_group(n) == other.read_row_group(n) for n in groups)


def _row_difference(key: str, expected: Row | None, found: Row | None, line: str) -> Difference:
    if expected is None or found is None:
        row = expected or found or {}
        return Difference(key, row[line], "row", _row(expected, line), _row(found, line))
    names = [name for name in expected if repr(expected[name]) != repr(found[name])]
    if line in names and len(names) > 1:  # it is another record
        at = min(expected[line] or 0, found[line] or 0) or None
        return Difference(key, at, "row", _row(expected, line), _row(found, line))
    values = [shown(", ".join(f"{row[name]!r}" for name in names)) for row in (expected, found)]
    return Difference(key, expected[line], ", ".join(names), values[0], values[1])


def _row(row: Row | None, line: str) -> str:
    return "no row here" if row is None else f"the row of line {row[line]}"
