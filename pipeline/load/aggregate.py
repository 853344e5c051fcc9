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

from pipeline.model.data_resource import Summary
from pipeline.model.exact_sums import INT64, WIDEST, Share, Totals, exact, merge, rounded
from pipeline.model.problem import Problem, Refused

GroupCounts = list[tuple[dict[str, Any], int, dict[str, float | Decimal | None]]]  # group, rows, sum by name


def count_groups(spec: Summary, tables: Sequence[pa.Table]) -> list[GroupCounts]:
    """Count and sum up the rows of each table by group, in one pass over all; `Refused` if a group cannot be shown."""
    if not tables:
        return []
    rows, columns = pa.concat_tables(tables), dict[str, Any]()
    for number, name in enumerate(spec.groupBy):  # aliases, whatever the fields are called
        columns[f"key{number}"] = rows[name]
    if len(tables) > 1 or not columns:  # one more key takes an eighth more time
        columns["table"] = np.repeat(np.arange(len(tables)), [*map(len, tables)])
    keys, aggregates = [*columns], list[tuple[Any, str]]([([], "count_all")])
    for number, name in enumerate(spec.sum):
        columns[f"sum{number}"] = _exact(rows[name])
        aggregates.append((f"sum{number}", "sum"))
    totals_of = pa.table(columns).combine_chunks().group_by(keys, use_threads=False).aggregate(aggregates)
    try:
        counts = totals_of.to_pylist()
    except OverflowError as error:  # a transform may have moved a date
        raise Refused(Problem("summary", f"a group is no date from year 1 to 9999: {error}")) from error
    results: list[GroupCounts] = [[] for _ in tables]
    for row in counts:
        group, sums = dict[str, Any](), dict[str, Any]()
        for number, name in enumerate(spec.groupBy):
            group[name] = _plain(row[f"key{number}"])
        for number, name in enumerate(spec.sum):
            sums[name] = row[f"sum{number}_sum"]
        results[row.get("table", 0)].append((group, row["count_all"], sums))
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
        share: Share = []
        for group, (rows, totals) in sorted(self.totals.items()):
            sums = {name: _written(rounded(total, types.field(name).type, name)) for name, total in totals.items()}
            share.append({"group": json.loads(group), "rows": rows, "sums": sums})
        return share


def _written(total: float | Decimal) -> float | str:
    """Return a sum for JSON: a decimal as text, for a number of JSON is a float."""
    return f"{total:f}" if isinstance(total, Decimal) else total


def _exact(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cast to a wider type where a sum could overflow: pyarrow's sum wraps silently."""
    if pa.types.is_decimal(column.type):
        return column.cast(pa.decimal256(WIDEST, column.type.scale))
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
