"""The stack in containers, under a name and on ports of its own."""

import json
import os
import socket
import subprocess
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from lake.stores import open_store
from lake.stores.base import ObjectStore
from tests.support.project import RELATIVE, ROOT

STACK = ("docker-compose.yaml",)
DEV_CONTAINER = (*STACK, ".devcontainer/docker-compose.yaml")
INIT = "lake-init"
OURS = ("simulator", "pipeline", "dashboard")  # that run for long
PROGRAMS = ("minio", *OURS)
NOTEBOOK = "notebook"  # service and profile
SPARK_NOTEBOOK = "spark-notebook"
SPARK = ("spark-master", "spark-worker", SPARK_NOTEBOOK)  # of profile spark
SCALE = ("scheduler", "worker")  # of profile scale
ROLES = ("simulator", "pipeline", "worker", "reader")
PORTS = (
    *("MINIO_PORT", "MINIO_CONSOLE_PORT", "SIMULATOR_PORT", "DASHBOARD_PORT"),
    *("NOTEBOOK_PORT", "SPARK_PORT", "SPARK_NOTEBOOK_PORT", "SCHEDULER_PORT"),
)
EVERY_PROFILE = ("--profile", "*")


class Urls(NamedTuple):
    """URLs of the stack on this machine."""

    s3: str
    console: str
    simulator: str
    dashboard: str
    notebook: str
    spark: str
    spark_notebook: str
    scheduler: str


class Credentials(NamedTuple):
    """User of the object store."""

    access_key: str
    secret_key: str


# The programs that init (process 1) has started; what is executed from outside has another parent.
SIGNAL = """
import contextlib, os, pathlib, sys
for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
    with contextlib.suppress(OSError):  # it has ended meanwhile
        if stat.read_text().rpartition(")")[2].split()[1] == "1":
            os.kill(int(stat.parent.name), int(sys.argv[1]))
"""
ROOT_USER = Credentials("lakelet-test", "lakelet-test-secret")


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now, each another one."""
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in sockets]


@dataclass(frozen=True)
class Stack:
    """Compose project: its name, its compose files, and the variables that it overrides in .env."""

    project: str
    files: tuple[str, ...]
    variables: dict[str, str]
    credentials: Credentials = ROOT_USER
    clone: Path = ROOT

    @classmethod
    def new(cls, files: tuple[str, ...] = STACK, clone: Path = ROOT, **variables: str) -> Self:
        """Return a project that does not run yet; `variables` stand for those of .env."""
        ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        return cls(f"lakelet-test-{uuid.uuid4().hex[:8]}", files, ports | variables, clone=clone)

    @staticmethod
    def role(name: str) -> Credentials:
        """Return the key of a program's own user: one of `ROLES`."""
        return Credentials(f"{name}-test", f"{name}-test-secret")

    def acting_as(self, role: str) -> Self:
        """Return the same stack, whose `environ` and `store` are a program's user instead of root."""
        return replace(self, credentials=self.role(role))

    @property
    def urls(self) -> Urls:
        """Return the URLs of the stack's ports."""
        return Urls(*(f"http://127.0.0.1:{self.variables[port]}" for port in PORTS))

    @property
    def environ(self) -> dict[str, str]:
        """The variables that point a program on this machine at the stack's lake."""
        return {
            "LAKE_URL": "s3://lake",
            "AWS_ENDPOINT_URL": self.urls.s3,
            "AWS_ACCESS_KEY_ID": self.credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_key,
        }

    def store(self) -> ObjectStore:
        """Open the stack's lake through its published port."""
        return open_store("s3://lake", self.environ)

    def command(self, *arguments: str) -> list[str]:
        """Return a compose command on this project, to be run in the clone with `compose_environ`."""
        files = [argument for file in self.files for argument in ("--file", file)]
        return ["docker", "compose", "--project-name", self.project, *files, *arguments]

    @property
    def compose_environ(self) -> dict[str, str]:
        """The variables that compose itself takes: ports, credentials and overrides."""
        users = {"MINIO_ROOT": ROOT_USER} | {role.upper(): self.role(role) for role in ROLES}
        keys = {f"{name}_USER": user.access_key for name, user in users.items()}
        keys |= {f"{name}_PASSWORD": user.secret_key for name, user in users.items()}
        return keys | {"PIPELINE_DATASETS": RELATIVE} | self.variables

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a compose command on this project; one that fails is an error with its last words."""
        environ = {**os.environ, **self.compose_environ}
        done = subprocess.run(self.command(*arguments), cwd=self.clone, env=environ, capture_output=True, text=True)
        if check and done.returncode:
            raise AssertionError(f"compose {' '.join(arguments)} gave {done.returncode}:\n{done.stderr[-4000:]}")
        return done

    def config(self) -> dict[str, Any]:
        """Return the project as compose understands it, with the services of every profile."""
        parsed: dict[str, Any] = json.loads(self.compose(*EVERY_PROFILE, "config", "--format", "json").stdout)
        return parsed

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what compose says of each service's container, stopped ones too."""
        lines = self.compose("ps", "--all", "--format", "json").stdout.splitlines()
        return {row["Service"]: row for row in map(json.loads, lines)}

    def healths(self) -> dict[str, str]:
        """Return each running service's health: healthy, unhealthy, starting, or nothing where it has no check."""
        return {name: row["Health"] for name, row in self.containers().items() if row["State"] == "running"}

    def restarts(self, service: str) -> int:
        """State how often the restart policy has started a service's container again."""
        container = self.containers()[service]["ID"]
        asked = ["docker", "inspect", "--format", "{{.RestartCount}}", container]
        return int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)

    def python(self, service: str, code: str, *arguments: str) -> str:
        """Run a Python program in a service's container and give what it printed."""
        return self.compose("exec", "-T", service, "python", "-c", code, *arguments).stdout

    def signal(self, service: str, number: int) -> None:
        """Send a signal to a service's program itself, and not to the init that started it."""
        self.compose(
            "exec", "-T", service, "python", "-c", SIGNAL, str(number), check=False
        )  # it may end with that one

    def logs(self, *services: str, tail: str = "200") -> str:
        """Return the logs, newest last."""
        return self.compose("logs", "--no-color", "--tail", tail, *services, check=False).stdout

    def up(self, *services: str, profile: str = "") -> None:
        """Build, start and wait until all of it (or `services` and what they need) is healthy."""
        try:
            self.compose("--profile", profile, "up", "--detach", "--wait", "--wait-timeout", "300", *services)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None

    def remove(self) -> None:
        """Take it away: containers, data and images."""
        self.compose(*EVERY_PROFILE, "down", "--volumes", "--rmi", "local", "--remove-orphans", "--timeout", "10")
