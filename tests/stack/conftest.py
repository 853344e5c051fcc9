"""The stack in containers, once for all tests in here."""

import shutil
from collections.abc import Iterator

import pytest

from tests.support.compose import Stack
from tests.support.notebooks import notebook_folder
from tests.support.project import DATASETS


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack and its companions, healthy; a test that breaks it makes one of its own with `Stack.new`."""
    folders = notebook_folder(tmp_path_factory.mktemp("notebooks"))
    contracts = shutil.copytree(DATASETS, tmp_path_factory.mktemp("stack") / "datasets")  # for a test to edit
    folders["PIPELINE_DATASETS"] = str(contracts)
    made = Stack.new(PIPELINE_RETRACT_DELETED="on", SWEEP_SECONDS="5", TABLES_SECONDS="1", **folders)
    try:
        made.up(profile="*")
        yield made
    finally:
        made.remove()
