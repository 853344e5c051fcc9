"""Commands of a person: `make put`, `make reset`, `make run` with workers, in a folder with just what they read."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compose import PORTS, free_ports
from tests.support.project import RELATIVE, ROOT

VOLUMES = ("cluster-tls", "dev-state", "minio-data", "pipeline-state")
CSV = b"Month,Dept,Store,Sold,Returned,Ordered\n1-Jan,A,B,3,2,1\n"


class Folder:
    """Clone with no more than the two targets need; its compose project is nobody else's."""

    def __init__(self, path: Path) -> None:
        self.path, self.project = path, f"lakelet-test-{uuid.uuid4().hex[:8]}"
        self.label = f"com.docker.compose.project={self.project}"
        self.ports = free_ports(len(PORTS))
        for name in ("Makefile", ".env", "docker-compose.yaml"):
            shutil.copy(ROOT / name, path)
        for package in ("common", "lake"):
            (path / package).symlink_to(ROOT / package)

    def run(self, *command: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        ports = dict(zip(PORTS, map(str, self.ports), strict=True))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environ = {**os.environ, **ports, "COMPOSE_PROJECT_NAME": self.project, "PATH": path}
        return subprocess.run(command, cwd=self.path, env=environ, input=answer, capture_output=True, text=True)

    def make(self, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        python = Path(sys.executable)
        given = ["RUNTIME=", f"BIN={python.parent}/", f"PYTHON={python}", *arguments]
        return self.run("make", "--no-print-directory", *given, answer=answer)

    def docker(self, *arguments: str) -> str:
        done = self.run("docker", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def data(self) -> list[str]:
        return sorted(path.name for path in self.path.iterdir() if path.name == "data")

    def volumes(self) -> list[str]:
        return sorted(self.docker("volume", "ls", "--quiet", "--filter", f"label={self.label}").split())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def used(folder: Folder) -> Folder:
    for name in ("data/lake/raw", "data/state/staging"):
        (folder.path / name).mkdir(parents=True)
    (folder.path / "data/state/lock").touch()
    return folder


@pytest.fixture
def stopped(used: Folder) -> Iterator[Folder]:
    """Stack that has stopped, but whose store's container still holds its volume, and one of a dev container."""
    used.docker("compose", "create", "--quiet-pull", "minio")
    used.docker("volume", "create", "--label", used.label, f"{used.project}_dev-state")
    yield used
    used.docker("compose", "down", "--volumes")
    used.docker("volume", "rm", "--force", f"{used.project}_dev-state")


def test_put_into_the_folder(folder):
    (folder.path / "my file.csv").write_bytes(CSV)
    done = folder.make("put", "FILE=my file.csv", "DATASET=companydata")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["lake: ./data/lake", f"put raw/companydata/my file.csv ({len(CSV)} bytes)"]
    assert (folder.path / "data/lake/raw/companydata/my file.csv").read_bytes() == CSV


@pytest.mark.parametrize("dataset", ["Sales", "a b", "../x"])
def test_put_refuses_a_dataset_that_no_contract_can_name(folder, dataset):
    (folder.path / "my.csv").write_bytes(CSV)
    done = folder.make("put", "FILE=my.csv", f"DATASET={dataset}")
    assert done.returncode == 2
    assert "expected a-z, 0-9, - and _" in done.stderr
    assert not (folder.path / "lake/raw").exists()


@pytest.mark.parametrize("told", [[], ["FILE=x.csv"], ["DATASET=companydata"]])
def test_put_without_a_file_or_a_dataset_says_how(folder, told):
    done = folder.make("put", *told)
    assert done.returncode == 2
    assert "usage: make put FILE=my.csv DATASET=companydata" in done.stderr
    assert folder.data() == []


@pytest.mark.parametrize("maximum", [None, 200])
def test_an_exam_is_written_graded_and_forgotten(folder, maximum):
    """By the contracts of the exam, whatever the pipeline's own folder has; what is less than all right is an error."""
    shutil.copytree(ROOT / "simulator", folder.path / "simulator")
    shutil.copytree(ROOT / "pipeline", folder.path / "pipeline", ignore=lambda *_: ["datasets"])
    contract = folder.path / RELATIVE / "companydata.json"
    if maximum:
        told = contract.read_text()
        contract.write_text(told.replace('"minimum": 0', f'"minimum": 0, "maximum": {maximum}'))
    (folder.path / "tmp").mkdir()
    done = folder.make("exam", "SEED=3", "FILES=20", f"TMPDIR={folder.path / 'tmp'}", "LAKE_URL=elsewhere")
    assert (done.returncode == 0, "score: 100 % of 20 files" in done.stdout) == (not maximum, not maximum), done
    assert f"by the contracts in {RELATIVE}" in done.stdout
    assert hashlib.sha256(contract.read_bytes()).hexdigest()[:12] in done.stdout
    assert (folder.data(), list((folder.path / "tmp").iterdir())) == ([], [])
    assert not (folder.path / "elsewhere").exists()


@pytest.mark.parametrize("given", [["WORKERS=three"], ["WORKERS=3", "PIPELINE_WORKERS=0"]])
def test_workers_that_cannot_be_started_end_it_first(folder, given):
    done = folder.make("run", *given)
    assert done.returncode == 2
    assert given[-1].split("=")[0] in done.stderr
    assert folder.data() == []


def test_workers_refuse_a_folder_and_that_ends_it(folder):
    for name in ("simulator", "pipeline", "dashboard"):
        (folder.path / name).symlink_to(ROOT / name)
    (folder.path / "Procfile").symlink_to(ROOT / "Procfile")
    [port] = free_ports(1)
    address = f"PIPELINE_SCHEDULER=tls://127.0.0.1:{port}"
    done = folder.make("run", "WORKERS=1", f"PIPELINE_DATASETS={RELATIVE}", address)
    assert done.returncode == 2
    assert "LAKE_URL is './data/lake'" in done.stdout
    assert "a cluster needs a bucket" in done.stdout


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "what?\n"])
def test_reset_without_a_yes_changes_nothing(used, answer):
    done = used.make("reset", answer=answer)
    assert done.returncode == 0
    assert "nothing was changed" in done.stdout
    assert used.data() == ["data"]


def test_reset_names_what_goes_and_removes_that(used):
    (used.path / "lakes").mkdir()
    done = used.make("reset", answer="y\n")
    assert (done.returncode, done.stderr) == (0, "")
    named = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    assert named == [f"  folder {used.path}/{name}" for name in ("data",)]
    assert used.data() == []
    assert (used.path / "lakes").exists()
    assert "nothing to forget" in used.make("reset").stdout


def test_reset_refuses_while_a_pipeline_works(used):
    with (used.path / "data/state/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = used.make("reset", answer="y\n")
    assert done.returncode == 2
    assert "a pipeline works with ./data/state" in done.stderr
    assert used.data() == ["data"]


@pytest.mark.needs_engine
def test_reset_takes_the_volumes_of_this_project(stopped):
    volumes = [f"{stopped.project}_{name}" for name in VOLUMES]
    done = stopped.make("reset", answer="n\n")
    assert [f"  volume {name}" for name in volumes] == [line for line in done.stdout.splitlines() if " volume " in line]
    assert (stopped.volumes(), stopped.data()) == (volumes, ["data"])
    done = stopped.make("reset", answer="y\n")
    assert done.returncode == 0, done.stderr
    assert (stopped.volumes(), stopped.data()) == ([], [])


@pytest.mark.needs_engine
def test_reset_refuses_while_the_stack_runs(stopped):
    stopped.docker("compose", "start", "minio")
    done = stopped.make("reset", answer="y\n")
    assert done.returncode == 2
    assert "make down" in done.stderr
    assert (len(stopped.volumes()), stopped.data()) == (len(VOLUMES), ["data"])
