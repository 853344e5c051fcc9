"""Row counts and sums by group: of a file, and merged over files so exactly that a file can be taken out again.

A sum is kept as an integer or a fraction, in which every int64 and float64 is exact: the order of files never shows.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.acero
import pyarrow.compute as pc

from pipeline.model.contract import Summary
from pipeline.model.exact import INT64, Share, Totals, exact, merge, rounded
from pipeline.model.problem import Problem, Refused

GroupCounts = list[tuple[dict[str, Any], int, dict[str, float | Decimal | None]]]  # group, rows, sum by name


def count_groups(spec: Summary, tables: Sequence[pa.Table]) -> list[GroupCounts]:
    """Count and sum up the rows of each table by group, in one pass over all; `Refused` if a group cannot be shown."""
    if not tables:
        return []
    rows = pa.concat_tables(tables)
    keys = {f"key{number}": name for number, name in enumerate(spec.groupBy)}  # whatever the fields are called
    sums = {f"sum{number}": name for number, name in enumerate(spec.sum)}
    columns = {alias: rows[name] for alias, name in keys.items()}
    columns |= {alias: _exact(rows[name]) for alias, name in sums.items()}
    if len(tables) > 1 or not keys:  # one more key takes an eighth more time
        columns["table"] = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    alike = [name for name in columns if name not in sums]
    grouped = pa.table(columns).combine_chunks().group_by(alike, use_threads=False)
    totals_of = grouped.aggregate([*((alias, "sum") for alias in sums), ([], "count_all")])
    try:
        counts = totals_of.to_pylist()
    except OverflowError as error:  # a transform may have moved a date
        raise Refused(Problem("summary", f"a group is no date from year 1 to 9999: {error}")) from error
    results: list[GroupCounts] = [[] for _ in tables]
    for row in counts:
        group = {name: _plain(row[alias]) for alias, name in keys.items()}
        totals = {name: row[f"{alias}_sum"] for alias, name in sums.items()}
        results[row.get("table", 0)].append((group, row["count_all"], totals))
    return results


@dataclass
class Groups:
    """The sums of one file, block by block."""

    totals: Totals = field(default_factory=dict)

    def add(self, counts: GroupCounts) -> None:
        """Add the counts of some rows; `OverflowError` or `ValueError` if a float sum is not finite."""
        for group, rows, sums in counts:
            merge(self.totals, group, rows, {name: exact(total or 0) for name, total in sums.items()})

    def share(self, types: pa.Schema) -> Share:
        """Return the file's share, ordered by group; `OverflowError` if an integer sum leaves 64 bits."""
        return [
            {
                "group": json.loads(group),
                "rows": rows,
                "sums": {name: rounded(total, types.field(name).type, name) for name, total in sums.items()},
            }
            for group, (rows, sums) in sorted(self.totals.items())
        ]


def _exact(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cast to decimal128 where an int64 sum could overflow: pyarrow's sum wraps silently."""
    if not pa.types.is_integer(column.type) or not len(column):
        return column
    ends = pc.min_max(column)
    largest = max(abs(ends["min"].as_py() or 0), abs(ends["max"].as_py() or 0))
    return column if largest * len(column) in INT64 else column.cast(pa.decimal128(38, 0))


def _plain(value: object) -> object:
    """Return a value of a group for JSON: zero has one sign, as in SQL; a time or a decimal is text."""
    if isinstance(value, float):
        return value + 0.0
    return value if value is None or isinstance(value, str | int | bool) else str(value)
