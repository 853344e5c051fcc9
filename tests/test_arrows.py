"""Who may import whom: the tree explains the program only as long as this holds."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.minio_server import ROOT

PACKAGES = ("storage", "simulator", "pipeline", "dashboard")
MODULES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# What only these modules may import.
ONLY = {
    "minio": {"storage/s3.py", "storage/access.py"},
    "pyarrow.fs": {"storage/s3.py", "storage/local.py", "storage/base.py"},
    "watchdog": {"storage/folder.py"},
    "streamlit": {
        "simulator/app.py",
        "simulator/page.py",
        "dashboard/app.py",
        "dashboard/page.py",
    },
    "sqlite3": {
        "pipeline/database.py",
        "pipeline/health.py",
        "pipeline/ledger.py",
        "pipeline/report.py",
        "pipeline/shares.py",
        "pipeline/sweep.py",
        "pipeline/worker.py",
    },
}
PAGES = Path("dashboard/views")
EDGES = {"__main__.py", "app.py", "page.py", "console.py"}  # console.py holds the edge's shared words for the others


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            yield node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_programs_meet_in_storage_alone(path):
    own = path.parts[0]
    others = {name.partition(".")[0] for name in imports(path)} & set(PACKAGES) - {own}
    assert others <= (set() if own == "storage" else {"storage"})


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_each_client_has_one_place(path):
    for library, places in ONLY.items():
        used = any(name == library or name.startswith(f"{library}.") for name in imports(path))
        page = library == "streamlit" and path.parent == PAGES
        assert not used or page or path.as_posix() in places, f"{library} is imported in {path}"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name not in EDGES], ids=str)
def test_only_the_edge_reads_the_environment_or_sets_up_logging(path):
    words = {node.attr for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Attribute)}
    assert not words & {"environ", "getenv", "basicConfig", "configure_logging"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_nobody_imports_an_edge(path):
    edges = {f"{package}.{name}" for package in PACKAGES for name in ("__main__", "app")}
    assert not edges & set(imports(path))


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_module_has_the_name_of_a_standard_one(path):
    assert path.stem.startswith("__") or path.stem not in sys.stdlib_module_names
