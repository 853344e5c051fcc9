"""The client itself, on a script of a few lines."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.dap import Command, DebugSession, TerminalRequest

SCRIPT = """\
import sys
def double(number):
    result = number * 2
    return result
print(double(21))
sys.exit(3)
"""


def here(request: TerminalRequest) -> Command:
    return Command(request.arguments, request.environ)


Debug = Callable[..., DebugSession]


@pytest.fixture
def debug(tmp_path: Path) -> Debug:
    adapter = Command([sys.executable, "-m", "debugpy.adapter"])
    return lambda **options: DebugSession(adapter, here, tmp_path / "terminal.log", folder=tmp_path, **options)


@pytest.mark.parametrize("console", ["integratedTerminal", "internalConsole"])
def test_stops_reads_and_goes_on(debug: Debug, tmp_path: Path, console: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launch = {"program": str(script), "console": console, "pythonArgs": ["-Xfrozen_modules=off"]}
    with debug() as session:
        session.launch(launch, {str(script): [4]})
        stop = session.stopped()
        assert (stop.reason, stop.thread, stop.function, stop.line) == ("breakpoint", "MainThread", "double", 4)
        assert session.variables(stop) == {"number": "21", "result": "42"}
        assert session.evaluate(stop, "result + 1") == "43"
        session.resume()
        assert session.exit_code() == 3


def test_a_stop_that_does_not_come_is_a_failure_with_a_name(debug: Debug, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("print('no stop in here')\n")
    with debug() as session:
        session.launch({"program": str(script), "console": "integratedTerminal"}, {})
        assert session.exit_code() == 0
        with pytest.raises(AssertionError, match="the event stopped did not come"):
            session.stopped(seconds=0.5)
