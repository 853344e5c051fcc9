"""Each launch configuration names things that are there."""

import importlib.util

import pytest

from tests.support.launch import configurations
from tests.support.project import ROOT

NAMES = [
    "Pipeline (live)",
    "Pipeline (backlog once)",
    "Pipeline (one file)",
    "Simulator",
    "Dashboard",
    "Tests (this file)",
]


def test_the_names() -> None:
    assert list(configurations()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_its_module_and_files_exist(name: str) -> None:
    configuration = configurations()[name]
    assert importlib.util.find_spec(configuration["module"])
    assert all((ROOT / argument).is_file() for argument in configuration["args"] if argument.endswith(".py"))


@pytest.mark.parametrize("name", ["Pipeline (live)", "Pipeline (backlog once)"])
def test_a_pipeline_under_the_debugger_loads_in_the_main_thread(name: str) -> None:
    assert configurations()[name]["env"] == {"PIPELINE_WORKERS": "0"}
