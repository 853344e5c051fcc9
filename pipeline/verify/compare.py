"""Compare a Parquet object with the expected one; each difference names the object and the line."""

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

# The errors of a damaged Parquet file, and of JSON that has another shape.
UNREADABLE = (OSError, ValueError, OverflowError, pa.ArrowException, KeyError, TypeError, AttributeError)
SHOWN = 200  # characters of a value

_ROWS = 10_000  # rows that are looked at one by one at a time


@dataclass(frozen=True)
class Difference:
    """One difference: in which object, in which line of its source, what was expected and what was found."""

    key: str
    line: int | None
    what: str
    expected: str
    found: str


def compare_objects(key: str, expected: Path | None, actual: Path | None) -> Iterator[Difference]:
    """Yield how an object differs: whether it exists, each value of its footer, and its first wrong row."""
    if expected is None or actual is None:
        if expected or actual:
            yield Difference(key, None, "object", _existence(expected), _existence(actual))
        return
    try:
        yield from compare_records(key, read_load_record(expected), read_load_record(actual))
    except ValueError as error:
        yield Difference(key, None, "footer", "the record of a load", shown(error))
    try:
        yield from _compare_rows(key, expected, actual)
    except UNREADABLE as error:
        yield unreadable(key, error)


def _existence(path: Path | None) -> str:
    return "an object" if path else "no object"


def unreadable(key: str, error: Exception) -> Difference:
    """Return the difference of an object that Arrow cannot read."""
    return Difference(key, None, "object", "a whole Parquet file", shown(error))


def compare_records(key: str, expected: LoadRecord, actual: LoadRecord) -> Iterator[Difference]:
    """Yield each value of a footer that differs."""
    values = asdict(actual)
    for name, value in asdict(expected).items():
        if json.dumps(value) != json.dumps(values[name]):
            yield Difference(key, None, f"footer, {name}", shown(value), shown(values[name]))


def rows(file: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[Row]:
    """Yield the rows of a file one by one."""
    for batch in file.iter_batches(_ROWS, columns=columns):
        yield from batch.to_pylist()


def shown(value: object) -> str:
    """Return a value as a person reads it, shortened."""
    text = str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _compare_rows(key: str, expected_path: Path, actual_path: Path) -> Iterator[Difference]:
    with pq.ParquetFile(expected_path) as expected, pq.ParquetFile(actual_path) as actual:
        if expected.schema_arrow != actual.schema_arrow:
            yield Difference(key, None, "columns", _columns(expected), _columns(actual))
        elif not _same_groups(expected, actual):
            line = "_line" if "_line" in expected.schema_arrow.names else "line"
            for row, actual_row in zip_longest(rows(expected), rows(actual)):
                if repr(row) != repr(actual_row):  # as text, for not-a-number does not equal itself
                    yield _row_difference(key, row, actual_row, line)
                    return


def _columns(file: pq.ParquetFile) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in file.schema_arrow)


def _same_groups(expected: pq.ParquetFile, actual: pq.ParquetFile) -> bool:
    """Return whether all rows are equal, by row groups: those of a load are its blocks."""
    if expected.num_row_groups != actual.num_row_groups:
        return False
    return all(expected.read_row_group(n) == actual.read_row_group(n) for n in range(expected.num_row_groups))


def _row_difference(key: str, expected: Row | None, actual: Row | None, line: str) -> Difference:
    if expected is None or actual is None:
        row = expected or actual or {}
        return Difference(key, row[line], "row", _row(expected, line), _row(actual, line))
    names = [name for name in expected if repr(expected[name]) != repr(actual[name])]
    if line in names and len(names) > 1:  # it is another record
        at = min(expected[line] or 0, actual[line] or 0) or None
        return Difference(key, at, "row", _row(expected, line), _row(actual, line))
    values = [shown(", ".join(f"{row[name]!r}" for name in names)) for row in (expected, actual)]
    return Difference(key, expected[line], ", ".join(names), values[0], values[1])


def _row(row: Row | None, line: str) -> str:
    return "no row here" if row is None else f"the row of line {row[line]}"
