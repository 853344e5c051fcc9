"""Names: what README and docs name must exist, and modules hide no standard ones. import-linter holds the imports."""

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from tests.support.project import RELATIVE, ROOT

DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(path.read_text() for path in DOCS)
CODE = "\n".join(re.findall(r"`([^`\n]+)`", TEXT) + re.findall(r"```\n(.*?)```", TEXT, re.DOTALL))
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
LINK = r"\]\((?!http)([^)#]+)\)"
SOURCES = "\n".join((ROOT / name).read_text() for name in TRACKED if name.endswith((".py", ".yaml")) or name == ".env")


def test_make_targets():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)", CODE))
    assert named
    assert named <= targets


def test_variables():
    named = set(
        re.findall(
            r"\b(?:LAKE|AWS|PIPELINE|SWEEP|FEED|SIMULATOR|DASHBOARD|MINIO|NOTEBOOK|SPARK|CLUSTER|SCHEDULER|WORKER)_?[A-Z_]*\b",
            CODE,
        )
    ) - {"SWEEP"}
    assert len(named) > 10
    assert [name for name in sorted(named) if name not in SOURCES] == []


def test_paths():
    known = set(TRACKED) | {"/".join(name.split("/")[:depth]) for name in TRACKED for depth in range(1, 9)}
    named = set(re.findall(r"\b(?:common|lake|simulator|pipeline|dashboard|tests|docs|notebooks|spark)/[\w./-]*", CODE))
    links = [(path.parent / link).resolve() for path in DOCS for link in re.findall(LINK, path.read_text())]
    named |= {link.relative_to(ROOT).as_posix() for link in links}
    in_a_lake = ("lake/raw/", "lake/clean/", "lake/tables/")  # a bucket or a folder
    named = {name for name in named if not name.startswith(in_a_lake)}
    # What a user may edit or remove is held against the exam's copy of it.
    named = {name.replace("pipeline/datasets/", f"{RELATIVE}/") for name in named}
    assert len(named) > 8
    assert sorted(name for name in named if name.rstrip("/") not in known) == []


def test_modules_named_without_their_folder():
    named = set(re.findall(r"(?<![\w/.*])(\w+\.py)\b", CODE))
    assert len(named) > 5
    assert named <= {Path(name).name for name in TRACKED}


def test_the_reading_core_has_the_size_that_is_named():
    core = (ROOT / "docs/architecture.md").read_text().partition("## Read it")[2].partition("Read the rest")[0]
    modules = {name for name in re.findall(r"`([\w/]+\.py)`", core) if not name.startswith("tests/")}
    lines = sum(_code_lines((ROOT / name).read_text()) for name in modules)
    named = int(re.search(r"about ([\d,]+) code lines", core)[1].replace(",", ""))
    assert abs(lines - named) < 0.1 * named, f"{lines} in {len(modules)} modules"


def _code_lines(source: str) -> int:
    """Count the lines that are not blank, comment or docstring."""
    no_code = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in no_code]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_no_test_works_with_what_a_user_may_edit():
    """README tells everybody to change these contracts and transforms, and to run the tests after that."""
    words, here = r"pipeline/datasets|\"pipeline\" / \"datasets\"|pipeline\.datasets import", "tests/test_names.py"
    tests = [name for name in TRACKED if re.match(r"(tests|benchmarks)/.*\.py$", name) and name != here]
    assert [name for name in tests if re.search(words, (ROOT / name).read_text())] == []


@pytest.mark.parametrize("port", sorted(set(re.findall(r"localhost:(\d+)", TEXT))))
def test_ports(port):
    assert f"={port}\n" in (ROOT / ".env").read_text()


def test_commands():
    named = set(re.findall(r"python -m (pipeline|lake|simulator|dashboard) ([\w-]+)", CODE))
    assert named
    for package, command in named:
        modules = [ROOT / package / "__main__.py", *(ROOT / package).glob("commands/*.py")]
        main = "".join(path.read_text() for path in modules)
        assert any(made in main for made in (f'command("{command}")', f"def {command}(", f'name="{command}"'))


def test_launch_configurations():
    configurations = json.loads((ROOT / ".vscode/launch.json").read_text())["configurations"]
    named = set(re.findall(r"\*\*(Pipeline \([^*]+\))\*\*", TEXT))
    assert named
    assert named <= {one["name"] for one in configurations}


PACKAGES = ("common", "lake", "simulator", "pipeline", "dashboard")
MODULES = [
    ROOT / name for name in TRACKED if name.endswith(".py") and name.startswith(tuple(f"{one}/" for one in PACKAGES))
]
EDGES = {"__main__.py", "app.py", "page.py", "logs.py"}  # logs.py has the words for the others


def test_only_the_edge_reads_the_environment_or_sets_up_logging():
    words = {"environ", "getenv", "basicConfig", "configure_logging"}
    inner = [path for path in MODULES if path.name not in EDGES and path.parent.name != "commands"]
    used = {
        path: {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        for path in inner
    }
    assert len(used) > 80
    assert [path for path, names in used.items() if names & words] == []


def test_nobody_changes_the_environment():
    """The program gives settings to another process in a mapping of its own."""
    change = re.compile(
        r"\b(environ(\[[^\]]*\] = |\.(update|setdefault|pop|clear)\b| \|= )|del os\.environ|putenv|unsetenv)"
    )
    assert [path for path in MODULES if change.search(path.read_text())] == []


def test_docstrings_begin_with_a_verb_of_the_field_or_a_noun():
    avoided = {"Give", "Say", "Tell", "Let", "A", "An"}
    avoided |= {"What", "How", "Whether", "Which", "Where", "Who", "When", "Why", "That"}  # an indirect question
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = [
        (name, ast.get_docstring(node) or "")
        for name in TRACKED
        if name.endswith(".py")
        for node in ast.walk(ast.parse((ROOT / name).read_text()))
        if isinstance(node, nodes)
    ]
    assert len(docstrings) > 100
    assert [found for found in docstrings if found[1].partition(" ")[0] in avoided] == []


def test_no_module_has_the_name_of_a_standard_one():
    assert [path for path in MODULES if path.stem in sys.stdlib_module_names and not path.stem.startswith("__")] == []
