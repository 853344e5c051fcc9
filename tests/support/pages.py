"""Dashboard as a user starts it: its own process, on a port of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.minio_server import free_port, until
from tests.support.project import ROOT

COMMAND = [sys.executable, "-m", "dashboard"]


def command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )


def healthy(port: int, **environ: str) -> bool:
    return command("health", "--port", str(port), **environ).returncode == 0


@contextmanager
def serving(log: Path, **environ: str) -> Iterator[str]:
    """Serve the pages and give their address; the process is ended whatever happens, and its words are in `log`."""
    port = free_port()
    with log.open("w") as output:
        server = subprocess.Popen(
            [*COMMAND, "run", "--port", str(port)],
            cwd=ROOT,
            env=os.environ | environ,
            stdout=output,
            stderr=output,
        )
        try:
            until(lambda: server.poll() is not None or healthy(port, **environ), what="the dashboard's health")
            assert server.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
