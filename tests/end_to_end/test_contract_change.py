"""Contract is changed, and what was loaded under it before is asked for: the right values, or what to do."""

import json
from pathlib import Path

import pytest

from dashboard.query.client import views
from dashboard.query.sandbox import NOTE, QueryError, answer
from tests.support.lake import Lake

VIEWS = views(["things"])


def load(lake: Lake, folder: Path, name: str, content: str, *fields: tuple[str, str]) -> None:
    """Load a file under a contract with these fields."""
    schema = {"fields": [{"name": field, "type": type_} for field, type_ in fields]}
    folder.mkdir(exist_ok=True)
    (folder / "things.json").write_text(json.dumps({"name": "things", "schema": schema}))
    lake.put(f"things/{name}.csv", content.encode())
    assert lake.finish("once", PIPELINE_DATASETS=str(folder)) == 0


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")], ids=["older first", "newer first"])
def test_files_of_two_contracts_are_asked_together(lake, tmp_path, names):
    folder = tmp_path / "datasets"
    old, new = names
    load(
        lake,
        folder,
        old,
        "code,day,gone\n10001,2026-01-31,x\n",
        ("code", "integer"),
        ("day", "date"),
        ("gone", "string"),
    )
    load(lake, folder, new, "code,day,more\n00501,2026-01-31T23:59:00Z,2.5\n",
         ("code", "string"), ("day", "datetime"), ("more", "number"))  # fmt: skip
    sql = "SELECT code, day, gone, more FROM clean_things ORDER BY code"
    table = answer(lake.store, VIEWS, sql)
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("00501", "2026-01-31 23:59:00+00", None, 2.5),
        ("10001", "2026-01-31 00:00:00+00", "x", None),
    ]
    assert b"1 in clean_things" in table.schema.metadata[NOTE]
    assert lake.finish("replay", "--stale", PIPELINE_DATASETS=str(folder)) == 0
    lake.finish("once", PIPELINE_DATASETS=str(folder))
    assert lake.loads()[f"things/{old}.csv"]["status"] == "refused"  # its header is not the contract's
    assert len(answer(lake.store, VIEWS, "SELECT code FROM clean_things")) == 1


def test_what_does_not_fit_together_is_put_right_as_the_page_says(lake, tmp_path):
    folder = tmp_path / "datasets"
    load(lake, folder, "b", "flag\n1\n", ("flag", "boolean"))
    load(lake, folder, "a", "flag\n5\n", ("flag", "integer"))
    with pytest.raises(QueryError, match=r"^1 file of things was loaded under an older contract: `.* replay --stale`"):
        answer(lake.store, VIEWS, "SELECT sum(flag) FROM clean_things")
    assert lake.finish("replay", "--stale", PIPELINE_DATASETS=str(folder)) == 0
    assert lake.finish("once", PIPELINE_DATASETS=str(folder)) == 0
    assert answer(lake.store, VIEWS, "SELECT sum(flag) AS n FROM clean_things").to_pylist() == [{"n": 6}]
