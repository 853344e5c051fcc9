"""The lake against the answer key of an exam: by its objects alone, whatever pipeline made them."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import SettingError
from lake.layout import CLEAN, clean_key, summary_key
from lake.stores.base import ObjectStore
from simulator.exam.case import SHAPES, Shape
from simulator.exam.exam import summed
from simulator.exam.judge import Cells, Unreadable, judged, read_columns

SUMMARY = "summary"  # stands in the table as a kind of its own
CLOSE = 1e-9  # two sums of the same floats in another order differ by less


@dataclass(frozen=True, slots=True)
class Mistake:
    """The first thing that is wrong with an object."""

    fault: str
    key: str
    message: str


@dataclass
class Report:
    """What a pipeline got right, by kind of fault, and what not; and the contracts that the answers hold for."""

    files: Counter[str] = field(default_factory=Counter)
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    contracts: Mapping[str, str] = field(default_factory=dict)

    @property
    def wrong(self) -> Counter[str]:
        """Count the mistakes by kind."""
        return Counter(mistake.fault for mistake in self.mistakes)

    @property
    def score(self) -> float:
        """Give the share of what is right, in percent; 100 only if all of it is."""
        whole = self.files.total()
        return math.floor(1000 * (whole - len(self.mistakes)) / whole) / 10

    def note(self, fault: str, key: str, message: str) -> None:
        """Count a file in, and its mistake if there is a message."""
        self.files[fault] += 1
        if message:
            self.mistakes.append(Mistake(fault, key, message))


def read_key(path: Path) -> dict[str, Any]:
    """Read an answer key; `SettingError` if the file is none."""
    try:
        answers: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = answers["files"][0]["key"], answers["summary"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SettingError(f"--key is {str(path)!r}: expected the key that `exam` wrote ({error})") from error
    return answers


def grade(store: ObjectStore, answers: dict[str, Any]) -> Report:
    """Compare what is in the lake with an answer key."""
    report = Report(contracts=answers.get("contracts", {}))
    for answer in answers["files"]:
        report.note(answer["fault"], *judged(store, answer))
    for dataset in answers["summary"]:
        _grade_summary(store, dataset, answers, report)
    return report


def _grade_summary(store: ObjectStore, dataset: str, answers: dict[str, Any], report: Report) -> None:
    """Compare the published summary, or where there are others in it too, one of the exam's own clean objects."""
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
    found = {row[0]: row for row in rows}
    for group in expected:
        row = found.pop(group[shape.group], None)
        if row is None:
            return f"{shape.group} {group[shape.group]!r} is missing"
        for name, value in zip((shape.group, "rows", *shape.sums), row, strict=True):
            if not _same(value, group[name]):
                return f"{shape.group} {row[0]!r}: {name} is {value}, expected {group[name]}"
    return f"{shape.group} {next(iter(found))!r} must not be there" if found else ""


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
