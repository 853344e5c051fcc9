"""Fresh clone and `make run`: data on the dashboard, and after Ctrl-C no process is left."""

import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import urllib3

from lake.layout import LOADS, summary_key
from lake.stores import open_store
from tests.support.minio_server import free_port, until
from tests.support.project import RELATIVE, ROOT

VARIABLE = "LAKELET_TEST_RUN"


def processes_of(run: str) -> list[str]:
    """Return the command line of every process that carries this run's variable."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{VARIABLE}={run}".encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def healthy(port: int) -> bool:
    try:
        answer = urllib3.request("GET", f"http://127.0.0.1:{port}/_stcore/health", retries=False, timeout=2)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.data == b"ok"


def assert_plain(log: str) -> None:
    """Assert that a newcomer sees what happens while it installs, each line's time once, and no error in the end."""
    assert re.search(r"^  \d+ of \d+ packages are here$", log, re.MULTILINE)
    lines = [line for line in log.splitlines() if " loaded key=" in line]
    assert lines
    assert [line for line in lines if not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO pipeline", line)] == []
    assert [line for line in log.splitlines() if re.search(r"No runtime found|Error|Traceback", line)] == []


@pytest.mark.needs_browser
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="it looks for left processes in /proc")
def test_a_fresh_clone_runs_and_ends(tmp_path, browser_page):
    clone, run, ports = tmp_path / "clone", uuid.uuid4().hex, (free_port(), free_port())
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    variables = {"SIMULATOR_PORT": str(ports[0]), "DASHBOARD_PORT": str(ports[1]), VARIABLE: run}
    variables |= {"PIPELINE_DATASETS": RELATIVE}
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAKE", "PIPELINE"))}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ["make", "run", f"PYTHON={sys.executable}"],
            cwd=clone,
            env={**environ, **variables},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: process.poll() is not None or all(map(healthy, ports)), 600, "both pages")
        assert process.poll() is None, (tmp_path / "log").read_text()
        store = open_store(str(clone / "data/lake"))
        until(lambda: {LOADS, summary_key("companydata")} <= {item.key for item in store.list("published/")}, 60)
        browser_page.goto(f"http://127.0.0.1:{ports[1]}")
        browser_page.get_by_text("companydata").first.wait_for()
        browser_page.goto("about:blank")  # or the page would complain of the server that ends

        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        until(lambda: not processes_of(run), what=f"no process left, but there are {processes_of(run)}")
        assert_plain((tmp_path / "log").read_text())
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        print((tmp_path / "log").read_text()[-5000:])
