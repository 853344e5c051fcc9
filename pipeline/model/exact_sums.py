"""Exact sums: integers and fractions that can be added, subtracted and rounded once."""

import json
from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.acero

WIDEST = 76  # digits of the widest decimals of Arrow
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


def exact(value: float | Decimal | str) -> Exact:
    """Return a number in a form whose sums are exact; an integer stays one, for a fraction costs ten times as much.

    A decimal may be text, as a share has it.
    """
    return value if isinstance(value, int) else Fraction(value)


def sum_type(type_: pa.DataType) -> pa.DataType:
    """Return the type of the sums of a column: of decimals as many digits as there can be, and the same scale."""
    if pa.types.is_decimal(type_):
        return pa.decimal256(WIDEST, type_.scale) if pa.types.is_decimal256(type_) else pa.decimal128(38, type_.scale)
    return pa.int64() if pa.types.is_integer(type_) else pa.float64()


def _decimal(total: Exact, type_: pa.DataType, name: str) -> Decimal:
    precision, scale = sum_type(type_).precision, type_.scale
    units = round(total * 10**scale)  # which changes nothing, unless files of an older contract had floats there
    if abs(units) >= 10**precision:
        raise OverflowError(f"the sum of {name} has more than {precision} digits")
    return Decimal(units).scaleb(-scale, Context(prec=WIDEST))


def rounded(total: Exact, type_: pa.DataType, name: str) -> int | float | Decimal:
    """Round a sum once, to the type it is shown in; `OverflowError` if that cannot hold it: 64 bits, or 38 digits."""
    if pa.types.is_decimal(type_):
        return _decimal(total, type_, name)
    if not pa.types.is_integer(type_):
        return float(total)
    if int(total) not in INT64:
        raise OverflowError(f"the sum of {name} is {int(total):,}, which is beyond 64 bits")
    return int(total)
