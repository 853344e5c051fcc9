"""The settings of the source system."""

from dataclasses import dataclass
from typing import Annotated

import typer

from lake.settings import LakeSettings

FILES_PER_SECOND = (0.1, 50.0)  # lowest and highest
ROWS = (1, 100_000)


@dataclass(frozen=True)
class PortSettings(LakeSettings):
    """Settings of a check: the port of the page, and the lake."""

    port: Annotated[int, typer.Option(envvar="SIMULATOR_PORT", min=1, max=65535, help="Port of the page.")] = 8001


@dataclass(frozen=True)
class SeedSettings(LakeSettings):
    """Settings of the data: the lake that it is put into, and the seed that it is made from."""

    seed: Annotated[
        int | None,
        typer.Option(envvar="SIMULATOR_SEED", min=0, max=2**63 - 1, help="The same seed makes the same data."),
    ] = None


@dataclass(frozen=True)
class Settings(PortSettings, SeedSettings):
    """All settings of the source system."""

    host: Annotated[str, typer.Option(envvar="SIMULATOR_HOST", help="Address that the page listens on.")] = "127.0.0.1"
    feed: Annotated[bool, typer.Option(envvar="FEED", help="Whether the feed of orders runs at the start.")] = True
    files_per_second: Annotated[
        float,
        typer.Option(
            envvar="FEED_FILES_PER_SECOND",
            min=FILES_PER_SECOND[0],
            max=FILES_PER_SECOND[1],
            help="Files that the feed writes in a second.",
        ),
    ] = 1.0
    rows: Annotated[
        int, typer.Option(envvar="FEED_ROWS", min=ROWS[0], max=ROWS[1], help="Rows of each file of the feed.")
    ] = 100
