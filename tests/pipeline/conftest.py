import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.load import Outcome, Result, Task, load
from pipeline.recipe import Dataset, read_datasets
from storage.layout import clean_key, rejected_key
from storage.local import LocalStore

NUMBERS = {
    "name": "numbers",
    "schema": {
        "fieldsMatch": "equal",
        "fields": [
            {"name": "name", "type": "string", "constraints": {"required": True}},
            {"name": "n", "type": "integer", "constraints": {"minimum": 0}},
            {"name": "x", "type": "number"},
        ],
    },
    "summary": {"groupBy": ["name"], "sum": ["n", "x"]},
}


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


class Loads:
    """Loads versions of one file into a lake of its own."""

    key = "raw/numbers/a.csv"

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder / "lake")
        self.staging = folder / "staging"
        self.staging.mkdir()

    def __call__(self, dataset: Dataset | None, content: bytes, key: str = key) -> Result:
        etag = self.store.put(key, content)
        result = self.load(dataset, Task(key, "numbers", etag, "event", 0, 0))
        assert isinstance(result, Result)
        assert list(self.staging.iterdir()) == []
        return result

    def load(self, dataset: Dataset | None, task: Task) -> Outcome:
        [outcome] = load(self.store, {"numbers": dataset} if dataset else {}, self.staging, [task])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def clean(self, key: str = key) -> pa.Table:
        return self._read(clean_key(key))

    def rejected(self, key: str = key) -> list[dict]:
        return self._read(rejected_key(key)).to_pylist()

    def _read(self, key: str) -> pa.Table:
        with self.store.open(key) as (_, stream):
            return pq.read_table(io.BytesIO(stream.read()))


@pytest.fixture
def loads(tmp_path) -> Loads:
    return Loads(tmp_path)
