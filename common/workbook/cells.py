"""Cells of a sheet as they come from a workbook."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class CellError:
    """Error that a formula ended with, such as `#N/A`."""

    text: str


Cell = str | int | float | bool | date | datetime | time | timedelta | CellError  # an empty cell is the empty text


@dataclass(frozen=True, slots=True)
class Column:
    """Cells of one column of a block, in the form that is the fastest to send.

    `kind` is `float` (then `values` are the bytes of a `float64[n]`), `text`, `date` or `datetime` (then they are ISO
    8601, or the empty text), or `mixed`.
    """

    kind: str
    values: bytes | list[str] | list[Cell]


Block = tuple[int, int, int, list[Column]]  # its first row (from 1), its first column (from 0), its number of rows


def pack(cells: Sequence[Cell]) -> Column:
    """Return cells as a column."""
    kinds = set(map(type, cells))
    if kinds == {float}:
        return Column("float", array("d", cast(Sequence[float], cells)).tobytes())
    if kinds == {str}:
        return Column("text", cast(list[str], [*cells]))
    for kind in (date, datetime):
        if kinds == {kind}:
            return Column(kind.__name__, [*map(kind.isoformat, cast(Sequence[Any], cells))])
        if kinds <= {kind, str} and not any(isinstance(cell, str) and cell for cell in cells):
            return Column(kind.__name__, [cell and cast(date, cell).isoformat() for cell in cells])
    return Column("mixed", [*cells])


def join_columns(pieces: Sequence[tuple[int, list[Column]]]) -> list[Column]:
    """Join the columns of pieces, each with its number of rows, one below the other; a piece may lack the last ones."""
    joined = list[Column]()
    for place in range(max((len(columns) for _, columns in pieces), default=0)):
        parts = [
            columns[place] if place < len(columns) else Column("text", [""] * height) for height, columns in pieces
        ]
        joined.append(_joined(parts))
    return joined


def _joined(parts: Sequence[Column]) -> Column:
    kinds = {part.kind for part in parts}
    if kinds == {"float"}:
        return Column("float", b"".join(cast(bytes, part.values) for part in parts))
    if len(kinds) == 1:
        return Column(parts[0].kind, cast(list[str], [*chain.from_iterable(part.values for part in parts)]))
    return Column("mixed", [*chain.from_iterable(map(unpack, parts))])


def unpack(column: Column) -> list[Cell]:
    """Return the cells of a column."""
    if column.kind == "float":
        assert isinstance(column.values, bytes)
        return [*array("d", column.values)]
    if column.kind in _FROM_ISO:
        parse = _FROM_ISO[column.kind]
        return [parse(text) if text else "" for text in column.values]
    return [*column.values]


_FROM_ISO: dict[str, Callable[[Any], Cell]] = {"date": date.fromisoformat, "datetime": datetime.fromisoformat}


def clock_text(value: timedelta) -> str:
    """Return a duration as a spreadsheet shows it: `30:00:00`."""
    minutes, rest = divmod(abs(value) // timedelta(microseconds=1), 60_000_000)
    seconds, fraction = divmod(rest, 1_000_000)
    decimals = f".{fraction:06}".rstrip("0") if fraction else ""
    return f"{'-' * (value < timedelta())}{minutes // 60}:{minutes % 60:02}:{seconds:02}{decimals}"


def column_letters(number: int) -> str:
    """Return a spreadsheet's name of a column, from 0: A to Z, AA, and so on."""
    letters = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return letters
