"""The stack of docker-compose.yaml, in real containers."""

import json
import re
import urllib.request

import pytest

from tests.support.compose import DEV_CONTAINER, INIT, NOTEBOOK, PROGRAMS, SCALE, SPARK, STACK, Stack
from tests.support.project import ROOT

pytestmark = [pytest.mark.needs_engine, pytest.mark.timeout(900)]


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def test_the_variables_are_those_of_the_env_file() -> None:
    told = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env").read_text(), re.MULTILINE))
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yaml").read_text()))
    assert told == used


def test_an_empty_variable_stops_compose_with_its_name() -> None:
    done = Stack.new(STACK, SWEEP_SECONDS="").compose("config", check=False)
    assert done.returncode != 0
    assert "SWEEP_SECONDS" in done.stderr


def test_the_dev_container_names_real_services_and_leaves_the_pipeline_out() -> None:
    services = Stack.new(DEV_CONTAINER).config()["services"]
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert container["service"] in services
    assert set(container["runServices"]) == set(services) - {"pipeline", NOTEBOOK, *SPARK, *SCALE, container["service"]}
    assert {entry.split(":")[0] for entry in container["forwardPorts"]} <= set(services)
    assert container["workspaceFolder"] in {volume["target"] for volume in services["dev"]["volumes"]}


def test_a_plain_up_starts_no_companion() -> None:
    assert set(Stack.new().compose("config", "--services").stdout.split()) == {INIT, *PROGRAMS}


def test_everything_is_up(stack: Stack) -> None:
    containers = stack.containers()
    assert containers["lake-init"]["ExitCode"] == 0
    assert stack.healths() == dict.fromkeys((*PROGRAMS, NOTEBOOK, *SPARK, *SCALE), "healthy")


def test_the_pages_answer_on_their_ports(stack: Stack) -> None:
    assert _get(f"{stack.urls.simulator}/_stcore/health") == b"ok"
    assert _get(f"{stack.urls.dashboard}/_stcore/health") == b"ok"


def test_the_store_gives_back_what_was_put(stack: Stack) -> None:
    store = stack.store()
    store.put("other/from the host.txt", b"hello")
    with store.open("other/from the host.txt") as (_, stream):
        assert stream.read() == b"hello"
    store.delete("other/from the host.txt")


def test_the_image_runs_the_code_in_app_by_an_installed_streamlit(stack: Stack) -> None:
    look = "import lake.stores, streamlit; print(lake.stores.__file__); print(streamlit.__file__)"
    ours, theirs = stack.python("dashboard", look).splitlines()
    assert ours == "/app/lake/stores/__init__.py"
    assert "site-packages" in theirs
