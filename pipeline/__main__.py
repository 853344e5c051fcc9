"""Command line of the pipeline: `run`, `once`, `status`, `replay`, `dry-run`, `verify`, `health`, `contract`."""

import ctypes
import faulthandler
import gc
import json
import logging
import os
import shutil
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

from common.cli import run as run_program
from common.errors import SettingError
from common.logs import configure_logging, fields
from common.settings import takes_settings
from lake.stores import open_store
from pipeline.dataset import draft
from pipeline.dataset.dataset import read_dataset, read_datasets
from pipeline.ledger import report
from pipeline.ledger.database import ledger_errors
from pipeline.ledger.last_reason import last_reason
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.selection import FileStatus, select
from pipeline.load.dry_run import dry_run
from pipeline.load.load import load
from pipeline.output import show_differences, show_outcome, show_sources, show_status
from pipeline.service.availability import when_there
from pipeline.service.context import Pipeline
from pipeline.service.executor import Cores, processes
from pipeline.service.health import problem
from pipeline.service.lease import acquire_lease
from pipeline.service.service import drain, follow
from pipeline.service.signals import stop_on_signals
from pipeline.service.state_folder import lock_state_folder, reason_left
from pipeline.settings import DatasetSettings, LoadSettings, ReadSettings, Settings, StateSettings, VerifySettings
from pipeline.verify.verify import verify

app = typer.Typer(
    help="Turn every CSV that lands in the lake into Parquet, exactly.", no_args_is_help=True, add_completion=False
)

contracts = typer.Typer(help="Check the contracts, or draft one for a file of your own.", no_args_is_help=True)
app.add_typer(contracts, name="contract")

log = logging.getLogger("pipeline")

Keys = Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="Files, like raw/companydata/a.csv.")]
OfStatus = Annotated[FileStatus | None, typer.Option("--status", help="Only files with this status.")]
Stale = Annotated[bool, typer.Option("--stale", help="Only files that another contract or transform has loaded.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
@takes_settings
def run(settings: Settings) -> None:
    """Follow the lake: load the files that are there, then new ones, until Ctrl-C or SIGTERM."""
    with _pipeline(settings, settings.sweep_seconds) as pipeline:
        known = len(pipeline.datasets)
        log.info(fields("started", datasets=known, folder=settings.datasets, edits="take effect at the next start"))
        follow(pipeline)


@app.command()
@takes_settings
def once(
    settings: LoadSettings,
    strict: Annotated[
        bool, typer.Option(help="Exit with 1 if a file was refused, failed, or has rejected rows.")
    ] = False,
) -> None:
    """Load the files that wait, then stop."""
    with _pipeline(settings) as pipeline, Progress(console=Console(stderr=True)) as bar:
        files = bar.add_task("files", total=None)

        def progress() -> None:
            counts = report.status(pipeline.ledger).files
            done = counts.loaded + counts.refused + counts.failed
            bar.update(files, completed=done, total=done + counts.pending)

        drain(pipeline, progress)
        result = report.status(pipeline.ledger)
    show_status(result)
    if strict and (result.files.refused or result.files.failed or result.rows.rejected):
        raise typer.Exit(1)


@app.command()
@takes_settings
def status(
    settings: StateSettings,
    keys: Keys = None,
    of_status: OfStatus = None,
    stale: Stale = False,
    as_json: AsJson = False,
) -> None:
    """Say what the ledger knows: files, rows, backlog, latency, the writer; or each of some files.

    As JSON it is the object of published/status.json, or a list of rows as in published/loads.parquet.
    """
    with _reading(settings.state) as ledger:
        if not (keys or of_status or stale):
            result = report.status(ledger)
            typer.echo(result.model_dump_json(indent=1)) if as_json else show_status(result)
            return
        condition, values = select(ledger, keys or (), of_status, stale=stale)
        files = report.sources(ledger, condition, *values).to_pylist()
    typer.echo(json.dumps(files, indent=1, default=datetime.isoformat)) if as_json else show_sources(files)


@app.command()
@takes_settings
def replay(
    settings: StateSettings,
    keys: Keys = None,
    of_status: OfStatus = None,
    stale: Stale = False,
    everything: Annotated[bool, typer.Option("--all", help="All files.")] = False,
) -> None:
    """Load files again: these, those with a status, the stale ones, or all.

    A pipeline that runs takes them at once; else the next one does. Their rows stay until they are replaced.
    """
    if bool(keys or of_status or stale) == everything:
        raise SettingError("say which files to load again: KEY…, --status, --stale, or --all")
    with _reading(settings.state) as ledger:
        condition, values = select(ledger, keys or (), of_status, stale=stale)
        count = ledger.replay(condition, *values)
    waits = "file waits" if count == 1 else "files wait"
    typer.echo(f"{count:,} {waits} to be loaded again" if count else "no such file has anything to load again")


@app.command("dry-run")
@takes_settings
def run_dry(
    settings: ReadSettings, key: Annotated[str, typer.Argument(help="A file, like raw/companydata/a.csv.")]
) -> None:
    """Read one file as a load would, and say what would come of it; exit with 1 if any of it would be rejected.

    Nothing is written, so it may run beside a pipeline: under a debugger, or before a contract is put to use.
    """
    known = read_datasets(settings.datasets, settings.limits)
    record, problems = dry_run(open_store(settings.lake, os.environ), known, key)
    show_outcome(record, problems)
    raise typer.Exit(1 if problems else 0)


@app.command("verify")
@takes_settings
def verify_lake(
    settings: VerifySettings,
    keys: Annotated[list[str] | None, typer.Argument(help="Sources, as raw/…; the whole lake without any.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Recount the lake from its raw files, in the plain way; exit with 1 if anything differs."""
    known = read_datasets(settings.datasets, settings.limits)
    with _reading(settings.state) as ledger, Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("files", total=None)
        found = verify(
            open_store(settings.lake, os.environ),
            ledger,
            known,
            lambda done, total: bar.update(task, completed=done, total=total),
            keys or (),
        )
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
    else:
        show_differences(found)
    raise typer.Exit(1 if found.differences else 0)


@app.command()
@takes_settings
def health(settings: StateSettings) -> None:
    """Exit with 0 if the pipeline of this state folder is alive: its heartbeat is not older than 15 s."""
    if said := problem(settings.state):
        raise SettingError(said)
    typer.echo("alive")


@contracts.command("check")
@takes_settings
def check_contracts(
    settings: DatasetSettings,
    files: Annotated[list[Path] | None, typer.Argument(help="Contracts; all of the folder without any.")] = None,
) -> None:
    """Read contracts and their transforms as the pipeline does; exit with 1 if one is wrong."""
    wrong = False
    for path in files or sorted(settings.datasets.glob("*.json")):
        try:
            read_dataset(path)
            typer.echo(f"{path}: ok")
        except (SettingError, OSError) as error:
            typer.echo(error if isinstance(error, SettingError) else f"{path}: {error.strerror}")
            wrong = True
    raise typer.Exit(1 if wrong else 0)


@contracts.command("draft")
def draft_contract(
    file: Annotated[Path, typer.Argument(help="A CSV file (.csv, .csv.gz or .csv.zst) with a header.")],
    name: Annotated[str, typer.Option(help="Name of the dataset; without one, the file's.")] = "",
) -> None:
    """Print a first contract for a file; what is not sure is said on stderr."""
    try:
        with file.open("rb") as stream:
            made, notes = draft.draft(stream, file.name, name or draft.dataset_name(file.name))
    except OSError as error:
        raise SettingError(f"{file}: {error.strerror}") from None
    typer.echo(draft.to_text(made))
    for note in notes:
        typer.echo(f"note: {note}", err=True)


@contextmanager
def _pipeline(settings: LoadSettings, sweep_seconds: float = 30) -> Iterator[Pipeline]:
    """Make a pipeline ready: the one writer of its state folder and of its lake."""
    state = settings.state
    store, path = open_store(settings.lake, os.environ), state / "ledger.sqlite"
    if Path("lake/raw").is_dir() or Path("state/ledger.sqlite").exists():  # where version 0.1 kept them
        move = "mkdir -p data/lake && mv lake/raw lake/clean lake/rejected lake/published data/lake/ && mv state data/"
        log.warning(fields("old folders", found="./lake ./state", expected="./data/lake ./data/state", action=move))
    with lock_state_folder(state) as before, reason_left(store, state, before), ledger_errors(path):
        datasets = read_datasets(settings.datasets, settings.limits)
        gc.freeze()  # what is here by now stays: to look through all of it for garbage holds up every load
        # With the lock, and before the store is used: no thread runs yet.
        cores = Cores(processes(settings.workers), partial(load, store, datasets, state / "staging"))
        ledger = Ledger(path)
        if last_reason(state):
            ledger.check()
        pipeline = Pipeline(
            store,
            ledger,
            datasets,
            state / "staging",
            settings.workers,
            sweep_seconds,
            settings.retract_deleted,
            cores,
        )
        shutil.rmtree(pipeline.staging)  # with what a load that was killed has left
        pipeline.staging.mkdir()
        stop_on_signals(pipeline)
        when_there(pipeline, lambda: acquire_lease(store, ledger, pipeline.stop))
        if pipeline.stop.is_set():
            raise typer.Exit
        ledger.start_run({name: dataset.fingerprint for name, dataset in datasets.items()}, died=bool(before))
        yield pipeline
        cores.close()
        ledger.close()


@contextmanager
def _reading(state: Path) -> Iterator[Ledger]:
    path = state / "ledger.sqlite"
    if not path.exists():
        raise SettingError(f"PIPELINE_STATE: there is no ledger in {state}: start one with `python -m pipeline run`")
    with ledger_errors(path), closing(Ledger(path)) as ledger:
        yield ledger


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names for what is set, M_ before them


def set_allocators() -> None:
    """Let glibc and Arrow keep what one block has freed for the next, where they can.

    New pages from the kernel cost 5 to 10 % of a large load. jemalloc holds 10 to 70 MiB less than Arrow's usual
    mimalloc, of what one thread takes and another frees.
    """
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        pa.jemalloc_set_decay_ms(10_000)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, 32 << 20)
    mallopt(_TRIM_THRESHOLD, 64 << 20)


if __name__ == "__main__":
    faulthandler.enable()  # where a library, or a transform, ends the process by a signal
    configure_logging()
    set_allocators()
    run_program(app)
