"""The stack in containers, under a name and on ports of its own."""

import json
import os
import socket
import subprocess
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from storage import ObjectStore, open_store

ROOT = Path(__file__).parents[2]
STACK = ("docker-compose.yaml",)
DEV_CONTAINER = (*STACK, ".devcontainer/docker-compose.yaml")
PORTS = ("MINIO_PORT", "MINIO_CONSOLE_PORT", "SIMULATOR_PORT", "DASHBOARD_PORT")


class Urls(NamedTuple):
    """Where the stack is to be found on this machine."""

    s3: str
    console: str
    simulator: str
    dashboard: str


class Credentials(NamedTuple):
    """A user of the object store."""

    access_key: str
    secret_key: str


ROOT_USER = Credentials("lakelet-test", "lakelet-test-secret")


def free_ports(count: int) -> list[int]:
    """Give ports that nothing listens on now, each another one."""
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in sockets]


@dataclass(frozen=True)
class Stack:
    """A compose project: its name, its compose files, and the variables that it overrides in .env."""

    project: str
    files: tuple[str, ...]
    variables: dict[str, str]
    credentials: Credentials = ROOT_USER

    @classmethod
    def new(cls, files: tuple[str, ...] = STACK, **variables: str) -> Self:
        """Give a project that does not run yet; `variables` stand for those of .env."""
        ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        return cls(f"lakelet-test-{uuid.uuid4().hex[:8]}", files, ports | variables)

    @property
    def urls(self) -> Urls:
        """Where its four ports are."""
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
        """Give a compose command on this project, to be run in the clone with `compose_environ`."""
        files = [argument for file in self.files for argument in ("--file", file)]
        return ["docker", "compose", "--project-name", self.project, *files, *arguments]

    @property
    def compose_environ(self) -> dict[str, str]:
        """The variables that compose itself takes: ports, credentials and overrides."""
        user, password = self.credentials
        return {"MINIO_ROOT_USER": user, "MINIO_ROOT_PASSWORD": password, **self.variables}

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a compose command on this project; one that fails is an error with its last words."""
        environ = {**os.environ, **self.compose_environ}
        done = subprocess.run(self.command(*arguments), cwd=ROOT, env=environ, capture_output=True, text=True)
        if check and done.returncode:
            raise AssertionError(f"compose {' '.join(arguments)} gave {done.returncode}:\n{done.stderr[-4000:]}")
        return done

    def config(self) -> dict[str, Any]:
        """Give the project as compose understands it."""
        parsed: dict[str, Any] = json.loads(self.compose("config", "--format", "json").stdout)
        return parsed

    def containers(self) -> dict[str, dict[str, Any]]:
        """Give what compose says of each service's container, stopped ones too."""
        lines = self.compose("ps", "--all", "--format", "json").stdout.splitlines()
        return {row["Service"]: row for row in map(json.loads, lines)}

    def logs(self, *services: str) -> str:
        """Give the logs, newest last."""
        return self.compose("logs", "--no-color", "--tail", "200", *services, check=False).stdout

    def up(self, *services: str) -> None:
        """Build, start and wait until all of it (or `services` and what they need) is healthy."""
        try:
            self.compose("up", "--detach", "--wait", "--wait-timeout", "300", *services)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None

    def remove(self) -> None:
        """Take it away: containers, data and images."""
        self.compose("down", "--volumes", "--rmi", "local", "--remove-orphans", "--timeout", "10")
