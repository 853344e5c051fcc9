"""The stack of docker-compose.yaml, in real containers."""

import json
import re
import urllib.request

import pytest

from tests.stack.compose import DEV_CONTAINER, ROOT, STACK, Stack

OURS = ("simulator", "pipeline", "dashboard")
PROGRAMS = ("minio", *OURS)

pytestmark = [pytest.mark.needs_engine, pytest.mark.timeout(900)]


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


@pytest.mark.parametrize("files", [STACK, DEV_CONTAINER], ids=["stack", "dev container"])
def test_every_published_port_is_for_this_machine_only(files: tuple[str, ...]) -> None:
    services = Stack.new(files).config()["services"]
    addresses = {port["host_ip"] for service in services.values() for port in service.get("ports", [])}
    assert addresses == {"127.0.0.1"}


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
    assert set(container["runServices"]) == set(services) - {"pipeline", container["service"]}
    assert {entry.split(":")[0] for entry in container["forwardPorts"]} <= set(services)
    assert container["workspaceFolder"] in {volume["target"] for volume in services["dev"]["volumes"]}


def test_everything_is_up(stack: Stack) -> None:
    containers = stack.containers()
    assert containers["lake-init"]["ExitCode"] == 0
    states = {name: (containers[name]["State"], containers[name]["Health"]) for name in PROGRAMS}
    assert states == dict.fromkeys(PROGRAMS, ("running", "healthy"))


def test_the_pages_answer_on_their_ports(stack: Stack) -> None:
    assert _get(f"{stack.urls.simulator}/_stcore/health") == b"ok"
    assert _get(f"{stack.urls.dashboard}/_stcore/health") == b"ok"


def test_the_store_gives_back_what_was_put(stack: Stack) -> None:
    store = stack.store()
    store.put("other/from the host.txt", b"hello")
    with store.open("other/from the host.txt") as (_, stream):
        assert stream.read() == b"hello"
    store.delete("other/from the host.txt")


@pytest.mark.parametrize("service", OURS)
def test_no_service_of_ours_is_root_or_writes_to_its_image(stack: Stack, service: str) -> None:
    look = "import os; print(os.getuid(), os.getgid(), os.access('/app', os.W_OK), os.access('/', os.W_OK))"
    assert stack.compose("exec", "-T", service, "python", "-c", look).stdout.split() == [
        "10001",
        "10001",
        "False",
        "False",
    ]
    write = stack.compose("exec", "-T", "--user", "0", service, "touch", "/app/x", check=False)
    assert "Read-only file system" in write.stderr


def test_the_image_runs_the_code_in_app_by_an_installed_streamlit(stack: Stack) -> None:
    look = "import storage, streamlit; print(storage.__file__); print(streamlit.__file__)"
    ours, theirs = stack.compose("exec", "-T", "dashboard", "python", "-c", look).stdout.splitlines()
    assert ours == "/app/storage/__init__.py"
    assert "site-packages" in theirs
