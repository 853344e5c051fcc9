"""Rights that every service is denied, in the compose files as compose understands them, and in what runs."""

import json
from typing import Any

import pytest

from pipeline.service.workers import STOP_SECONDS
from tests.support.compose import (
    DEV_CONTAINER,
    INIT,
    NOTEBOOK,
    OURS,
    PROGRAMS,
    ROLES,
    ROOT_USER,
    SCALE,
    SPARK,
    SPARK_NOTEBOOK,
    STACK,
    Stack,
)
from tests.support.minio_server import until
from tests.support.project import DATASETS, ROOT

LASTING = (*OURS, *SCALE, NOTEBOOK, *SPARK)
OF_OUR_IMAGES = (INIT, *LASTING)
NOTEBOOKS = (NOTEBOOK, SPARK_NOTEBOOK)
Services = dict[str, dict[str, Any]]

pytestmark = [pytest.mark.needs_engine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", params=[STACK, DEV_CONTAINER], ids=["stack", "dev container"])
def everything(request: pytest.FixtureRequest) -> dict[str, Any]:
    return Stack.new(request.param).config()


@pytest.fixture(scope="module")
def services(everything: dict[str, Any]) -> Services:
    """All services but the one for a person to work in."""
    found = {name: service for name, service in everything["services"].items() if name != "dev"}
    assert set(found) == {INIT, *PROGRAMS, *SCALE, NOTEBOOK, *SPARK}
    return found


def each(services: Services, *names: str) -> dict[str, tuple[Any, ...]]:
    """Return what each service says under `names`."""
    return {service: tuple(told.get(name) for name in names) for service, told in services.items()}


def test_no_service_writes_its_image_or_gains_rights(services: Services) -> None:
    found = each(services, "read_only", "cap_drop", "security_opt", "init")
    assert found == dict.fromkeys(services, (True, ["ALL"], ["no-new-privileges:true"], True))


def test_no_service_is_given_back_what_it_was_denied(services: Services) -> None:
    names = (
        "cap_add",
        "privileged",
        "devices",
        "pid",
        "ipc",
        "network_mode",
        "userns_mode",
        "volumes_from",
        "extra_hosts",
    )
    assert each(services, *names) == dict.fromkeys(services, (None,) * len(names))


def test_all_that_is_mounted_is_a_volume_of_the_project_or_the_notebooks_or_the_contracts(services: Services) -> None:
    mounts = [(name, mount) for name, told in services.items() for mount in told.get("volumes", [])]
    assert sorted((name, mount["type"], mount["target"]) for name, mount in mounts) == [
        (INIT, "volume", "/tls"),
        ("minio", "volume", "/data"),
        (NOTEBOOK, "bind", "/notebooks"),
        ("pipeline", "bind", "/datasets"),
        ("pipeline", "volume", "/state"),
        ("pipeline", "volume", "/tls"),
        ("scheduler", "volume", "/tls"),
        (SPARK_NOTEBOOK, "bind", "/notebooks"),
        (SPARK_NOTEBOOK, "volume", "/scratch"),
        ("spark-worker", "bind", "/notebooks"),
        ("spark-worker", "volume", "/scratch"),
        ("worker", "bind", "/datasets"),
        ("worker", "volume", "/scratch"),
        ("worker", "volume", "/tls"),
    ]
    bound = {(name, mount["source"]): mount for name, mount in mounts if mount["type"] == "bind"}
    notebooks, read = str(ROOT / "notebooks"), {("spark-worker", str(ROOT / "notebooks"))}
    read |= {(name, str(DATASETS)) for name in ("pipeline", "worker")}
    assert bound.keys() == {(name, notebooks) for name in NOTEBOOKS} | read
    assert {key for key, mount in bound.items() if mount.get("read_only")} == read
    assert {name for name, mount in mounts if mount["target"] == "/tls" and not mount.get("read_only")} == {INIT}


def test_what_a_file_becomes_is_the_same_in_pipeline_and_workers(services: Services) -> None:
    pipeline, worker = (services[name]["environment"] for name in ("pipeline", "worker"))
    loads = {name for name in worker if name.startswith(("LAKE", "PIPELINE", "CLUSTER", "AWS"))}
    assert loads > {"PIPELINE_DATASETS", "PIPELINE_RECORD_MIB", "PIPELINE_GROWN_MIB", "PIPELINE_LOAD_SECONDS"}
    assert {name for name in loads if pipeline[name] != worker[name]} == {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PIPELINE_STATE"),
    }


def test_only_the_store_runs_as_root(services: Services) -> None:
    users = {name: told.get("user") for name, told in services.items()}
    ours = dict.fromkeys(OF_OUR_IMAGES, "10001:10001") | dict.fromkeys((*NOTEBOOKS, "spark-worker"), "1000:1000")
    assert users == {"minio": None} | ours


def test_every_service_has_limits(services: Services) -> None:
    for name, told in services.items():
        limits = told["deploy"]["resources"]["limits"]
        assert set(limits) == {"cpus", "memory", "pids"}, name
        assert all(float(limit) > 0 for limit in limits.values()), name
        assert [one.partition(":")[0] for one in told["tmpfs"]] == ["/tmp"], name
        assert "size=" in told["tmpfs"][0], name


def test_logs_are_local_and_rotate(services: Services) -> None:
    rotated = {"driver": "local", "options": {"max-size": "10m", "max-file": "3"}}
    assert each(services, "logging") == dict.fromkeys(services, (rotated,))


def test_every_service_may_end_what_it_began(services: Services) -> None:
    grace = {name: float(told["stop_grace_period"].removesuffix("s")) for name, told in services.items()}
    assert min(grace.values()) > STOP_SECONDS


def test_ports_are_for_this_machine_only(everything: dict[str, Any]) -> None:
    services = everything["services"].items()
    ports = [(name, port["host_ip"], port["target"]) for name, told in services for port in told.get("ports", [])]
    expected = [("dashboard", 8002), ("minio", 9000), ("minio", 9001), (NOTEBOOK, 8888), ("simulator", 8001)]
    expected += [("spark-master", 8080), (SPARK_NOTEBOOK, 8888), ("scheduler", 8787)]
    assert sorted(ports) == sorted((name, "127.0.0.1", target) for name, target in expected)


def test_an_edit_is_never_run_from_an_old_image(services: Services) -> None:
    assert [services[name]["pull_policy"] for name in OF_OUR_IMAGES] == ["build"] * len(OF_OUR_IMAGES)


def test_every_service_has_its_own_key_and_no_other(everything: dict[str, Any]) -> None:
    root, simulator, pipeline, worker, reader = "root", *ROLES
    secrets = {root: ROOT_USER.secret_key} | {role: Stack.role(role).secret_key for role in ROLES}
    told = {name: json.dumps(service) for name, service in everything["services"].items()}
    held = {name: {user for user, secret in secrets.items() if secret in text} for name, text in told.items()}
    expected = {
        "minio": {root},
        INIT: {root, *ROLES},
        "simulator": {simulator},
        "pipeline": {pipeline},
        "dashboard": {reader},
        "scheduler": set(),
        "worker": {worker},
        NOTEBOOK: {reader},
        "spark-master": set(),
        "spark-worker": {reader},
        SPARK_NOTEBOOK: {reader},
        "dev": {simulator, pipeline, worker, reader},  # whose programs can be run in it
    }
    assert held == {name: expected[name] for name in told}


def test_every_program_of_ours_has_a_health_check(services: Services) -> None:
    for name in OURS:
        check = services[name]["healthcheck"]
        assert check["test"][:3] == ["CMD", "python", "-m"], name
        assert check["test"][3].partition(".")[0] == name, name
        assert not check.get("disable"), name


def test_spark_s_health_is_what_the_master_sees(services: Services) -> None:
    for role in ("master", "worker"):
        assert services[f"spark-{role}"]["healthcheck"]["test"] == ["CMD", "python", "/opt/spark/health.py", role]


def test_every_program_of_ours_waits_for_the_lake_and_for_nothing_else(services: Services) -> None:
    names = (*OURS, "scheduler", NOTEBOOK)
    waits = {name: {(on, how["condition"]) for on, how in services[name]["depends_on"].items()} for name in names}
    assert waits == {name: {(INIT, "service_completed_successfully")} for name in names}


def test_what_ends_is_started_again(services: Services) -> None:
    policies = {name: told["restart"] for name, told in services.items()}
    assert policies == {INIT: "no"} | dict.fromkeys((*PROGRAMS, *SCALE, NOTEBOOK, *SPARK), "unless-stopped")


def test_what_runs_code_of_others_is_on_the_internal_network_alone(
    everything: dict[str, Any], services: Services
) -> None:
    inside = {name for name, network in everything["networks"].items() if network.get("internal")}
    joined = {name: set(told["networks"]) for name, told in services.items()}
    alone = {name for name, networks in joined.items() if networks <= inside}
    assert alone == {INIT, "pipeline", "worker", "spark-worker"}


PROCESSES = """
import contextlib, pathlib
for status in pathlib.Path("/proc").glob("[0-9]*/status"):
    with contextlib.suppress(OSError):  # it has ended meanwhile
        told = dict(line.split(":", 1) for line in status.read_text().splitlines())
        print(*told["Uid"].split(), *told["Gid"].split(), told["CapBnd"].strip(), told["NoNewPrivs"].strip())
"""
NO_RIGHTS = ("0" * 16, "1")


@pytest.mark.parametrize("service", LASTING)
def test_no_process_is_root_or_may_become_it(stack: Stack, service: str) -> None:
    user, group = stack.config()["services"][service]["user"].split(":")
    denied = " ".join([*[user] * 4, *[group] * 4, *NO_RIGHTS])

    def all_denied() -> bool:
        processes = stack.python(service, PROCESSES).splitlines()
        assert len(processes) >= 3  # init, the program, and the one that looks
        return set(processes) == {denied}

    # The engine itself enters as root to run a health check, and for a moment it is seen before it becomes that.
    until(all_denied, 30, "no process but those that are denied everything")


@pytest.mark.parametrize("service", LASTING)
@pytest.mark.parametrize("folder", ["/", "/app", "/etc", "/opt/venv"])
def test_not_even_root_can_write_to_the_image(stack: Stack, service: str, folder: str) -> None:
    write = stack.compose("exec", "-T", "--user", "0", service, "touch", f"{folder}/x", check=False)
    assert "Read-only file system" in write.stderr


def test_the_state_belongs_to_the_pipeline(stack: Stack) -> None:
    look = "import os; print(*{(os.stat(p).st_uid, os.stat(p).st_gid) for p in ('/state', '/state/ledger.sqlite')})"
    assert stack.python("pipeline", look).strip() == "(10001, 10001)"


REACHES = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 8001), timeout=2).close()
    print(True)
except OSError:
    print(False)
"""


@pytest.mark.parametrize(("service", "reaches"), [("dashboard", "True"), ("pipeline", "False"), ("worker", "False")])
def test_what_runs_transforms_reaches_no_other_program(stack: Stack, service: str, reaches: str) -> None:
    address = stack.python("simulator", "import socket; print(socket.gethostbyname(socket.gethostname()))").strip()
    assert stack.python(service, REACHES, address).strip() == reaches


@pytest.mark.parametrize(("service", "act"), [("dashboard", "put('other/x', b'x')"), ("worker", "delete('clean/x')")])
def test_a_program_of_ours_is_denied_what_it_does_not_need(stack: Stack, service: str, act: str) -> None:
    """Two cells of the table of all users and actions, with the very key that the service has."""
    code = f"import os; from lake.stores import open_store; open_store('s3://lake', os.environ).{act}"
    done = stack.compose("exec", "-T", service, "python", "-c", code, check=False)
    assert done.returncode != 0
    assert "PermissionError" in done.stderr
    assert list(stack.acting_as("reader").store().list("other/")) == []
