"""File with too many rejects, end to end: the rows of its former version go, whenever the pipeline is killed."""

import json
import signal
from pathlib import Path

import pytest

from tests.support.dying import Death
from tests.support.lake import Lake

KEY = "things/a.csv"
GOOD = b"n\n1\n2\n"
BAD = b"n\n3\nmany\nfew\n"


@pytest.fixture
def limited(local_lake, tmp_path) -> Lake:
    """Lake whose only dataset allows one reject in a file, with a file that has none."""
    write_contract(tmp_path / "datasets", 1)
    local_lake.environ["PIPELINE_DATASETS"] = str(tmp_path / "datasets")
    local_lake.put(KEY, GOOD)
    assert local_lake.finish("once") == 0
    assert local_lake.published("clean/things/a.csv.parquet")
    return local_lake


def write_contract(folder: Path, maximum: int) -> None:
    folder.mkdir(exist_ok=True)
    schema = {"fields": [{"name": "n", "type": "integer"}]}
    contract = {"name": "things", "rejects": {"maximum": maximum}, "schema": schema}
    (folder / "things.json").write_text(json.dumps(contract))


STEPS = [("stage", "before"), ("put rejected/", "before"), ("put rejected/", "after"), ("delete clean/", "before"),
         ("delete clean/", "after"), ("commit", "before"), ("commit", "after")]  # fmt: skip


@pytest.mark.parametrize(("at", "when"), STEPS)
def test_killed_at_any_step_nothing_of_the_file_stays(limited, at, when):
    limited.put(KEY, BAD)
    assert limited.finish("once", prepare=Death(at, when), PIPELINE_WORKERS="1") == -signal.SIGKILL
    assert limited.finish("once") == 0
    assert_refused(limited)


def assert_refused(lake: Lake) -> None:
    load = lake.loads()[KEY]
    assert (load["status"], load["rows_read"], load["rows_kept"]) == ("refused", 0, 0)
    assert load["first_problem"].startswith("2 of 3 records were rejected: expected at most 1")
    assert [(one["rule"], one["count"]) for one in load["problems"]] == [("type", 2), ("rejects", 1)]
    assert lake.published("clean/things/a.csv.parquet") is None
    assert [row["line"] for row in lake.published("rejected/things/a.csv.parquet")] == [None, 3, 4]
    assert lake.published("published/things/summary.parquet") == []
    assert lake.finish("verify") == 0


def test_the_limit_is_raised_and_the_file_is_tried_again(limited, tmp_path):
    limited.put(KEY, BAD)
    shown = limited.command("dry-run", f"raw/{KEY}")
    assert "the file: rejects: 2 of 3 records were rejected" in shown.stdout
    assert "would be refused" in shown.stdout
    assert limited.finish("once") == 0
    assert_refused(limited)
    write_contract(tmp_path / "datasets", 1000)
    limited.store.delete(f"raw/{KEY}")
    assert limited.finish("verify") == 0  # against its own footer
    limited.put(KEY, BAD)
    assert limited.finish("once") == 0
    assert limited.loads()[KEY]["status"] == "loaded"
    assert len(limited.published("clean/things/a.csv.parquet")) == 1
    assert limited.finish("verify") == 0
