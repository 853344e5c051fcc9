"""Commands that run a cluster: `scheduler` and `worker`."""

import os

import typer

from common.settings import takes_settings
from pipeline.dataset.dataset import read_datasets
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
    datasets, name = read_datasets(settings.datasets, settings.limits), worker_name()
    fingerprints = {known: dataset.fingerprint for known, dataset in datasets.items()}
    staging = settings.state / name / "staging"
    batches = batch_settings(settings.lake, os.environ, settings.datasets, settings.limits, staging, fingerprints)
    run_worker(name, batches, settings.scheduler, settings.certificates, settings.load_seconds)
