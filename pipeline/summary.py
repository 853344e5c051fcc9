"""Row counts and sums by group: of a file, and merged over files so exactly that one can be taken out again.

A sum is kept as an integer or a fraction, in which every int64 and float64 is exact: the order of files never shows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contract import Summary

INT64 = range(-(2**63), 2**63)

Exact = int | Fraction
Totals = dict[str, tuple[int, dict[str, Exact]]]  # group as JSON text: rows, sum by name
Share = list[dict[str, Any]]  # what one file adds to its dataset: [{"group": {…}, "rows": n, "sums": {…}}]


@dataclass
class Groups:
    """The sums of one file, block by block."""

    spec: Summary
    totals: Totals = field(default_factory=dict)

    def add(self, rows: pa.Table) -> None:
        """Count in some rows; `OverflowError` where a float sum is not finite."""
        names = list(self.spec.groupBy)
        keys = {f"key{number}": name for number, name in enumerate(names)}  # whatever the fields are called
        sums = {f"sum{number}": name for number, name in enumerate(self.spec.sum)}
        columns = {alias: _exact(rows[name]) for alias, name in (keys | sums).items()}
        wanted = pa.table({"line": rows["_line"], **columns})  # there is a row to count even where nothing is summed
        totals = [(alias, "sum") for alias in sums]
        grouped = wanted.group_by(list(keys), use_threads=False).aggregate([*totals, ([], "count_all")])
        for row in grouped.to_pylist():
            added = {name: exact(row[f"{alias}_sum"] or 0) for alias, name in sums.items()}
            merge(self.totals, {name: _plain(row[alias]) for alias, name in keys.items()}, row["count_all"], added)

    def share(self, types: pa.Schema) -> Share:
        """Give the file's share, groups in order; `OverflowError` where an integer sum leaves 64 bits."""
        types_of = {name: types.field(name).type for name in self.spec.sum}
        return [
            {
                "group": json.loads(group),
                "rows": rows,
                "sums": {name: rounded(total, types_of[name], name) for name, total in sums.items()},
            }
            for group, (rows, sums) in sorted(self.totals.items())
        ]


def merge(totals: Totals, group: dict[str, Any], rows: int, sums: Mapping[str, Exact]) -> None:
    """Add rows and sums to a group (or take them out, where they are negative); one without rows goes away."""
    key = json.dumps(group, ensure_ascii=False)
    had, before = totals.get(key, (0, {}))
    if had + rows:
        names = dict.fromkeys([*before, *sums])
        totals[key] = (had + rows, {name: before.get(name, 0) + sums.get(name, 0) for name in names})
    else:
        totals.pop(key, None)


def exact(value: float | Decimal) -> Exact:
    """Give a number as one that sums keep exact; integers as they are, for a fraction costs ten times as much."""
    return value if isinstance(value, int) else Fraction(value)


def rounded(total: Exact, type_: pa.DataType, name: str) -> int | float:
    """Round a sum once, to the type it is shown in; `OverflowError` for an integer beyond 64 bits."""
    if not pa.types.is_integer(type_):
        return float(total)
    if int(total) not in INT64:
        raise OverflowError(f"the sum of {name} is {int(total):,}, which is beyond 64 bits")
    return int(total)


def _exact(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give integers room where their sum may need it, for Arrow's sum of int64 wraps around in silence."""
    if not pa.types.is_integer(column.type) or not len(column):
        return column
    ends = pc.min_max(column)
    largest = max(abs(ends[one].as_py() or 0) for one in ("min", "max"))
    return column if largest * len(column) in INT64 else column.cast(pa.decimal128(38, 0))


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
