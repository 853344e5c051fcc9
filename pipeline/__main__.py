"""Command line of the pipeline: `run`, `once`, `status`, `replay`, `dry-run`, `verify`, `health`, `contract`."""

import ctypes
import faulthandler
import gc
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer
from rich.console import Console
from rich.progress import Progress

from common.cli import run as run_program
from common.logs import configure_logging, fields
from common.settings import takes_settings
from lake.stores import open_store
from pipeline.commands.contracts import app as contract_commands
from pipeline.commands.output import show_status
from pipeline.commands.state import app as state_commands
from pipeline.dataset.dataset import read_datasets
from pipeline.ledger import report
from pipeline.ledger.database import ledger_errors
from pipeline.ledger.last_reason import last_reason
from pipeline.ledger.ledger import Ledger
from pipeline.load.load import load
from pipeline.service.availability import when_there
from pipeline.service.context import Pipeline
from pipeline.service.executor import Cores, processes
from pipeline.service.lease import acquire_lease
from pipeline.service.service import drain, follow
from pipeline.service.signals import stop_on_signals
from pipeline.service.state_folder import lock_state_folder, reason_left
from pipeline.settings import LoadSettings, Settings

app = typer.Typer(
    help="Turn every CSV that lands in the lake into Parquet, exactly.", no_args_is_help=True, add_completion=False
)

app.add_typer(state_commands)
app.add_typer(contract_commands)

log = logging.getLogger("pipeline")


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
