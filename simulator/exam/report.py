"""Report of an exam: the files by kind of fault and the mistakes among them, and how they are printed."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table

SUMMARY = "summary"  # stands in the table as a kind of its own
SHOWN = 20  # mistakes
OTHERS = "a pipeline that loads by other contracts or transforms has other results: see PIPELINE_DATASETS"


@dataclass(frozen=True, slots=True)
class Mistake:
    """The first difference of an object."""

    fault: str
    key: str
    message: str


@dataclass
class Report:
    """Files by kind of fault, the mistakes among them, and the contracts that the answers hold for."""

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
        """Return the percentage of files that are right, rounded down: 100 means all of them."""
        whole = self.files.total()
        return math.floor(1000 * (whole - len(self.mistakes)) / whole) / 10

    def note(self, fault: str, key: str, message: str) -> None:
        """Count a file, and a mistake if there is a message."""
        self.files[fault] += 1
        if message:
            self.mistakes.append(Mistake(fault, key, message))


def print_report(report: Report, *, as_json: bool) -> None:
    """Print a report for a person, or for a script."""
    if as_json:
        print(json.dumps(_plain(report), indent=1, ensure_ascii=False))
        return
    console = Console()
    console.print(_table(report))
    for mistake in report.mistakes[:SHOWN]:
        console.print(f"[red]wrong[/] {escape(mistake.key)}: {escape(mistake.message)}", soft_wrap=True)
    if len(report.mistakes) > SHOWN:
        console.print(f"and {len(report.mistakes) - SHOWN} more: --json names them all")
    for note in report.notes:
        console.print(f"note: {note}", soft_wrap=True)
    if report.contracts:
        named = ", ".join(map(" ".join, report.contracts.items()))
        console.print(f"the answers hold for {named}, which are in simulator/exam/datasets", soft_wrap=True)
        if report.mistakes:
            console.print(f"note: {OTHERS}", soft_wrap=True)
    files, sums = report.files.total() - report.files[SUMMARY], report.files[SUMMARY]
    console.print(f"score: {report.score:g} % of {files} files and {sums} summaries")


def _table(report: Report) -> Table:
    table = Table("Fault")
    for name in ("Files", "Right", "Wrong"):
        table.add_column(name, justify="right")
    wrong = report.wrong
    kinds = sorted(set(report.files) - {SUMMARY})

    def add(name: str, files: int, mistakes: int) -> None:
        table.add_row(name, str(files), str(files - mistakes), str(mistakes or ""), style="red" if mistakes else None)

    for fault in kinds:
        add(fault, report.files[fault], wrong[fault])
    table.add_section()
    add(f"{len(kinds)} kinds", sum(report.files[one] for one in kinds), sum(wrong[one] for one in kinds))
    add("summaries", report.files[SUMMARY], wrong[SUMMARY])
    return table


def _plain(report: Report) -> dict[str, object]:
    kinds = {fault: {"files": files, "wrong": report.wrong[fault]} for fault, files in sorted(report.files.items())}
    sums = kinds.pop(SUMMARY)
    mistakes = [asdict(mistake) for mistake in report.mistakes]
    content = {"score": report.score, "faults": kinds, "summaries": sums, "mistakes": mistakes}
    return {**content, "notes": report.notes, "contracts": report.contracts}
