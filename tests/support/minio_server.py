"""Real MinIO server in a container, for the tests that need one."""

import os
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pytest
import urllib3
from minio import MinioAdmin
from minio.credentials import StaticProvider

from lake.stores.s3 import S3Store
from lake.stores.users import prepare
from tests.support.project import ROOT

T = TypeVar("T")


def default_image() -> str:
    """Return the image that docker-compose.yaml names for MinIO: the one place that does."""
    found = re.search(r"image: \$\{MINIO_IMAGE:-(\S+)\}", (ROOT / "docker-compose.yaml").read_text())
    assert found, "docker-compose.yaml names no image for MinIO"
    return found[1]


def minio_image() -> str:
    """Return the image that the stack runs: MINIO_IMAGE, or the default."""
    return os.environ.get("MINIO_IMAGE") or default_image()


def until(
    condition: Callable[[], T],
    seconds: float = 60,
    what: str = "the condition",
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """Poll until `condition` gives something true and return it; fail after `seconds`. `pause` takes seconds."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what} did not hold within {seconds} s"
        pause(0.02)
    return result


@dataclass(frozen=True)
class MinioServer:
    """Running server: where it is, and a hand to stop and start it."""

    container: str
    port: int
    access_key: str = "lakelet-test"
    secret_key: str = "lakelet-test-secret"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def docker(self, command: str) -> None:
        """Run `docker stop | start | kill | pause | unpause` on it."""
        subprocess.run(["docker", command, self.container], check=True, capture_output=True)

    def alive(self) -> bool:
        try:
            return urllib3.request("GET", f"{self.endpoint}/minio/health/live", retries=False, timeout=1).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def environ(self, bucket: str) -> dict[str, str]:
        """Return the variables that point a program at a bucket here."""
        return {
            "LAKE_URL": f"s3://{bucket}",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def user_without(self, action: str, bucket: str) -> dict[str, str]:
        """Make a user who may do everything in a bucket but one thing; give the variables of its keys."""
        name = f"user-{uuid.uuid4().hex[:8]}"
        self._admin().user_add(access_key=name, secret_key="secret-of-a-test")
        self.deny(name, action, bucket)
        return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": "secret-of-a-test"}

    def deny(self, user: str, action: str, bucket: str) -> None:
        """Allow a user everything in a bucket but this one thing from now on."""
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        rules = [{"Effect": "Allow", "Action": ["s3:*"], "Resource": resources}]
        rules.append({"Effect": "Deny", "Action": [action], "Resource": resources})
        self._admin().policy_add(policy_name=user, policy={"Version": "2012-10-17", "Statement": rules})
        self._admin().policy_set(policy_name=user, user=user)

    def _admin(self) -> MinioAdmin:
        keys = StaticProvider(self.access_key, self.secret_key)
        return MinioAdmin(endpoint=f"127.0.0.1:{self.port}", credentials=keys, secure=False)

    def spoil(self, bucket: str, prefix: str) -> None:
        """Change bytes of every stored part below a prefix behind the server's back, as a failing disk would."""
        folder = f"/data/{bucket}/{prefix}"
        script = (
            "import pathlib\n"
            f"for part in pathlib.Path({folder!r}).rglob('part.*'):\n"
            "    content = bytearray(part.read_bytes())\n"
            "    content[500:564] = bytes(64)\n"
            "    part.write_bytes(content)\n"
        )
        image = re.search(r"FROM (\S+) AS base", (ROOT / "Dockerfile").read_text())
        assert image
        command = ["docker", "run", "--rm", "--volumes-from", self.container, image[1], "python", "-c", script]
        subprocess.run(command, check=True, capture_output=True)

    def new_store(self) -> S3Store:
        """Return a store over a new, empty bucket."""
        store = S3Store(f"test-{uuid.uuid4().hex[:12]}", self.endpoint, self.access_key, self.secret_key)
        until(lambda: _prepared(store), what="a bucket in the new server")
        return store


def _prepared(store: S3Store) -> bool:
    try:
        prepare(store)
    except ConnectionError:
        return False
    return True


def free_port() -> int:
    """Return a port that nothing listens on now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_minio() -> MinioServer:
    """Start a server with a port that stays the same when it is stopped and started."""
    port = free_port()
    server = MinioServer("", port)
    variables = [f"MINIO_ROOT_USER={server.access_key}", f"MINIO_ROOT_PASSWORD={server.secret_key}"]
    settings = [argument for variable in variables for argument in ("--env", variable)]
    publish = ["--publish", f"127.0.0.1:{port}:9000"]
    command = ["docker", "run", "--detach", *settings, *publish, minio_image(), "server", "/data"]
    container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    server = MinioServer(container, port)
    until(server.alive, 60, "the MinIO server")
    return server


def remove_minio(server: MinioServer) -> None:
    """End a server and its data."""
    subprocess.run(["docker", "rm", "--force", "--volumes", server.container], check=True, capture_output=True)


@pytest.fixture(scope="session")
def minio() -> Iterator[MinioServer]:
    """Server for the whole run; a test that stops it uses `minio_to_break` instead."""
    server = start_minio()
    yield server
    remove_minio(server)


@pytest.fixture
def minio_to_break() -> Iterator[MinioServer]:
    """Server of the test's own."""
    server = start_minio()
    yield server
    remove_minio(server)
