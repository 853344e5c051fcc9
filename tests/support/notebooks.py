"""Notebooks of the project, in a folder that a test may write to."""

import os
import shutil
from pathlib import Path

from tests.support.project import ROOT

NOTEBOOKS = ROOT / "notebooks"


def notebook_folder(folder: Path) -> dict[str, str]:
    """Copy the notebooks into a folder; return the stack's variables for it. Its owner is never root."""
    for notebook in NOTEBOOKS.glob("*.ipynb"):
        shutil.copy(notebook, folder)
    user, group = (os.getuid(), os.getgid()) if os.getuid() else (1000, 1000)
    for path in (folder, *folder.iterdir()):
        os.chown(path, user, group)
    return {"NOTEBOOK_FOLDER": str(folder), "NOTEBOOK_USER": f"{user}:{group}"}
