"""The settings of the dashboard."""

from dataclasses import dataclass
from typing import Annotated

import typer

from lake.settings import LakeSettings


@dataclass(frozen=True)
class PortSettings(LakeSettings):
    """Settings of a check: the port of the pages, and the lake."""

    port: Annotated[int, typer.Option(envvar="DASHBOARD_PORT", min=1, max=65535, help="Port of the pages.")] = 8002


@dataclass(frozen=True)
class Settings(PortSettings):
    """All settings of the dashboard."""

    host: Annotated[str, typer.Option(envvar="DASHBOARD_HOST", help="Address that the pages listen on.")] = "127.0.0.1"
