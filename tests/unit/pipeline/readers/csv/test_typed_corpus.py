"""Files of every type and form, made by seed, in both ways: exactly the values and rejects that their making says."""

import csv
import io
import random
from typing import Any

import pytest

from pipeline.readers.csv.read import read_csv
from pipeline.readers.csv.reference import read_csv_plainly
from tests.support.generated_csv import contract_of
from tests.support.typed_corpus import FAMILIES

ROWS = 60


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FAMILIES)
def test_read(tmp_path, name, seed):
    family, chance = FAMILIES[name], random.Random(f"{name}/{seed}")
    contract = contract_of(tmp_path, [{"name": "cell", **family.field}, {"name": "number", "type": "integer"}])
    text, kept, rejected = io.StringIO(), list[Any](), list[tuple[int, str | None, str]]()
    writer = csv.writer(text)
    writer.writerow(["cell", "number"])
    for line in range(2, ROWS + 2):
        if chance.random() < seed / 3:
            cell, rule = family.bad(chance)
            rejected.append((line, "cell", rule))
        else:
            cell, value = family.good(chance)
            kept.append((line, value))
        writer.writerow([cell, line])
    for reader, settings in ((read_csv, {}), (read_csv, {"block_size": 200}), (read_csv_plainly, {})):
        batches = list(reader(io.BytesIO(text.getvalue().encode()), "a.csv", contract, **settings))
        rows = [(row["_line"], row["cell"]) for batch in batches for row in batch.rows.to_pylist()]
        assert rows == kept
        assert [(one.line, one.column, one.rule) for batch in batches for one in batch.problems] == rejected
