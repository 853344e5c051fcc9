"""Start the server of a Streamlit page, and check its health."""

import errno
import http.client
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import typer

from common.errors import SettingError

PATIENCE = 2.0  # seconds for the store to answer a page or a health check


def serve_page(script: Path, host: str, port: int, variable: str, environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the Streamlit server of `script`, with the variables `environ`.

    Raises:
        SettingError: names `variable` where the port is taken.
    """
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
    options = [f"--server.port={port}", f"--server.address={host}"]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *options]
    os.execve(sys.executable, command, environ)  # noqa: S606 (no shell: the script is ours)


def check_page(port: int, check_store: Callable[[], object]) -> None:
    """Print `ok` if the page server on `port` and the store are healthy; otherwise print the reason and exit with 1.

    Args:
        check_store: sends the store a request; raises `OSError` if it does not answer.
    """
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=3)) as page:
            page.request("GET", "/_stcore/health")
            answer = page.getresponse().read(100).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        _unwell(f"no page answers on port {port}: {error}")
    if answer != "ok":  # the status is 200 for any path
        _unwell(f"the page on port {port} is not ok: it said {answer!r}")
    try:
        check_store()
    except OSError as error:
        _unwell(str(error))
    typer.echo("ok")


def _unwell(reason: str) -> NoReturn:
    typer.echo(f"error: {reason}", err=True)
    raise typer.Exit(1)
