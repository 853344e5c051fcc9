"""Compare a lake with the answer key of an exam, by its objects alone, whatever pipeline wrote them."""

import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from common.errors import SettingError
from lake.layout import CLEAN, clean_key, rejected_key, summary_key
from lake.stores.base import ObjectStore
from simulator.exam.case import SHAPES, Shape, digest
from simulator.exam.exam import summed
from simulator.exam.report import SUMMARY, Report

CLOSE = 1e-9  # two sums of the same floats in another order differ by less

Cells = tuple[Any, ...]


class Unreadable(ValueError):
    """The object is not Parquet, or lacks a column."""


def read_key(path: Path) -> dict[str, Any]:
    """Read an answer key; `SettingError` if the file is not an answer key."""
    try:
        answers: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = answers["files"][0]["key"], answers["summary"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SettingError(f"--key is {str(path)!r}: expected the key that `exam` wrote ({error})") from error
    return answers


def grade(store: ObjectStore, answers: dict[str, Any]) -> Report:
    """Compare a lake with an answer key."""
    report = Report(contracts=answers.get("contracts", {}))
    for answer in answers["files"]:
        report.note(answer["fault"], *judged(store, answer))
    for dataset in answers["summary"]:
        _grade_summary(store, dataset, answers, report)
    return report


def _grade_summary(store: ObjectStore, dataset: str, answers: dict[str, Any], report: Report) -> None:
    """Compare the published summary; if the lake has other files too, the sums of the exam's own clean objects."""
    own = {clean_key(one["key"]) for one in answers["files"] if one["dataset"] == dataset}
    alone = all(item.key in own for item in store.list(f"{CLEAN}{dataset}/"))
    if not alone:
        report.notes.append(
            f"{dataset}: the lake has files that are not of this exam, so not its published summary was compared,"
            " but one computed from the clean objects of the exam's files"
        )
    key = summary_key(dataset) if alone else f"{CLEAN}{dataset}/"
    try:
        rows = _published(store, dataset) if alone else _sums(store, dataset, own)
        message = _summary_mistake(SHAPES[dataset], rows, answers["summary"][dataset])
    except Unreadable as error:
        message = str(error)
    except (TypeError, ValueError, OverflowError) as error:
        message = f"it cannot be added up: {error}"
    report.note(SUMMARY, key, message)


def _summary_mistake(shape: Shape, rows: list[Cells], expected: list[dict[str, Any]]) -> str:
    by_group = {row[0]: row for row in rows}
    for group in expected:
        row = by_group.pop(group[shape.group], None)
        if row is None:
            return f"{shape.group} {group[shape.group]!r} is missing"
        for name, value in zip((shape.group, "rows", *shape.sums), row, strict=True):
            if not _same(value, group[name]):
                return f"{shape.group} {row[0]!r}: {name} is {value}, expected {group[name]}"
    return f"{shape.group} {next(iter(by_group))!r} must not be there" if by_group else ""


def _same(one: Any, other: Any) -> bool:
    both_floats = isinstance(one, float) and isinstance(other, float)
    return math.isclose(one, other, rel_tol=CLOSE) if both_floats else bool(one == other)


def _published(store: ObjectStore, dataset: str) -> list[Cells]:
    shape = SHAPES[dataset]
    rows = read_columns(store, summary_key(dataset), [shape.group, "rows", *shape.sums])
    if rows is None:
        raise Unreadable("it is missing")
    return rows


def _sums(store: ObjectStore, dataset: str, keys: Iterable[str]) -> list[Cells]:
    """Sum up clean objects as a published summary would."""
    columns = [SHAPES[dataset].group, *SHAPES[dataset].sums]
    records = (record for key in keys for record in read_columns(store, key, columns) or [])
    return summed((group, [one or 0 for one in numbers]) for group, *numbers in records)


def judged(store: ObjectStore, answer: dict[str, Any]) -> tuple[str, str]:
    """Return the key of an object with a mistake and a message; an empty message if the file is right."""
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
    expectation = f"the file must be {answer['status']}"
    if answer["status"] != "loaded":
        return "" if read_columns(store, key, []) is None else f"it is there: {expectation}"
    shape = SHAPES[answer["dataset"]]
    columns = read_columns(store, key, ["_line", *shape.texts, *shape.sums])
    if columns is None:
        return f"it is missing: {expectation}"
    width = len(shape.texts) + 1
    rows = [(row[0], digest(row[1:width]), *row[width:]) for row in columns]
    return _first_difference(rows, list(map(tuple, answer["kept"])), shape)


def _first_difference(actual: Sequence[Cells], expected: Sequence[Cells], shape: Shape) -> str:
    lines, wanted = Counter(row[0] for row in actual), Counter(row[0] for row in expected)
    if missing := sorted(wanted - lines):
        return f"line {missing[0]} must be kept, and is not there ({len(missing)} such lines)"
    if extra := sorted((lines - wanted).elements(), key=str):
        return f"line {extra[0]} must not be there, or not so often ({len(extra)} such rows)"
    known = {row[0]: row for row in actual}
    for line, texts, *sums in expected:
        _, actual_texts, *actual_sums = known[line]
        if actual_texts != texts:
            return f"line {line}: the text of {', '.join(shape.texts)} is not what the file says"
        for name, one, other in zip(shape.sums, actual_sums, sums, strict=True):
            if one != other:
                return f"line {line}: {name} is {one}, expected {other}"
    return ""


def _rejected_mistake(store: ObjectStore, key: str, answer: dict[str, Any]) -> str:
    refused = [(None, None, answer["rule"])] if answer["status"] == "refused" else []
    expected = Counter([*refused, *map(tuple, answer["rejected"])])
    actual = Counter(map(tuple, read_columns(store, key, ["line", "column", "rule"]) or []))
    if missing := list((expected - actual).elements()):
        return f"{_place(missing[0])} must be there, and is not ({len(missing)} such problems)"
    if extra := list((actual - expected).elements()):
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
