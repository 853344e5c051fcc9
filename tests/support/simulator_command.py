"""The simulator's command line, run to its end."""

import os
import subprocess
import sys

from tests.support.project import ROOT

NAMES = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def environ(**told: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in NAMES and not name.startswith("FEED")}
    return kept | told


def simulator(*arguments: str, **told: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulator", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ(**told), capture_output=True, text=True, timeout=120)
