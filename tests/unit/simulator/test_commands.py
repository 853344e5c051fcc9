"""The command line, as processes of their own."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator

from tests.support.browser import opens
from tests.support.minio_server import until
from tests.support.project import ROOT
from tests.support.simulator_command import environ, simulator


@pytest.fixture
def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path, free_port: str) -> Iterator[subprocess.Popen[str]]:
    told = {"LAKE_URL": str(tmp_path / "lake"), "SIMULATOR_PORT": free_port, "FEED_FILES_PER_SECOND": "20"}
    command = [sys.executable, "-m", "simulator", "run", "--rows", "4"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ(**told), stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def test_run_writes_without_a_visitor_and_stops_cleanly(server, tmp_path: Path, free_port: str) -> None:
    raw = tmp_path / "lake" / "raw"
    until(lambda: len(list((raw / "orders" / "feed").glob("*.csv"))) >= 5, seconds=40)
    until((raw / "companydata" / "companydata.csv").exists)
    assert (raw / "orders" / "feed" / "orders-000.csv").read_bytes().count(b"\n") == 5
    well = {"SIMULATOR_PORT": free_port, "LAKE_URL": str(tmp_path / "lake")}
    assert simulator("health", **well).returncode == 0
    assert [opens(int(free_port), host) for host in ("localhost", "elsewhere.example")] == [101, 403]
    server.send_signal(signal.SIGTERM)
    _, said = server.communicate(timeout=10)
    assert server.returncode in (0, -signal.SIGTERM)  # uvicorn ends by the signal that it was sent, once it is done
    assert "Traceback" not in said
    assert not list((tmp_path / "lake" / ".staging").iterdir())


@pytest.mark.needs_browser
def test_a_visitor_presses_and_sees(server, browser_page, tmp_path: Path, free_port: str) -> None:
    assert server.poll() is None
    well = {"SIMULATOR_PORT": free_port, "LAKE_URL": str(tmp_path / "lake")}
    until(lambda: simulator("health", **well).returncode == 0, seconds=40)
    browser_page.goto(f"http://127.0.0.1:{free_port}")
    browser_page.get_by_role("button", name="Regenerate data").click()
    written = tmp_path / "lake" / "raw" / "companydata" / "companydata.csv"
    table = browser_page.get_by_test_id("stTable").locator("tbody tr")
    until(lambda: _texts(table) == [line.split(",") for line in written.read_text().splitlines()[1:]], seconds=15)
    browser_page.get_by_text("Files written").wait_for()


def _texts(rows: Locator) -> list[list[str]]:
    return [row.split() for row in rows.all_inner_texts()]


def test_health_of_nothing_fails_in_one_line(free_port: str, tmp_path: Path) -> None:
    done = simulator("health", SIMULATOR_PORT=free_port, LAKE_URL=str(tmp_path))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("dataset", "rows"), [("orders", 7), ("companydata", 24)])
def test_batch_puts_its_files(tmp_path: Path, dataset: str, rows: int) -> None:
    told = ("--dataset", dataset, "--files", "3", "--rows", "7", "--seed", "5")
    done = simulator("batch", *told, LAKE_URL=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("put 3 files, ")
    written = sorted((tmp_path / "raw" / dataset / "batch-5").iterdir())
    assert [path.name for path in written] == [f"{dataset}-{number:06d}.csv" for number in range(3)]
    assert {path.read_bytes().count(b"\n") for path in written} == {rows + 1}
    assert len({path.read_bytes() for path in written}) == 3


def test_batch_without_a_seed_overwrites_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        assert simulator("batch", "--files", "1", LAKE_URL=str(tmp_path)).returncode == 0
    assert len(list(tmp_path.glob("raw/orders/batch-*/*.csv"))) == 2


@pytest.mark.parametrize(
    ("arguments", "told", "named"),
    [
        (["run"], {"FEED": "maybe"}, "FEED is 'maybe'"),
        (["run"], {"SIMULATOR_PORT": "x"}, "SIMULATOR_PORT is 'x'"),
        (["run"], {"LAKE_URL": "s3://lake"}, "AWS_ENDPOINT_URL"),
        (["run"], {"LAKE_URL": "ftp://lake"}, "LAKE_URL is 'ftp://lake'"),
        (["batch", "--dataset", "nothing"], {}, "--dataset is 'nothing'"),
        (["batch", "--files", "0"], {}, "--files is '0'"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, arguments: list[str], told: dict[str, str], named: str) -> None:
    done = simulator(*arguments, **{"LAKE_URL": str(tmp_path)} | told)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert named in done.stderr


def test_the_server_alone_refuses_a_wrong_setting_too(tmp_path: Path, free_port: str) -> None:
    command = [sys.executable, "-m", "streamlit", "run", "simulator/app.py", "--server.port", free_port]
    told = environ(LAKE_URL=str(tmp_path), FEED_ROWS="many")
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["error: FEED_ROWS is 'many': expected a whole number from 1 to 100,000"]


def test_a_port_in_use_is_named_with_its_variable(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = simulator("run", SIMULATOR_PORT=port, LAKE_URL=str(tmp_path))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert port in done.stderr
    assert "SIMULATOR_PORT" in done.stderr


@pytest.mark.parametrize("command", ["run", "batch", "health"])
def test_help_shows_variables_and_defaults(command: str) -> None:
    shown = simulator(command, "--help", COLUMNS="120", NO_COLOR="1").stdout
    assert "env var: " in shown
    assert "default: " in shown
