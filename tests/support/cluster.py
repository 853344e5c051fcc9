"""Cluster for tests: a scheduler and workers as programs of their own, on a lake in a bucket."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Client

from lake.certificates import keep_certificates
from lake.layout import LAKE
from lake.stores.s3 import S3Store
from lake.stores.users import User, prepare
from pipeline.service.cluster import connection
from tests.support import program
from tests.support.lake import Lake
from tests.support.minio_server import free_port, until
from tests.support.program import Prepare, Program

WORKER = User("worker", "worker-of-tests", "secret-of-a-test")


@dataclass
class Cluster:
    """Scheduler and workers that were started; each has a log of its own in `folder`."""

    lake: Lake
    folder: Path
    port: int = field(default_factory=free_port)
    page: int = field(default_factory=free_port)
    programs: dict[str, Program] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables that make a program a member."""
        return {"PIPELINE_SCHEDULER": f"tls://127.0.0.1:{self.port}", "CLUSTER_TLS": str(self.folder / "tls")}

    def start(self, name: str, *, prepare: Prepare | None = None, **variables: str) -> Program:
        """Start the scheduler, or a worker of any other name; it stops with the cluster."""
        log, command = self.folder / f"{name}.log", "scheduler" if name == "scheduler" else "worker"
        keys = {"AWS_ACCESS_KEY_ID": WORKER.access_key, "AWS_SECRET_ACCESS_KEY": WORKER.secret_key}
        environ = {**self.lake.environ, **keys, **self.variables, "SCHEDULER_PORT": str(self.page)}
        environ |= {"PIPELINE_STATE": str(self.folder / "workers"), **variables}
        self.programs[name] = program.start((command,), environ, log, log, prepare)
        return self.programs[name]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def wait_joined(self, *names: str) -> None:
        """Wait until each worker has joined."""
        for name in names:
            self.wait_for(name, " joined ")

    def wait_for(self, name: str, words: str) -> None:
        """Wait until a member's log has these words."""
        until(lambda: words in self.log(name) or not self.programs[name].alive, what=f"{words} in the log of {name}")
        assert words in self.log(name), self.log(name)

    def name_of(self, name: str) -> str:
        """Return the name that a worker has in its cluster."""
        [line] = [line for line in self.log(name).splitlines() if " worker started " in line]
        return line.partition(" name=")[2].split()[0]

    def executor(self) -> dict[str, Any]:
        """Return the executor as the pipeline has published it; empty if it has not."""
        try:
            return self.lake.status()["executor"] or {}
        except FileNotFoundError:
            return {}

    def client(self) -> Client:
        """Return a client of Dask, to look into the members."""
        address = self.variables["PIPELINE_SCHEDULER"]
        trust = connection.cluster_security(address, self.folder / "tls")
        return Client(address, security=trust, timeout=10, set_as_default=False)

    def close(self) -> None:
        for member in self.programs.values():
            if member.alive:
                member.signal(signal.SIGCONT)
                member.kill()


@contextmanager
def cluster_of(lake: Lake, folder: Path, *workers: str, scheduler: Prepare | None = None) -> Iterator[Cluster]:
    """Run a scheduler and these workers while the block runs."""
    assert isinstance(lake.store, S3Store)
    prepare(lake.store, [WORKER])
    lake.store.put(LAKE, b'{"id": "of a test"}')  # a pipeline makes it, and the workers wait for that
    cluster = Cluster(lake, folder)
    keep_certificates(folder / "tls")
    lake.environ |= cluster.variables
    try:
        cluster.start("scheduler", prepare=scheduler)
        cluster.wait_for("scheduler", "scheduler started")
        for name in workers:
            cluster.start(name)
        cluster.wait_joined(*workers)
        yield cluster
    finally:
        cluster.close()
