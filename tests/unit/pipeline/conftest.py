import json
from collections.abc import Callable

import pytest

from pipeline.dataset.dataset import Dataset, read_datasets
from tests.support.loads import NUMBERS, Loads


@pytest.fixture
def write_dataset(tmp_path) -> Callable[..., Dataset]:
    """Write a contract (changed as asked) into a folder, and read it as the pipeline does."""

    def write(**changes: object) -> Dataset:
        folder = tmp_path / "datasets"
        folder.mkdir(exist_ok=True)
        contract = json.loads(json.dumps({**NUMBERS, **changes}))
        (folder / f"{contract['name']}.json").write_text(json.dumps(contract))
        return read_datasets(folder)[contract["name"]]

    return write


@pytest.fixture
def loads(tmp_path) -> Loads:
    return Loads(tmp_path)
