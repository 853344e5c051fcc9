"""Exam for a pipeline: files with known outcomes in a lake, and an answer key outside of it."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from lake.layout import RAW
from lake.stores.base import ObjectStore
from simulator.batch import put_all
from simulator.exam.bad_files import WHOLES, bomb
from simulator.exam.bad_records import FAULTS
from simulator.exam.case import SHAPES, Draw, File, Kind, Number, good_rows
from simulator.exam.dialects import DIALECTS
from simulator.exam.file_encodings import FORM_KINDS
from simulator.exam.odd_records import ODDITIES
from simulator.exam.payments import PAYMENT_KINDS
from simulator.exam.record_files import RECORD_FILES
from simulator.exam.stock import STOCK_KINDS
from simulator.exam.workbooks import WORKBOOKS

CONTRACTS = Path(__file__).parent / "datasets"
KINDS: dict[str, Kind] = {
    **WHOLES,
    **FORM_KINDS,
    **ODDITIES,
    **FAULTS,
    **RECORD_FILES,
    **STOCK_KINDS,
    **PAYMENT_KINDS,
    **DIALECTS,
    **WORKBOOKS,
}


@dataclass(frozen=True, slots=True)
class Question:
    """File of an exam: its key, its kind, and its bytes with the expected outcome."""

    key: str
    fault: str
    file: File


@dataclass(frozen=True, slots=True)
class Exam:
    """All files of an exam."""

    seed: int
    questions: Sequence[Question]

    def deliveries(self) -> Iterator[tuple[str, bytes]]:
        """Yield keys and bytes in the order of delivery: mixed, but the versions of one file in their order."""
        turns = [number for number, one in enumerate(self.questions) for _ in one.file.versions]
        Random(f"{self.seed}/order").shuffle(turns)
        versions = [iter(one.file.versions) for one in self.questions]
        for number in turns:
            yield self.questions[number].key, next(versions[number])

    def answers(self) -> dict[str, Any]:
        """Return the answer key, in the form of its JSON file."""
        return {
            "seed": self.seed,
            "contracts": contracts(),
            "files": [_answer(one) for one in self.questions],
            "summary": {dataset: self._summary(dataset) for dataset in SHAPES},
        }

    def _summary(self, dataset: str) -> list[dict[str, Any]]:
        """Return the expected summary of a dataset, over all its files."""
        shape, files = SHAPES[dataset], [one.file for one in self.questions if one.file.dataset == dataset]
        rows = sorted(summed((kept.group, kept.sums) for file in files for kept in file.answer.kept))
        return [dict(zip((shape.group, "rows", *shape.sums), row, strict=True)) for row in rows]


def contracts() -> dict[str, str]:
    """Return the contracts and transforms that the answers hold for: names, with the first digits of their SHA-256."""
    paths = [path for kind in ("*.json", "[!_]*.py") for path in CONTRACTS.glob(kind)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in sorted(paths)}


def summed(records: Iterable[tuple[str, Sequence[Number]]]) -> list[tuple[Any, ...]]:
    """Sum up records (group, numbers): return one tuple per group, with its number of records and its sums."""
    groups = defaultdict(list)
    for group, numbers in records:
        groups[group].append(numbers)
    return [(group, len(rows), *map(total, zip(*rows, strict=True))) for group, rows in groups.items()]


def total(numbers: Sequence[Number]) -> Number:
    """Add up numbers: integers exactly, floats with a single rounding."""
    return sum(numbers) if all(isinstance(one, int) for one in numbers) else math.fsum(numbers)


def _answer(question: Question) -> dict[str, Any]:
    answer = asdict(question.file.answer)
    kept = [[one.line, one.texts, *one.sums] for one in question.file.answer.kept]
    return {"key": question.key, "dataset": question.file.dataset, "fault": question.fault, **answer, "kept": kept}


def make_exam(seed: int, files: int, share: float, *, with_bomb: bool = False) -> Exam:
    """Draw the files of an exam: each kind once, and again from the first until there are enough."""
    names = list(KINDS)
    Random(f"{seed}/kinds").shuffle(names)
    drawn = [(names[number % len(names)], KINDS[names[number % len(names)]]) for number in range(files)]
    if with_bomb:
        drawn.append(("decompression bomb", Kind(bomb)))
    return Exam(seed, [_question(seed, number, name, kind, share) for number, (name, kind) in enumerate(drawn)])


def _question(seed: int, number: int, fault: str, kind: Kind, share: float) -> Question:
    chance = Random(f"{seed}/{number}")
    dataset = chance.choice(kind.datasets)
    file = kind.make(Draw(dataset, good_rows(dataset, seed, number), chance, share))
    return Question(f"{RAW}{file.dataset}/exam/{seed}/{number:04d}-{fault.replace(' ', '-')}{file.name}", fault, file)


def put(store: ObjectStore, exam: Exam) -> str:
    """Put an exam into the lake, waiting while the store is unavailable, and return a summary line."""
    deliveries = list(exam.deliveries())
    size = put_all(store, deliveries, len(deliveries), "exam")
    return f"put {len(exam.questions)} files in {len(deliveries)} deliveries, {size} bytes, in {store.url}"


def write_key(exam: Exam, path: Path) -> None:
    """Write the answer key, one file of the exam per line."""
    answers = exam.answers()
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in answers["files"])
    seed, named, summary = (json.dumps(answers[name], ensure_ascii=False) for name in ("seed", "contracts", "summary"))
    text = f'{{"seed": {seed},\n"contracts": {named},\n"files": [\n{lines}\n],\n"summary": {summary}}}\n'
    path.write_text(text, encoding="utf-8")
