"""Folders of the project, and of the contracts that tests load by: a user may edit the pipeline's own contracts."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
RELATIVE = "simulator/exam/datasets"  # to the project, which is /app in a container
DATASETS = ROOT / RELATIVE
