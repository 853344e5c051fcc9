"""Where the project and the contracts that tests load by are: a user may edit the pipeline's own."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
RELATIVE = "simulator/exam/datasets"  # to the project, which is /app in a container
DATASETS = ROOT / RELATIVE
