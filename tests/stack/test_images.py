"""The stack elsewhere: from a fresh clone, and on other builds of the object store."""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lake.layout import LOADS
from tests.support.compose import INIT, OURS, PROGRAMS, Stack
from tests.support.lake import company_csv
from tests.support.minio_server import default_image, until
from tests.support.project import ROOT
from tests.support.stack_data import KEY, published

CLASSIC = default_image().removesuffix("-distroless")  # the same release
# What other builds lack, the frozen upstream one among them: a health check, and a home that can be written.
BARE = f"FROM {CLASSIC}\nHEALTHCHECK NONE\nENV HOME=/root\n"

pytestmark = [pytest.mark.needs_engine, pytest.mark.timeout(900)]


@contextmanager
def running(made: Stack) -> Iterator[Stack]:
    try:
        made.up()
        yield made
    finally:
        made.remove()


@pytest.fixture
def bare_image() -> Iterator[str]:
    name = f"lakelet-test-{uuid.uuid4().hex[:8]}"
    subprocess.run(["docker", "build", "--tag", name, "-"], input=BARE.encode(), check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "image", "rm", name], check=True, capture_output=True)


def check_that_it_loads(stack: Stack) -> None:
    etag = stack.store().put(KEY, company_csv(1))
    loaded = (KEY, etag, "loaded")
    until(lambda: loaded in [(row["source_key"], row["etag"], row["status"]) for row in published(stack, LOADS)], 30)


def test_a_fresh_clone_comes_up_with_its_own_settings(tmp_path: Path) -> None:
    clone = tmp_path / "lakelet"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True, capture_output=True)
    lines = [line.partition("=") for line in (clone / ".env").read_text().splitlines() if line[:1] not in ("", "#")]
    settings = {name: value for name, _, value in lines if not name.endswith("_PORT")}
    with running(Stack.new(clone=clone, **settings)) as stack:
        shown = stack.compose("ps", "--format", "{{.Service}} {{.Status}}").stdout.splitlines()
        assert sorted(line.split()[0] for line in shown if line.endswith("(healthy)")) == sorted(PROGRAMS)
        assert stack.containers()[INIT]["ExitCode"] == 0


def test_the_classic_image_of_the_same_release() -> None:
    assert default_image() != CLASSIC
    with running(Stack.new(MINIO_IMAGE=CLASSIC)) as stack:
        assert stack.containers()["minio"]["Image"] == CLASSIC
        check_that_it_loads(stack)


def test_an_image_without_a_health_check_and_a_home(bare_image: str) -> None:
    """Only `up --wait` asks for a health check of every service; plain `up` needs none of the store."""
    stack = Stack.new(MINIO_IMAGE=bare_image)
    try:
        stack.compose("up", "--detach")
        well = dict.fromkeys(OURS, "healthy") | {"minio": ""}
        until(lambda: stack.healths() == well, 60, "the health of all of ours")
        check_that_it_loads(stack)
    finally:
        stack.remove()
