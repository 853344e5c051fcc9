"""Command line of the pipeline.

`run`, `once`, `status`, `replay`, `dry-run`, `rejects`, `verify`, `health`, `contract`, and for a cluster `scheduler`,
`worker`.
"""

import faulthandler
import gc
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from common.cli import run as run_program
from common.logs import configure_logging, fields
from common.settings import takes_settings
from lake.stores import open_store
from lake.stores.base import ObjectStore
from pipeline.commands.cluster import app as cluster_commands
from pipeline.commands.contracts import app as contract_commands
from pipeline.commands.output import show_status
from pipeline.commands.rejects import app as reject_commands
from pipeline.commands.state import app as state_commands
from pipeline.dataset.dataset import Dataset, fingerprints_of, make_dataset, text_datasets
from pipeline.dataset.definition import Definition, read_definitions
from pipeline.ledger import report
from pipeline.ledger.changes import switch_tables
from pipeline.ledger.database import ledger_errors
from pipeline.ledger.last_error import last_reason
from pipeline.ledger.ledger import Ledger
from pipeline.service.allocators import set_allocators
from pipeline.service.availability import retry_until_available
from pipeline.service.checks import check_definitions
from pipeline.service.context import Pipeline
from pipeline.service.contracts import Contracts
from pipeline.service.executor import BatchSettings, Executor, InlineExecutor, batch_settings
from pipeline.service.fork_server import remove_sockets, start_fork_server
from pipeline.service.lease import acquire_lease
from pipeline.service.processes import ProcessExecutor
from pipeline.service.service import drain, follow
from pipeline.service.signals import stop_on_signals
from pipeline.service.state_folder import lock_state_folder, reason_left
from pipeline.settings import LoadSettings, Settings

app = typer.Typer(
    help="Turn every file that lands in the lake into Parquet, exactly.", no_args_is_help=True, add_completion=False
)

app.add_typer(state_commands)
app.add_typer(contract_commands)
app.add_typer(reject_commands)
app.add_typer(cluster_commands)

log = logging.getLogger("pipeline")


@app.command()
@takes_settings
def run(settings: Settings) -> None:
    """Follow the lake: load the files that are there, then new ones, until Ctrl-C or SIGTERM."""
    with _pipeline(settings, settings.sweep_seconds) as pipeline:
        known = len(pipeline.datasets)
        edits = "are taken up" if settings.workers else "take effect at the next start"
        log.info(fields("started", datasets=known, folder=settings.datasets, edits=edits))
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


@contextmanager
def _pipeline(settings: LoadSettings, sweep_seconds: float = 30) -> Iterator[Pipeline]:
    """Make a pipeline ready: the one writer of its state folder and of its lake."""
    state, staging = settings.state, settings.state / "staging"
    store, path = open_store(settings.lake, os.environ), state / "ledger.sqlite"
    _warn_of_old_folders()
    if settings.workers:
        start_fork_server()  # now, because it imports for a second
    with (
        lock_state_folder(state) as before,
        reason_left(store, state, before),
        ledger_errors(path),
        ExitStack() as ends,
    ):
        definitions = read_definitions(settings.datasets)
        datasets = {one.name: make_dataset(one, settings.limits) for one in definitions}
        gc.freeze()  # all of it stays: a search through it for garbage would hold up every load
        ledger = ends.enter_context(closing(Ledger(path)))
        if last_reason(state):
            ledger.check()
        shutil.rmtree(staging)  # with the files of a load that was killed
        staging.mkdir()
        pipeline = _assemble(settings, sweep_seconds, store, ledger, datasets, definitions, ends)
        stop_on_signals(pipeline)
        retry_until_available(pipeline, partial(acquire_lease, store, ledger, pipeline.stop))
        if pipeline.stop.is_set():
            raise typer.Exit
        ledger.start_run(fingerprints_of(datasets), text_datasets(datasets), died=bool(before))
        switch_tables(ledger, on=bool(settings.tables_seconds))
        yield pipeline


def _assemble(
    settings: LoadSettings,
    sweep_seconds: float,
    store: ObjectStore,
    ledger: Ledger,
    datasets: dict[str, Dataset],
    definitions: Sequence[Definition],
    ends: ExitStack,
) -> Pipeline:
    """Return a pipeline of its collaborators; `ends` closes its executor."""
    staging = settings.state / "staging"
    batches = batch_settings(settings.lake, os.environ, settings.limits, staging, definitions)
    check = partial(check_definitions, batches) if settings.workers else None
    return Pipeline(
        store,
        ledger,
        datasets,
        staging,
        ends.enter_context(closing(_executor(settings, store, datasets, batches))),
        settings.workers,
        sweep_seconds,
        settings.retract_deleted,
        settings.tables_seconds,
        settings.tables_keep,
        Contracts(settings.datasets, definitions, check),
    )


def _warn_of_old_folders() -> None:
    """Log how to move the folders of version 0.1, if there are any."""
    if Path("lake/raw").is_dir() or Path("state/ledger.sqlite").exists():
        move = "mkdir -p data/lake && mv lake/raw lake/clean lake/rejected lake/published data/lake/ && rm -r state"
        log.warning(fields("old folders", found="./lake ./state", expected="./data/lake ./data/state", action=move))


def _executor(
    settings: LoadSettings, store: ObjectStore, datasets: dict[str, Dataset], batches: BatchSettings
) -> Executor:
    if not settings.workers:
        return InlineExecutor(store, datasets, batches.staging)
    processes = partial(ProcessExecutor, batches, settings.workers, settings.load_seconds)
    if not settings.scheduler:
        return processes()
    # Dask is loaded only where there is a cluster: it takes half a second.
    from pipeline.service.cluster.connection import cluster_security, configure, refuse_folder
    from pipeline.service.cluster.executor import DaskExecutor

    refuse_folder(settings.lake)
    configure()
    trust = cluster_security(settings.scheduler, settings.certificates)
    return DaskExecutor(settings.scheduler, trust, store, fingerprints_of(datasets), processes())


if __name__ == "__main__":
    faulthandler.enable()  # where a library, or a transform, ends the process by a signal
    configure_logging()
    set_allocators()
    run_program(app, remove_sockets)
