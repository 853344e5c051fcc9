"""Tables that the commands print."""

import sys
from datetime import UTC, datetime
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from common.logs import printable
from lake.heartbeat import EXPIRES_SECONDS
from lake.layout import TABLES
from lake.status import Executor, Files, Progress, Rows, Status, WorkerState, Writer
from pipeline.ledger import report
from pipeline.model.load_record import LoadRecord
from pipeline.verify.verify import Report

TABLES_OFF = "Tables are switched off (TABLES_SECONDS=0): they stay as they were."
_COUNT = "{:,}".format


def show_status(status: Status) -> None:
    """Print the files by status, the rows by outcome, the latency, the executor, and the tables that are behind."""
    sections: dict[str, Progress] = dict(status.datasets)
    if folders := status.no_contract.folders:
        sections[f"no contract ({folders:,})"] = status.no_contract
    sections["all"] = status
    files = _numbers("files", *Files.model_fields)
    rows = _numbers("rows", *Rows.model_fields, "p50 ms", "p95 ms", "p99 ms")
    for name, progress in sections.items():
        files.add_row(name, *map(_COUNT, dict(progress.files).values()))
        latency = ["-" if time is None else f"{time:,.1f}" for _, time in progress.latency_ms]
        rows.add_row(name, *map(_COUNT, dict(progress.rows).values()), *latency)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"lake {status.lake}", highlight=False)
    console.print(files, rows, sep="")
    if names := status.no_contract.names:
        more = f" and {folders - len(names):,} more" if folders > len(names) else ""
        named = ", ".join(printable(f"raw/{name}/") for name in names)
        typer.echo(f"no contract: {named}{more}; `status --status refused` has the reason of each file")
    if status.executor and status.writer:
        _show_executor(console, status.executor, status.writer, datetime.now(UTC))
    for edit in status.edits:
        typer.echo(printable(f"contract not used: {edit.reason}" + (f"; {edit.action}" if edit.action else "")))
    if lag := _tables_lag(status, datetime.now(UTC)):
        typer.echo(lag)


def _show_executor(console: Console, executor: Executor, writer: Writer, now: datetime) -> None:
    """Print where files are loaded, the workers and what each loads now, and what keeps files from being loaded."""
    silent = _seconds(writer.heartbeat_at, now)
    was = f" ({silent:,} s ago; the pipeline has had no heartbeat since)" if silent > EXPIRES_SECONDS else ""
    typer.echo(printable(f"loads: {_place(executor)}{was}"))
    if executor.workers:
        names = ["worker", *(["host"] if executor.kind == "cluster" else []), "version", "loads", "since"]
        table = Table(*(Column(name, overflow="fold") for name in names), box=box.SIMPLE_HEAD, pad_edge=False)
        for worker in executor.workers:
            since = f"{_seconds(worker.since, now):,} s" if worker.since else "-"
            cells = {"worker": worker.name, "host": worker.host, "version": worker.version, "since": since}
            cells["loads"] = _files(worker)
            table.add_row(*(_safe(cells[name] or "-") for name in names))
        console.print(table)
    for worker in executor.workers:
        if worker.other:
            typer.echo(printable(f"worker {worker.name} gets no files: {worker.other}"))
    for event in executor.events:
        typer.echo(printable(f"{_seconds(event.at, now):,} s ago: {event.text}"))
    if executor.state:
        typer.echo(printable(f"nothing can be loaded: {executor.state}"))


def _place(executor: Executor) -> str:
    """Return the kind of an executor, with its address and the number of its workers."""
    count = len(executor.workers)
    if executor.kind == "cluster":
        return f"cluster {executor.address}, {count:,} {'worker' if count == 1 else 'workers'}"
    return "main thread" if executor.kind == "main thread" else f"{count:,} {'process' if count == 1 else 'processes'}"


def _files(worker: WorkerState) -> str:
    """Return what a worker loads now: some keys, and how many more."""
    more = worker.loads - len(worker.files)
    return ", ".join(worker.files) + (f" and {more:,} more" if more > 0 else "") if worker.loads else "-"


def _seconds(then: datetime, now: datetime) -> int:
    return max(0, int((now - then).total_seconds()))  # a clock may jump back


def _tables_lag(status: Status, now: datetime) -> str:
    """Return a sentence about the tables that lack results, or are switched off; empty if there is nothing to say."""
    if status.tables and status.tables.off:
        return TABLES_OFF
    if not (status.tables and status.tables.files):
        return ""
    files = status.tables.files
    seconds = _seconds(status.tables.oldest_at or now, now)
    behind = [name for name, progress in status.datasets.items() if progress.tables and progress.tables.files]
    more = f" and {len(behind) - report.NAMED:,} more" if len(behind) > report.NAMED else ""
    named = ", ".join(behind[: report.NAMED]) + more
    return f"Tables are {files:,} {'file' if files == 1 else 'files'} and {seconds:,} s behind: {named}."


def _numbers(*names: str) -> Table:
    """Return an empty table of numbers; its first column says whose they are."""
    table = Table(names[0], box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def show_sources(rows: list[dict[str, Any]]) -> None:
    """Print one line for each file: the rows of `report.sources`."""
    table = Table("file", "status", "kept", "rejected", "mended", "attempts", "loaded at", "first problem")
    for row in rows:
        mark = " (stale)" if row["stale"] else ""
        loaded_at = f"{row['loaded_at']:%Y-%m-%d %H:%M:%S}" if row["loaded_at"] else "-"
        numbers = (row[name] for name in ("rows_kept", "rows_rejected", "rows_mended", "attempts"))
        counts = ["-" if number is None else f"{number:,}" for number in numbers]
        key, problem = _safe(row["source_key"]), _safe(row["first_problem"] or "")
        table.add_row(key, row["status"] + mark, *counts, loaded_at, problem)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if len(rows) == report.NEWEST_LOADS:
        typer.echo(f"the newest {report.NEWEST_LOADS:,}; there may be more")


def _safe(text: str) -> str:
    """Escape what the table or the terminal would take for markup."""
    return escape(printable(text))


def show_outcome(record: LoadRecord, problems: list[dict[str, Any]]) -> None:
    """Print the outcome of a dry run: the first problems, and the counts of the load record."""
    for problem in problems:
        place = f"line {problem['line']}" if problem["line"] else "the file"
        column = f", column {problem['column']}" if problem["column"] else ""
        typer.echo(printable(f"{place}{column}: {problem['rule']}: {problem['message']}"))
    if (more := sum(int(count or 0) for *_, count in record.problems or []) - len(problems)) > 0:
        typer.echo(f"and {more:,} more problems")
    counts = ", ".join(
        f"{getattr(record, f'rows_{name}'):,} {name}" for name in ("read", "kept", "dropped", "rejected")
    )
    typer.echo(f"{printable(record.source_key)} would be {record.status}: {counts}; nothing was written")


def show_differences(result: Report) -> None:
    """Print the differences that `verify` found, and how many files it could not verify."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    if result.differences:
        names = ("object", "line", "what", "expected", "found")
        table = Table(*(Column(name, overflow="fold") for name in names))  # never cut: the key must name its object
        for difference in result.differences:
            cells = (difference.key, str(difference.line or ""), difference.what, difference.expected, difference.found)
            table.add_row(*map(_safe, cells))
        console.print(table)
    if tables := sorted({one.key for one in result.differences if one.key.startswith(TABLES)}):
        named = printable(", ".join(tables))
        advice = f"tables that differ: {named}; delete their folders, and a running pipeline builds them anew"
        console.print(advice, markup=False, highlight=False, soft_wrap=True)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in result.reasons.most_common())
    counts = f"{result.files:,} files verified, {result.rows:,} rows; {len(result.unverified):,} not verified"
    counts += f" ({reasons})" if reasons else ""
    console.print(f"{counts}; {len(result.differences):,} differences", markup=False, highlight=False)
