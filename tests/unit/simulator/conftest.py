"""Fixtures of the source system's tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.settings import read_settings
from simulator.settings import Settings
from simulator.system import SourceSystem
from tests.support.simulator_stores import FaultyStore


@pytest.fixture
def store(tmp_path: Path) -> FaultyStore:
    return FaultyStore(tmp_path / "lake")


@pytest.fixture
def make_system(store: FaultyStore) -> Iterator[Callable[..., SourceSystem]]:
    """Make source systems by settings' names; all are stopped in the end."""
    made: list[SourceSystem] = []

    def make(**environ: str) -> SourceSystem:
        settings = read_settings(Settings, {"FEED": "off", "SIMULATOR_SEED": "7"} | environ)
        made.append(SourceSystem(store, settings))
        return made[-1]

    yield make
    for system in made:
        if system.feed._thread.is_alive():
            system.stop()
