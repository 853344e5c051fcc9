"""The settings of the pipeline; each command has those that it uses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from lake.settings import LakeSettings
from pipeline.readers.base import Limits

LOAD_SECONDS = typer.Option(
    envvar="PIPELINE_LOAD_SECONDS",
    min=0,
    max=31_536_000,
    help="Longest load, in seconds for each 100 MiB begun; 0: no limit.",
)


@dataclass(frozen=True)
class StateSettings:
    """Settings of the ledger: its folder."""

    state: Annotated[
        Path,
        typer.Option(
            envvar="PIPELINE_STATE",
            help="Folder of the ledger and of staged files; it can be deleted without loss of data.",
        ),
    ] = Path("data/state")


@dataclass(frozen=True)
class StatusSettings(LakeSettings, StateSettings):
    """Settings for the state of each file: the lake has the rejects that are mended."""


@dataclass(frozen=True)
class DatasetSettings:
    """Settings of the contracts: their folder."""

    datasets: Annotated[
        Path,
        typer.Option(
            envvar="PIPELINE_DATASETS",
            exists=True,
            file_okay=False,
            help="Folder of contracts and transforms.",
            show_default="pipeline/datasets",
        ),
    ] = Path(__file__).parent / "datasets"


@dataclass(frozen=True)
class ContractSettings(LakeSettings, DatasetSettings):
    """Settings for what needs the lake and the contracts."""


@dataclass(frozen=True)
class ReadSettings(ContractSettings):
    """Settings for reading a file."""

    record_mib: Annotated[
        int,
        typer.Option(
            envvar="PIPELINE_RECORD_MIB",
            min=1,
            max=1024,
            help="Largest record, in MiB; a longer one is rejected line by line.",
        ),
    ] = 1
    grown_mib: Annotated[
        int,
        typer.Option(
            envvar="PIPELINE_GROWN_MIB",
            min=1,
            max=1 << 30,
            help="Largest size, in MiB, of a file that expands more than 200 times; memory to read a workbook.",
        ),
    ] = 1024

    @property
    def limits(self) -> Limits:
        """Return the limits in bytes."""
        return Limits(self.record_mib << 20, self.grown_mib << 20)


@dataclass(frozen=True)
class VerifySettings(ReadSettings, StateSettings):
    """Settings for recounting the lake."""


@dataclass(frozen=True)
class MemberSettings:
    """Settings of a cluster's members: its scheduler, and their certificates."""

    scheduler: Annotated[
        str,
        typer.Option(
            envvar="PIPELINE_SCHEDULER",
            help="Dask scheduler of a cluster, tls://HOST:PORT or tcp://HOST:PORT: it gets the loads once it answers.",
        ),
    ] = ""
    certificates: Annotated[
        Path | None, typer.Option(envvar="CLUSTER_TLS", help="Folder of the cluster's certificates, for tls://.")
    ] = None


@dataclass(frozen=True)
class SchedulerSettings(MemberSettings):
    """Settings of a scheduler."""

    host: Annotated[
        str, typer.Option(envvar="SCHEDULER_HOST", help="Address that the scheduler and its page listen on.")
    ] = "127.0.0.1"
    port: Annotated[
        int, typer.Option(envvar="SCHEDULER_PORT", min=1, max=65_535, help="Port of the scheduler's page.")
    ] = 8787


@dataclass(frozen=True)
class WorkerSettings(ReadSettings, StateSettings, MemberSettings):
    """Settings of a worker of a cluster."""

    load_seconds: Annotated[float, LOAD_SECONDS] = 600


@dataclass(frozen=True)
class LoadSettings(VerifySettings, MemberSettings):
    """Settings for loading files."""

    workers: Annotated[
        int,
        typer.Option(
            envvar="PIPELINE_WORKERS",
            min=0,
            max=256,
            help="Loads at a time; 0 loads in the main thread, for a debugger.",
        ),
    ] = 4
    load_seconds: Annotated[float, LOAD_SECONDS] = 600
    tables_seconds: Annotated[
        float,
        typer.Option(
            envvar="TABLES_SECONDS",
            min=0,
            max=31_536_000,
            help="Seconds between two commits to a dataset's Delta tables; 0: no tables.",
        ),
    ] = 5
    tables_keep: Annotated[
        int,
        typer.Option(envvar="TABLES_KEEP", min=0, max=36_500, help="Days that earlier versions of a table are kept."),
    ] = 7
    retract_deleted: Annotated[
        bool, typer.Option(envvar="PIPELINE_RETRACT_DELETED", help="Retract the rows of deleted files; else keep them.")
    ] = False


@dataclass(frozen=True)
class Settings(LoadSettings):
    """All settings of the pipeline."""

    sweep_seconds: Annotated[
        float,
        typer.Option(
            envvar="SWEEP_SECONDS",
            min=1,
            max=31_536_000,
            help="Seconds between two listings, which find files that no event announced.",
        ),
    ] = 30
