"""What every program of ours does at its edge: log lines, one-line errors, exit codes, a page's port."""

import errno
import http.client
import json
import logging
import os
import socket
import sys
import time
import traceback
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from storage.base import NO_ROOM, StoreFull

if TYPE_CHECKING:
    from storage.base import ObjectStore

PATIENCE = 2.0  # seconds in which the store must answer a page or a health check, which are not patient either

_UsageError: Any = typer.BadParameter.__base__  # what Typer raises for every wrong option; it exports only this child


class SettingError(ValueError):
    """A setting is missing or wrong: one line that names it and says what it takes. Exit code 2."""


def fields(event: str, **values: object) -> str:
    """Write one event as a log line: `loaded key=raw/a.csv rows=3`.

    A text is written as it is, or as a JSON string where a space, a quote, `=` or a character that does not print is in
    it. So every text can be read back exactly, and none of them ends the line or turns it around.
    """
    return " ".join([event, *(f"{name}={_word(value)}" for name, value in values.items())])


def _word(value: object) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    plain = text.isprintable() and text and not any(character in ' "=' for character in text)
    return text if plain else printable(json.dumps(text, ensure_ascii=False))


def printable(text: str, keep: str = "") -> str:
    """Escape what does not print, as JSON does: control characters, line ends, and what turns the direction of text."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else _ESCAPES.get(one) or _escaped(one) for one in text)


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


class _Formatter(logging.Formatter):
    """Writes times in UTC, and lets no line of anybody steer the terminal; the lines of a traceback stay."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n")


def configure_logging() -> None:
    """Send log lines to stderr as `2026-01-31T12:00:00Z INFO pipeline.worker loaded key=…`."""
    formatter = _Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level="INFO", handlers=[handler])
    # A client of the store warns of each try that failed; our own lines tell of a store that is away, once.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


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
        if message := _usage(error):  # it is empty where no command was named: then the help was shown
            _print_error(message)
        code = 2
    except (SettingError, PermissionError) as error:
        _print_error(str(error))
        code = 2
    except ConnectionError as error:
        _print_error(str(error) if isinstance(error, StoreFull) else f"the store does not answer: {error}")
        code = 1
    except OSError as error:
        if error.errno not in NO_ROOM:
            traceback.print_exc()
        else:
            _print_error(f"{error}: make room for PIPELINE_STATE and for temporary files (TMPDIR)")
        code = 2 if error.errno in NO_ROOM else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Arrow's threads sometimes abort the interpreter's own exit, and then the exit code would be theirs.
    os._exit(code if isinstance(code, int) else 1 if code else 0)


_KINDS = {int: "a whole number", float: "a number", bool: "on or off"}


def _usage(error: Any) -> str:
    """Return what is wrong with an option: the variable, what it is and what it takes, in no library's words."""
    if type(error) is not typer.BadParameter or error.param is None:
        return str(error.format_message())
    param, wrong = error.param, getattr(error.__cause__, "errors", None)
    name = param.envvar or param.opts[-1]
    kind = _KINDS.get(param.type_descriptor.annotation)
    if wrong is None or kind is None:
        return f"{name}: {error.message.removeprefix('Value error, ')}"
    low, high = getattr(param, "min", None), getattr(param, "max", None)
    bounds = "" if low is None else f" of at least {low:,}" if high is None else f" from {low:,} to {high:,}"
    return f"{name} is {wrong()[0]['input']!r}: expected {kind}{bounds}"


def _print_error(message: str) -> None:
    print(f"error: {printable(' '.join(message.splitlines()))}", file=sys.stderr)


def serve_page(script: Path, host: str, port: int, variable: str) -> NoReturn:
    """Become the Streamlit server of `script` on `port`; `SettingError` names `variable` if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                name = variable.replace("PORT", "HOST")
                raise SettingError(f"{name} is {host!r}: expected an address of this machine, like 127.0.0.1") from None
            raise SettingError(
                f"port {port} cannot be used on {host} ({error.strerror}): "
                f"stop what uses it, or set {variable} to another port"
            ) from None
    os.execv(
        sys.executable,
        [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}", f"--server.address={host}"],
    )


def check_page(port: int, store: "ObjectStore", prefix: str) -> None:
    """Say `ok` if the page server of `port` says so and the store lists a prefix; else why not, and end with 1.

    A store that is away counts, since a page can do nothing for its visitor then; whoever serves it goes on by itself.
    """
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=3)) as page:
            page.request("GET", "/_stcore/health")
            said = page.getresponse().read(100).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        _unwell(f"no page answers on port {port}: {error}")
    if said != "ok":  # the server answers 200 on any path, so only the body tells
        _unwell(f"the page on port {port} is not ok: it said {said!r}")
    try:
        list(store.list(prefix, set()))  # one folder that cannot be read is no reason
    except OSError as error:
        _unwell(str(error))
    typer.echo("ok")


def _unwell(reason: str) -> NoReturn:
    typer.echo(f"error: {reason}", err=True)
    raise typer.Exit(1)
