"""Files of public portals: from the draft of a contract to the rows, with at most two edits by hand."""

import json
from functools import reduce
from pathlib import Path

import pyarrow.compute as pc
import pytest

from pipeline.dataset.draft import dataset_name
from tests.support.lake import Lake
from tests.support.portals import PORTALS, Edit

MOST_EDITS = 2


def edit(contract: dict, edits: tuple[Edit, ...]) -> None:
    """Change a contract as a person would."""
    for place, value in edits:
        reduce(lambda part, step: part[step], place[:-1], contract)[place[-1]] = value


@pytest.mark.parametrize("make", PORTALS, ids=lambda make: make.__name__)
def test_a_file_of_a_portal_is_loaded_by_its_draft(local_lake: Lake, make, tmp_path):
    portal = make()
    file = tmp_path / portal.name
    file.write_bytes(portal.content)
    drafted = local_lake.command("contract", "draft", str(file))
    assert drafted.returncode == 0, drafted.stderr
    contract = json.loads(drafted.stdout)
    assert len(portal.edits) <= MOST_EDITS
    edit(contract, portal.edits)
    datasets = tmp_path / "datasets"
    datasets.mkdir()
    name = dataset_name(portal.name)
    Path(datasets, f"{name}.json").write_text(json.dumps(contract))
    local_lake.environ["PIPELINE_DATASETS"] = str(datasets)
    local_lake.put(f"{name}/{portal.name}", portal.content)
    assert local_lake.finish("once") == 0
    load = local_lake.loads()[f"{name}/{portal.name}"]
    rejected = local_lake.store.dataset(f"rejected/{name}/").to_table() if load["rows_rejected"] else None
    lines = tuple(rejected["line"].to_pylist()) if rejected else ()
    assert (load["status"], load["rows_kept"], lines) == ("loaded", portal.rows, portal.rejected), load
    rows = local_lake.store.dataset(f"clean/{name}/").to_table()
    first = rows.slice(0, 1).to_pylist()[0]
    assert {column: first.get(column) for column in portal.first} == portal.first
    assert {column: pc.sum(rows[column]).as_py() for column in portal.sums} == portal.sums
    assert local_lake.finish("verify") == 0
