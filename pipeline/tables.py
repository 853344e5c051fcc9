"""What the commands show a person, as tables."""

import sys
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from pipeline import report
from pipeline.stage import Record
from pipeline.verify import Report


def show_status(told: report.Status) -> None:
    """Print counts and latency, by dataset and in all."""
    table = Table("dataset", *report.STATUSES, "rows kept", "p50 ms", "p95 ms", title=f"lake {told['lake']}")
    for name, one in [*told["datasets"].items(), ("all", told)]:
        counts = [f"{one['files'][status]:,}" for status in report.STATUSES]
        latency = ["-" if one["latency_ms"][p] is None else f"{one['latency_ms'][p]:,.1f}" for p in ("p50", "p95")]
        table.add_row(name, *counts, f"{one['rows']['kept']:,}", *latency)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def show_sources(rows: list[dict[str, Any]]) -> None:
    """Print files, one line each, as `report.sources` gives them."""
    table = Table("file", "status", "kept", "rejected", "attempts", "loaded at", "first problem")
    for row in rows:
        mark = " (stale)" if row["stale"] else ""
        loaded_at = f"{row['loaded_at']:%Y-%m-%d %H:%M:%S}" if row["loaded_at"] else "-"
        counts = [f"{row[name]:,}" for name in ("rows_kept", "rows_rejected", "attempts")]
        key, problem = escape(row["source_key"]), escape(row["first_problem"] or "")
        table.add_row(key, row["status"] + mark, *counts, loaded_at, problem)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if len(rows) == report.NEWEST_LOADS:
        typer.echo(f"the newest {report.NEWEST_LOADS:,}; there may be more")


def show_outcome(record: Record, problems: list[dict[str, Any]]) -> None:
    """Print what a load of one file would come to: its record, and the first of its problems."""
    for one in problems:
        place = f"line {one['line']}" if one["line"] else "the file"
        typer.echo(f"{place}{', column ' + one['column'] if one['column'] else ''}: {one['rule']}: {one['message']}")
    if (more := sum(int(count or 0) for *_, count in record.problems or []) - len(problems)) > 0:
        typer.echo(f"and {more:,} problems more")
    counts = ", ".join(
        f"{getattr(record, f'rows_{name}'):,} {name}" for name in ("read", "kept", "dropped", "rejected")
    )
    typer.echo(f"{record.source_key} would be {record.status}: {counts}; nothing was written")


def show_differences(found: Report) -> None:
    """Print what `verify` found, and what it did not look at."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    if found.differences:
        names = ("object", "line", "what", "expected", "found")
        table = Table(*(Column(name, overflow="fold") for name in names))  # a key that is cut names nothing
        for one in found.differences:
            table.add_row(*map(escape, (one.key, str(one.line or ""), one.what, one.expected, one.found)))
        console.print(table)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in found.reasons.most_common())
    told = f"{found.files:,} files verified, {found.rows:,} rows; {len(found.unverified):,} not verified"
    told += f" ({reasons})" if reasons else ""
    console.print(f"{told}; {len(found.differences):,} differences", markup=False, highlight=False)
