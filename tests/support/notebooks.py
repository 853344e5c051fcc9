"""Notebooks of the project as git has them, staged or committed: a user may save others in their place."""

import os
import subprocess
from pathlib import Path

import nbformat

from tests.support.project import ROOT


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def notebook_names() -> list[str]:
    return [Path(path).name for path in _git("ls-files", "notebooks/*.ipynb").splitlines()]


def read_notebook(name: str) -> nbformat.NotebookNode:
    return nbformat.reads(_git("show", f":notebooks/{name}"), as_version=4)


def notebook_folder(folder: Path) -> dict[str, str]:
    """Write the notebooks into a folder; return the stack's variables for it. Its owner is never root."""
    user, group = (os.getuid(), os.getgid()) if os.getuid() else (1000, 1000)
    for name in notebook_names():
        nbformat.write(read_notebook(name), folder / name)
    for path in (folder, *folder.iterdir()):
        os.chown(path, user, group)
    return {"NOTEBOOK_FOLDER": str(folder), "NOTEBOOK_USER": f"{user}:{group}"}
