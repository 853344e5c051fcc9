"""Commands that run a cluster: `scheduler` and `worker`."""

import os
from functools import partial

import typer

from common.settings import takes_settings
from pipeline.dataset.dataset import make_dataset
from pipeline.dataset.definition import read_definitions
from pipeline.service.checks import check_definitions
from pipeline.service.contracts import Contracts
from pipeline.service.executor import batch_settings
from pipeline.service.fork_server import start_fork_server
from pipeline.settings import SchedulerSettings, WorkerSettings

app = typer.Typer()


@app.command()
@takes_settings
def scheduler(settings: SchedulerSettings) -> None:
    """Run the scheduler of a cluster, on the port that PIPELINE_SCHEDULER names, until Ctrl-C or SIGTERM."""
    from pipeline.service.cluster.scheduler import run_scheduler  # Dask is loaded only where there is a cluster

    run_scheduler(settings.scheduler, settings.certificates, settings.host, settings.port)


@app.command()
@takes_settings
def worker(settings: WorkerSettings) -> None:
    """Load files for the pipeline of a cluster, until Ctrl-C or SIGTERM."""
    from pipeline.service.cluster.worker import run_worker, worker_name

    start_fork_server()  # now: later there are threads
    definitions, name = read_definitions(settings.datasets), worker_name()
    for definition in definitions:
        make_dataset(definition, settings.limits)  # so that one that is wrong keeps the worker from its start
    staging = settings.state / name / "staging"
    batches = batch_settings(settings.lake, os.environ, settings.limits, staging, definitions)
    contracts = Contracts(settings.datasets, definitions, partial(check_definitions, batches))
    run_worker(name, batches, contracts, settings.scheduler, settings.certificates, settings.load_seconds)
