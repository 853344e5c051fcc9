"""Commands on a ledger that exists: `status`, `replay`, `verify`, `health`."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer
from rich.console import Console
from rich.progress import Progress

from common.errors import SettingError
from common.logs import printable
from common.settings import takes_settings
from lake.stores import open_store
from pipeline.commands.output import show_differences, show_sources, show_status
from pipeline.dataset.dataset import read_datasets
from pipeline.ledger import report
from pipeline.ledger.database import ledger_errors
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.mended import RejectedLines
from pipeline.ledger.selection import FileStatus, select
from pipeline.service.health import problem
from pipeline.settings import StateSettings, StatusSettings, VerifySettings
from pipeline.verify.verify import verify

app = typer.Typer()

Keys = Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="Files, like raw/companydata/a.csv.")]
OfStatus = Annotated[FileStatus | None, typer.Option("--status", help="Only files with this status.")]
Stale = Annotated[
    bool, typer.Option("--stale", help="Only files that were loaded under another contract or transform.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
@takes_settings
def status(
    settings: StatusSettings,
    keys: Keys = None,
    of_status: OfStatus = None,
    stale: Stale = False,
    as_json: AsJson = False,
) -> None:
    """Print the ledger's counts: files, rows, backlog, latency; or with KEY or a filter, the state of each file.

    JSON has the form of published/status.json, or that of the rows of published/loads.parquet.
    """
    with _open_ledger(settings.state) as ledger:
        if not (keys or of_status or stale):
            result = report.status(ledger)
            typer.echo(result.model_dump_json(indent=1)) if as_json else show_status(result)
            return
        condition, values = select(ledger, keys or (), of_status, stale=stale)
        files = _files(ledger, settings.lake, condition, *values).to_pylist()
    typer.echo(json.dumps(files, indent=1, default=datetime.isoformat)) if as_json else show_sources(files)


def _files(ledger: Ledger, lake: str, condition: str, *values: object) -> pa.Table:
    """Return the files that meet a condition; without what only the lake has, if it cannot be read."""
    rejected = RejectedLines(partial(open_store, lake, os.environ))
    try:
        return report.sources(ledger, rejected, condition, *values)
    except (OSError, SettingError) as error:
        typer.echo(printable(f"the mended rejects are not counted, for the lake cannot be read: {error}"), err=True)
        return report.sources(ledger, None, condition, *values)


@app.command()
@takes_settings
def replay(
    settings: StateSettings,
    keys: Keys = None,
    of_status: OfStatus = None,
    stale: Stale = False,
    everything: Annotated[bool, typer.Option("--all", help="All files.")] = False,
) -> None:
    """Queue files to be loaded again: by KEY, by status, the stale ones, or all.

    A running pipeline loads them at once, otherwise the next one does. Their rows stay until they are replaced.
    """
    if bool(keys or of_status or stale) == everything:
        raise SettingError("replay needs the files to load again: KEY…, --status, --stale, or --all")
    with _open_ledger(settings.state) as ledger:
        condition, values = select(ledger, keys or (), of_status, stale=stale)
        count = ledger.replay(condition, *values)
    waits = "file waits" if count == 1 else "files wait"
    typer.echo(f"{count:,} {waits} to be loaded again" if count else "none of these files has anything to load again")


@app.command("verify")
@takes_settings
def verify_lake(
    settings: VerifySettings,
    keys: Annotated[list[str] | None, typer.Argument(help="Files, like raw/companydata/a.csv; by default all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Recount the lake from its raw files with the reference reader; exit with 1 if anything differs."""
    datasets = read_datasets(settings.datasets, settings.limits)
    with _open_ledger(settings.state) as ledger, Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("files", total=None)
        store = open_store(settings.lake, os.environ)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        result = verify(store, ledger, datasets, progress, keys or ())
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=1))
    else:
        show_differences(result)
    raise typer.Exit(1 if result.differences else 0)


@app.command()
@takes_settings
def health(settings: StateSettings) -> None:
    """Exit with 0 if the pipeline of this state folder is alive: its heartbeat is at most 15 s old."""
    if reason := problem(settings.state):
        raise SettingError(reason)
    typer.echo("alive")


@contextmanager
def _open_ledger(state: Path) -> Iterator[Ledger]:
    """Open the ledger of a state folder; `SettingError` if there is none."""
    path = state / "ledger.sqlite"
    if not path.exists():
        raise SettingError(f"PIPELINE_STATE: there is no ledger in {state}: start one with `python -m pipeline run`")
    with ledger_errors(path), closing(Ledger(path)) as ledger:
        yield ledger
