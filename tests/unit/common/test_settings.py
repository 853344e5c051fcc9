"""One class gives a program's options, its variables and the table in the docs."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from common.settings import as_environ, read_settings, takes_settings
from simulator.settings import Settings
from tests.support.project import ROOT


@dataclass(frozen=True)
class Speed:
    """Settings of a drive."""

    pace: Annotated[float, typer.Option(envvar="TEST_PACE", min=1, help="Pace.")] = 2.5
    loud: Annotated[bool, typer.Option(envvar="TEST_LOUD", help="Volume.")] = False


def call(*arguments: str) -> tuple[Speed, str]:
    app, called = typer.Typer(), []

    @app.command()
    @takes_settings
    def drive(settings: Speed, place: Annotated[str, typer.Argument()] = "home") -> None:
        called.append((settings, place))

    app(arguments, standalone_mode=False)
    return called[0]


def test_a_command_gets_its_settings_from_options_variables_and_defaults(monkeypatch):
    assert call() == (Speed(2.5, False), "home")
    monkeypatch.setenv("TEST_LOUD", "on")
    assert call("--pace", "7", "sea") == (Speed(7.0, True), "sea")
    assert call("--no-loud") == (Speed(), "home")
    monkeypatch.setenv("TEST_PACE", "")  # as in a file of variables with one that is not set
    assert call("--no-loud") == (Speed(), "home")


@pytest.mark.parametrize("settings", [Settings(), Settings("s3://a", 7, 1, "0.0.0.0", False, 0.1, 9)])
def test_another_process_builds_the_same_settings_from_variables(settings):
    assert read_settings(Settings, as_environ(settings)) == settings


def test_variables_that_are_given_are_the_only_ones(monkeypatch):
    monkeypatch.setenv("TEST_PACE", "fast")
    assert read_settings(Speed, {"TEST_LOUD": " on "}) == Speed(loud=True)


def test_the_docs_have_every_setting_as_it_is():
    command = [sys.executable, "docs/settings.py"]
    table = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert table.count("\n") > 15
    assert f"<!-- settings -->\n{table}<!-- end of settings -->" in (ROOT / "docs/operations.md").read_text()
