"""The contracts that tests load by: those of the exam, for a user may edit those of the pipeline."""

from pathlib import Path

RELATIVE = "simulator/exam_datasets"  # to the project, which is /app in a container
DATASETS = Path(__file__).parents[1] / RELATIVE
