"""Fresh clone and `make run`: data on the dashboard, and after Ctrl-C no process is left."""

import os
import re
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3

from lake.layout import LOADS, summary_key
from lake.stores import open_store
from tests.support.compose import free_ports
from tests.support.minio_server import free_port, until
from tests.support.project import RELATIVE, ROOT

VARIABLE = "LAKELET_TEST_RUN"
LISTENS, LOOPBACK = "0A", ("0100007F:", "00000000000000000000000001000000:")  # in /proc/net/tcp and tcp6


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


def listening_beyond(run: str) -> list[str]:
    """Return the addresses other than loopback that processes of this run listen on, as the kernel writes them."""
    inodes = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{VARIABLE}={run}".encode() in (folder / "environ").read_bytes():
                for descriptor in (folder / "fd").iterdir():
                    with suppress(OSError):
                        inodes.add(descriptor.readlink().name.removeprefix("socket:[").removesuffix("]"))
    tables = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    addresses = [row[1] for row in tables if row[3] == LISTENS and row[9] in inodes]
    assert addresses
    return [address for address in addresses if not address.startswith(LOOPBACK)]


@pytest.mark.needs_engine
@pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes and their ports in /proc")
def test_workers_load_from_a_bucket_and_end_with_it(tmp_path, minio):
    store, run, ports = minio.new_store(), uuid.uuid4().hex, free_ports(4)
    names = ("SIMULATOR_PORT", "DASHBOARD_PORT", "SCHEDULER_PORT")
    variables = dict(zip(names, map(str, ports), strict=False)) | minio.environ(store.bucket) | {VARIABLE: run}
    variables |= {"PIPELINE_DATASETS": RELATIVE, "PIPELINE_SCHEDULER": f"tls://127.0.0.1:{ports[-1]}"}
    for name in ("Makefile", "Procfile", ".env", "common", "lake", "pipeline", "simulator", "dashboard"):
        (tmp_path / name).symlink_to(ROOT / name)
    python = Path(sys.executable)
    command = ["make", "run", "WORKERS=2", "RUNTIME=", f"BIN={python.parent}/"]
    environ = {**os.environ, **variables, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environ, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        until(lambda: log.read_text().count(" worker joined ") == 2 or process.poll() is not None, 120, "two workers")
        since = log.read_text()
        until(lambda: " loaded key=raw/orders/" in log.read_text().removeprefix(since), 60, "a load of theirs")
        named = re.findall(r" loaded key=.* worker=(\S+)", log.read_text().removeprefix(since))
        assert set(named) <= set(re.findall(r" worker joined worker=(\S+)", since))
        assert listening_beyond(run) == []
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        until(lambda: not processes_of(run), what=f"no process left, but there are {processes_of(run)}")
        assert "Traceback" not in log.read_text()
        assert sorted(path.name for path in (tmp_path / "data/state").iterdir() if path.is_dir()) == ["staging"]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        print(log.read_text()[-5000:])
