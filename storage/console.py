"""What every program of ours does at its edge: log lines, one-line errors, exit codes, a page's port."""

import logging
import os
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

import typer

_UsageError: Any = typer.BadParameter.__base__  # what Typer raises for every wrong option; it exports only this child


class SettingError(ValueError):
    """A setting is missing or wrong: one line that names it and says what it takes. Exit code 2."""


def fields(event: str, **values: object) -> str:
    """Write one event as a log line: `loaded key=raw/a.csv rows=3`; text with spaces is quoted."""
    return " ".join([event, *(f"{name}={_word(value)}" for name, value in values.items())])


def _word(value: object) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    plain = text and not any(character.isspace() or character in '"=' for character in text)
    return text if plain else '"' + text.replace('"', "'").replace("\r", " ").replace("\n", " ") + '"'


def configure_logging(level: str = "INFO") -> None:
    """Send log lines to stderr as `2026-01-31T12:00:00Z INFO pipeline.worker loaded key=…`."""
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])


def run(app: typer.Typer) -> NoReturn:
    """Run a command line and end the process with its exit code; what a person got wrong is one line and 2."""
    code: object = 0
    try:
        code = app(standalone_mode=False)
    except SystemExit as stop:
        code = stop.code
    except typer.Abort:
        code = 130
    except _UsageError as error:
        if message := error.format_message():  # it is empty where no command was named: then the help was shown
            print(f"error: {message}", file=sys.stderr)
        code = 2
    except (SettingError, PermissionError) as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except BaseException:
        traceback.print_exc()
        code = 1
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Arrow's threads sometimes abort the interpreter's own exit, and then the exit code would be theirs.
    os._exit(code if isinstance(code, int) else 1 if code else 0)


def serve_page(script: Path, host: str, port: int, variable: str) -> NoReturn:
    """Become the Streamlit server of `script` on `port`; `SettingError` names `variable` if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingError(
                f"port {port} cannot be used on {host} ({error.strerror}): "
                f"stop what uses it, or set {variable} to another port"
            ) from None
    os.execv(
        sys.executable,
        [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}", f"--server.address={host}"],
    )
