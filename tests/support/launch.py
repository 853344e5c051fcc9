"""The launch configurations as an editor reads them, and the lines that a reader would put a breakpoint on."""

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.support.project import RELATIVE, ROOT


def env_file() -> dict[str, str]:
    """Return the variables of .env, which an editor's Python debugger reads too."""
    lines = (ROOT / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def configurations() -> dict[str, dict[str, Any]]:
    """Return the launch configurations by name."""
    found = json.loads((ROOT / ".vscode/launch.json").read_text())["configurations"]
    return {configuration["name"]: configuration for configuration in found}


def configuration(name: str, workspace: str, environ: Mapping[str, str] | None = None, **inputs: str) -> dict[str, Any]:
    """Return a launch configuration with what an editor fills in, for a workspace that is opened at a path.

    `environ` is the environment of the editor's Python extension: the container's, where one is open. `inputs` are
    what a person answers to what it asks; each must be one that it does ask. The contracts are the tests'.
    """
    text = json.dumps(configurations()[name]).replace("${workspaceFolder}", workspace)
    text = re.sub(r"\$\{env:(\w+)\}", lambda found: (environ or {}).get(found[1], ""), text)
    asked = {one["id"] for one in json.loads((ROOT / ".vscode/launch.json").read_text())["inputs"]}
    for each, answer in inputs.items():
        assert each in asked
        text = text.replace(f"${{input:{each}}}", answer)
    assert "${input:" not in text
    filled: dict[str, Any] = json.loads(text)
    filled["env"] = {**env_file(), **filled.get("env", {}), "PIPELINE_DATASETS": RELATIVE}
    return filled


def first_line(file: str, function: str) -> int:
    """Return the line of a function's first statement after its docstring."""
    tree = ast.parse((ROOT / file).read_text())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function)
    return found.body[1 if ast.get_docstring(found) else 0].lineno
