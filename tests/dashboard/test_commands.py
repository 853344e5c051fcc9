import ast
from pathlib import Path

from dashboard import commands
from tests.minio_server import ROOT


def test_a_command_is_for_where_the_pipeline_runs() -> None:
    assert commands.replay("./lake", "--stale") == ".venv/bin/python -m pipeline replay --stale"
    in_stack = "docker compose exec pipeline python -m pipeline replay 'raw/a b.csv'"
    assert commands.replay("s3://lake", "raw/a b.csv") == in_stack


def test_the_condition_names_what_is_there() -> None:
    """A breakpoint in `load` sees `task`, which has a `source_key`."""
    tree = ast.parse(Path(ROOT, "pipeline/load.py").read_text())
    load = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "load")
    assert "task" in [argument.arg for argument in load.args.args]
    task = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Task")
    assert "source_key" in [node.target.id for node in ast.walk(task) if isinstance(node, ast.AnnAssign)]
    assert commands.breakpoint_condition("raw/a.csv") == "task.source_key == 'raw/a.csv'"
