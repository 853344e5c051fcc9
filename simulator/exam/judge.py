"""One file's objects in the lake against its answer: what is wrong first."""

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq

from lake.layout import clean_key, rejected_key
from lake.stores.base import ObjectStore
from simulator.exam.case import SHAPES, Shape, digest

Cells = tuple[Any, ...]


class Unreadable(ValueError):
    """An object is no Parquet, or lacks a column."""


def judged(store: ObjectStore, answer: dict[str, Any]) -> tuple[str, str]:
    """Give the object that is wrong and the first thing that is; an empty message if all is right."""
    checks = ((clean_key(answer["key"]), _clean_mistake), (rejected_key(answer["key"]), _rejected_mistake))
    for key, check in checks:
        try:
            message = check(store, key, answer)
        except Unreadable as error:
            message = str(error)
        if message:
            return key, message
    return answer["key"], ""


def _clean_mistake(store: ObjectStore, key: str, answer: dict[str, Any]) -> str:
    said = f"the file must be {answer['status']}"
    if answer["status"] != "loaded":
        return "" if read_columns(store, key, []) is None else f"it is there: {said}"
    shape = SHAPES[answer["dataset"]]
    found = read_columns(store, key, ["_line", *shape.texts, *shape.sums])
    if found is None:
        return f"it is missing: {said}"
    width = len(shape.texts) + 1
    rows = [(row[0], digest(row[1:width]), *row[width:]) for row in found]
    return _first_difference(rows, list(map(tuple, answer["kept"])), shape)


def _first_difference(found: Sequence[Cells], expected: Sequence[Cells], shape: Shape) -> str:
    lines, wanted = Counter(row[0] for row in found), Counter(row[0] for row in expected)
    if missing := sorted(wanted - lines):
        return f"line {missing[0]} must be kept, and is not there ({len(missing)} such lines)"
    if extra := sorted((lines - wanted).elements(), key=str):
        return f"line {extra[0]} must not be there, or not so often ({len(extra)} such rows)"
    known = {row[0]: row for row in found}
    for line, texts, *sums in expected:
        _, found_texts, *found_sums = known[line]
        if found_texts != texts:
            return f"line {line}: the text of {', '.join(shape.texts)} is not what the file says"
        for name, one, other in zip(shape.sums, found_sums, sums, strict=True):
            if one != other:
                return f"line {line}: {name} is {one}, expected {other}"
    return ""


def _rejected_mistake(store: ObjectStore, key: str, answer: dict[str, Any]) -> str:
    refused = [(None, None, answer["rule"])] if answer["status"] == "refused" else []
    expected = Counter([*refused, *map(tuple, answer["rejected"])])
    found = Counter(map(tuple, read_columns(store, key, ["line", "column", "rule"]) or []))
    if missing := list((expected - found).elements()):
        return f"{_place(missing[0])} must be there, and is not ({len(missing)} such problems)"
    if extra := list((found - expected).elements()):
        return f"{_place(extra[0])} must not be there ({len(extra)} such problems)"
    return ""


def _place(problem: Cells) -> str:
    line, column, rule = problem
    where = f"line {line}" if line is not None else "the file as a whole"
    return f"{where}{f', column {column}' if column else ''}: rule {rule}"


def read_columns(store: ObjectStore, key: str, columns: Sequence[str]) -> list[Cells] | None:
    """Read some columns of a Parquet object row by row; None if there is no such object."""
    try:
        with store.open(key) as (_, stream):
            content = stream.read()
    except FileNotFoundError:
        return None
    if not columns:
        return []
    try:
        table = pq.read_table(io.BytesIO(content)).select(list(columns))
    except (OSError, ValueError, KeyError) as error:
        raise Unreadable(f"it cannot be read: {error}") from error
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
