"""Exact sums: integers and fractions that can be added, subtracted and rounded once."""

import json
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.acero

INT64 = range(-(2**63), 2**63)

Exact = int | Fraction

Totals = dict[str, tuple[int, dict[str, Exact]]]  # group as JSON text: rows, sum by name

Share = list[dict[str, Any]]  # what one file adds to its dataset: [{"group": {…}, "rows": n, "sums": {…}}]


def merge(totals: Totals, group: dict[str, Any], rows: int, sums: Mapping[str, Exact]) -> None:
    """Add rows and sums to a group (or take them out, where they are negative); one without rows goes away."""
    key = json.dumps(group, ensure_ascii=False)
    had, before = totals.get(key, (0, {}))
    if had + rows:
        merged = dict(before)
        for name, value in sums.items():
            merged[name] = merged.get(name, 0) + value
        totals[key] = (had + rows, merged)
    else:
        totals.pop(key, None)


def exact(value: float | Decimal) -> Exact:
    """Return a number in a form whose sums are exact; an integer stays one, for a fraction costs ten times as much."""
    return value if isinstance(value, int) else Fraction(value)


def rounded(total: Exact, type_: pa.DataType, name: str) -> int | float:
    """Round a sum once, to the type it is shown in; `OverflowError` for an integer beyond 64 bits."""
    if not pa.types.is_integer(type_):
        return float(total)
    if int(total) not in INT64:
        raise OverflowError(f"the sum of {name} is {int(total):,}, which is beyond 64 bits")
    return int(total)
