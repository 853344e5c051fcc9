"""What the commands show a person, as tables."""

import sys
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from common.logs import printable
from lake.status import Files, Progress, Rows, Status
from pipeline.ledger import report
from pipeline.model.load_record import LoadRecord
from pipeline.verify.verify import Report


def show_status(status: Status) -> None:
    """Print the files by status, the rows by outcome, and the latency; by dataset and in all."""
    sections: dict[str, Progress] = dict(status.datasets)
    if folders := status.no_contract.folders:
        sections[f"no contract ({folders:,})"] = status.no_contract
    sections["all"] = status
    files = _numbers("files", *Files.model_fields)
    rows = _numbers("rows", *Rows.model_fields, "p50 ms", "p95 ms", "p99 ms")
    for name, progress in sections.items():
        files.add_row(name, *(f"{count:,}" for _, count in progress.files))
        latency = ("-" if time is None else f"{time:,.1f}" for _, time in progress.latency_ms)
        rows.add_row(name, *(f"{count:,}" for _, count in progress.rows), *latency)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"lake {status.lake}", highlight=False)
    console.print(files, rows, sep="")
    if names := status.no_contract.names:
        more = f" and {folders - len(names):,} more" if folders > len(names) else ""
        named = ", ".join(printable(f"raw/{name}/") for name in names)
        typer.echo(f"no contract: {named}{more}; `status --status refused` has the reason of each file")


def _numbers(*names: str) -> Table:
    """Return an empty table of numbers; its first column says whose they are."""
    columns = (Column(name, justify="right", no_wrap=True) for name in names[1:])
    return Table(names[0], *columns, box=box.SIMPLE_HEAD, pad_edge=False)


def show_sources(rows: list[dict[str, Any]]) -> None:
    """Print files, one line each, as `report.sources` gives them."""
    table = Table("file", "status", "kept", "rejected", "attempts", "loaded at", "first problem")
    for row in rows:
        mark = " (stale)" if row["stale"] else ""
        loaded_at = f"{row['loaded_at']:%Y-%m-%d %H:%M:%S}" if row["loaded_at"] else "-"
        counts = [f"{row[name]:,}" for name in ("rows_kept", "rows_rejected", "attempts")]
        key, problem = _safe(row["source_key"]), _safe(row["first_problem"] or "")
        table.add_row(key, row["status"] + mark, *counts, loaded_at, problem)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if len(rows) == report.NEWEST_LOADS:
        typer.echo(f"the newest {report.NEWEST_LOADS:,}; there may be more")


def _safe(text: str) -> str:
    """Return a text that neither the table nor the terminal takes for markup."""
    return escape(printable(text))


def show_outcome(record: LoadRecord, problems: list[dict[str, Any]]) -> None:
    """Print what a load of one file would come to: its record, and the first of its problems."""
    for one in problems:
        place = f"line {one['line']}" if one["line"] else "the file"
        column = f", column {one['column']}" if one["column"] else ""
        typer.echo(printable(f"{place}{column}: {one['rule']}: {one['message']}"))
    if (more := sum(int(count or 0) for *_, count in record.problems or []) - len(problems)) > 0:
        typer.echo(f"and {more:,} problems more")
    counts = ", ".join(
        f"{getattr(record, f'rows_{name}'):,} {name}" for name in ("read", "kept", "dropped", "rejected")
    )
    typer.echo(f"{printable(record.source_key)} would be {record.status}: {counts}; nothing was written")


def show_differences(found: Report) -> None:
    """Print what `verify` found, and what it did not look at."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    if found.differences:
        names = ("object", "line", "what", "expected", "found")
        table = Table(*(Column(name, overflow="fold") for name in names))  # a key that is cut names nothing
        for one in found.differences:
            table.add_row(*map(_safe, (one.key, str(one.line or ""), one.what, one.expected, one.found)))
        console.print(table)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in found.reasons.most_common())
    told = f"{found.files:,} files verified, {found.rows:,} rows; {len(found.unverified):,} not verified"
    told += f" ({reasons})" if reasons else ""
    console.print(f"{told}; {len(found.differences):,} differences", markup=False, highlight=False)
