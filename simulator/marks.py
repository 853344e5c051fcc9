"""What `grade` prints: a table of the kinds of fault, the first mistakes, the score."""

import json
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulator.grade import Report

SHOWN = 20  # mistakes


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
    console.print(f"score: {report.score:g} %")


def _table(report: Report) -> Table:
    table = Table("Fault")
    for name in ("Files", "Right", "Wrong"):
        table.add_column(name, justify="right")
    wrong = report.wrong
    for fault, files in sorted(report.files.items()):
        style = "red" if wrong[fault] else None
        table.add_row(fault, str(files), str(files - wrong[fault]), str(wrong[fault] or ""), style=style)
    table.add_section()
    table.add_row("all", str(report.files.total()), str(report.files.total() - wrong.total()), str(wrong.total() or ""))
    return table


def _plain(report: Report) -> dict[str, object]:
    kinds = {fault: {"files": files, "wrong": report.wrong[fault]} for fault, files in sorted(report.files.items())}
    mistakes = [asdict(mistake) for mistake in report.mistakes]
    return {"score": report.score, "faults": kinds, "mistakes": mistakes, "notes": report.notes}
