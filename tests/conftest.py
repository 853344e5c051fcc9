"""Fixtures of every test, and the rule for what a machine lacks: skipped by name here, a failure in CI."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.machine import chromium, engine, node
from tests.support.oracle import has_oracle
from tests.support.project import DATASETS

settings.register_profile("lakelet", deadline=None)  # a loaded machine is slow, not wrong: tests have a limit

settings.load_profile("lakelet")

pytest_plugins = ["tests.support.minio_server", "tests.support.browser", "tests.support.lake"]


def _mount() -> bool:
    from tests.support.disks import can_mount

    return can_mount()


NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "engine": (engine, "a running Docker engine with Compose"),
    "node": (node, "Node 20 or newer with npm"),
    "browser": (lambda: chromium() is not None, "Chromium or Chrome on the PATH"),
    "oracle": (has_oracle, "DuckDB's own reader of Delta: `make .venv/oracle.stamp` installs it"),
    "mount": (functools.cache(_mount), "Linux and the right to mount a file system (root, or sudo without a password)"),
}


def pytest_configure(config: pytest.Config) -> None:
    # No test may work with the lake that a shell points at: in the dev container that is the stack's.
    for name in [name for name in os.environ if name.startswith(("AWS_", "LAKE_URL", "PIPELINE_", "MAKE", "MFLAGS"))]:
        del os.environ[name]
    os.environ["PIPELINE_DATASETS"] = str(DATASETS)  # nor with the contracts that a user may edit
    for need, (_, what) in NEEDS.items():
        config.addinivalue_line("markers", f"needs_{need}: the test needs {what}")


_MAIN = sys.modules["__main__"]


@pytest.fixture(autouse=True)
def _main_module() -> Iterator[None]:
    """Restore `__main__`: a page under test takes its place, and processes started later would run the page."""
    sys.modules["__main__"] = _MAIN
    yield
    sys.modules["__main__"] = _MAIN


SHARE_A_STACK = ("tests/stack/", "tests/dev_container/")

# Those with a stack of their own come before the one that the others share, which would else run beside them.
STACKS_OF_THEIR_OWN = tuple(f"tests/stack/test_{name}" for name in ("images", "data", "outages"))

# What takes longest begins first, so that no process is alone with it in the end.
LONG = (
    *STACKS_OF_THEIR_OWN,
    *SHARE_A_STACK,
    "tests/end_to_end/",
    "tests/unit/dashboard/test_browser",
    "tests/faults/",
    "tests/debugger/",
)


class _ByFile(LoadScopeScheduling):
    """Scheduler of tests on several processes: those that share a stack go to one, and the others file by file."""

    def _split_scope(self, nodeid: str) -> str:
        return "stack" if nodeid.startswith(SHARE_A_STACK) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = dict(enumerate(LONG))
    items.sort(key=lambda item: next((rank for rank in ranks if item.nodeid.startswith(ranks[rank])), len(LONG)))


@functools.cache
def _give_way() -> None:
    """Leave the processors to the tests of the stack, which wait most of the time, but then not for long."""
    if hasattr(os, "setpriority") and "PYTEST_XDIST_WORKER" in os.environ:
        os.setpriority(os.PRIO_PROCESS, 0, 10)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not item.nodeid.startswith(SHARE_A_STACK):
        _give_way()
    required = os.environ.get("LAKELET_TESTS_REQUIRE", "").split(",")
    for need, (available, what) in NEEDS.items():
        if item.get_closest_marker(f"needs_{need}") and not available():
            message = f"needs {what}"
            if need in required:
                pytest.fail(f"{message}, and LAKELET_TESTS_REQUIRE asks for it", pytrace=False)
            pytest.skip(message)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("not run on this machine")
        for report in skipped:
            terminalreporter.write_line(f"{report.nodeid}: {report.longrepr[2]}")
