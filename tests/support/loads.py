import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lake.export_rejects import SourceForm, export_rejects
from lake.layout import clean_key, rejected_key
from lake.stores.local import LocalStore
from pipeline.dataset.dataset import Dataset
from pipeline.load.load import load
from pipeline.model.contract import Contract
from pipeline.model.task import Outcome, Result, Task

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

    def export(self, contract: Contract, key: str = key, most: int | None = None) -> tuple[str, bytes]:
        """Export rejected records; return the proposed key and the file."""
        out = io.BytesIO()
        form = SourceForm(contract.encoding, contract.dialect.model_dump(exclude_unset=True), len(contract.fields))
        result = export_rejects(self.store, key, form, out, most=most)
        return result.key, out.getvalue()

    def _read(self, key: str) -> pa.Table:
        with self.store.open(key) as (_, stream):
            return pq.read_table(io.BytesIO(stream.read()))
