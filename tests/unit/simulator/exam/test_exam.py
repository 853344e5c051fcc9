"""Exam as a whole, its commands, and what `grade` says of a lake that nobody has worked on."""

import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.layout import clean_key, rejected_key, source, summary_key
from lake.stores.local import LocalStore
from simulator.exam.bad_files import NAMES
from simulator.exam.case import SHAPES, digest
from simulator.exam.exam import KINDS, make_exam, total
from simulator.exam.grade import grade
from tests.support.project import DATASETS, ROOT
from tests.support.simulator_command import simulator


def test_same_seed_same_exam() -> None:
    one, same, other = (make_exam(seed, len(KINDS) + 9, 0.2) for seed in (3, 3, 4))
    assert one.answers() == same.answers()
    assert list(one.deliveries()) == list(same.deliveries()) != list(other.deliveries())
    assert {file["fault"] for file in one.answers()["files"]} == set(KINDS)


def test_versions_come_in_order_and_the_rest_does_not() -> None:
    exam = make_exam(5, 160, 0.2)
    delivered: dict[str, list[bytes]] = {}
    for key, data in exam.deliveries():
        delivered.setdefault(key, []).append(data)
    assert delivered == {one.key: list(one.file.versions) for one in exam.questions}
    assert list(delivered) != sorted(delivered)
    assert {len(versions) for versions in delivered.values()} == {1, 2}


def test_a_key_says_what_the_layout_says() -> None:
    for one in make_exam(6, 160, 0.2).questions:
        of = source(one.key, {"headless"})
        assert bool(of.ignored) == (one.file.answer.status == "ignored")
        assert of.dataset in ("", one.file.dataset)
    for name in NAMES:
        assert not source(f"raw/orders/exam/{name}").ignored


def test_the_share_decides_how_much_is_spoiled() -> None:
    def rejected(share: float) -> int:
        return sum(len(one.file.answer.rejected) for one in make_exam(7, 80, share).questions)

    assert 0 < rejected(0) < rejected(0.2) / 2 < rejected(0.9) / 4


def test_totals() -> None:
    assert total([2**53 + 1, 1]) == 2**53 + 2
    assert total([0.1] * 10) == 1.0


PROBLEMS = [{"line": 3, "column": "Sold", "rule": "type"}, {"line": 3, "column": None, "rule": "fields"}]


def parquet(rows: list[dict[str, object]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


@pytest.fixture
def graded(tmp_path: Path):
    """Lake of one tiny exam, and what `grade` finds wrong in it."""
    store = LocalStore(tmp_path / "lake")
    key = "raw/companydata/exam/1/a.csv"
    texts = digest(("M", "D", "S"))
    file = {"key": key, "dataset": "companydata", "fault": "some", "status": "loaded", "rule": ""}
    answers = {
        "files": [{**file, "kept": [[2, texts, 1, 2, 3]], "rejected": [[3, "Sold", "type"], [3, None, "fields"]]}],
        "summary": {"companydata": [{"Dept": "D", "rows": 1, "Sold": 1, "Returned": 2, "Ordered": 3}]},
    }

    def found(**objects: list[dict[str, object]] | bytes) -> list[str]:
        keys = {"clean": clean_key(key), "rejected": rejected_key(key), "summary": summary_key("companydata")}
        keys["foreign"] = clean_key("raw/companydata/another.csv")
        for name, content in objects.items():
            store.put(keys[name], content if isinstance(content, bytes) else parquet(content))
        return [mistake.message for mistake in grade(store, answers).mistakes]

    return found


def test_what_is_wrong_is_named(graded) -> None:
    row = {"_line": 2, "Month": "M", "Dept": "D", "Store": "S", "Sold": 1, "Returned": 2, "Ordered": 3}
    summary = {"Dept": "D", "rows": 1, "Sold": 1, "Returned": 2, "Ordered": 3}
    assert graded() == ["it is missing: the file must be loaded", "it is missing"]
    assert graded(clean=b"no parquet")[0].startswith("it cannot be read")
    assert graded(clean=[{"_line": 2}])[0].startswith("it cannot be read")
    assert graded(clean=[row | {"_line": 1}])[0] == "line 2 must be kept, and is not there (1 such lines)"
    assert graded(clean=[row, row])[0] == "line 2 must not be there, or not so often (1 such rows)"
    assert graded(clean=[row | {"Dept": "d"}])[0].startswith("line 2: the text of Month, Dept, Store")
    assert graded(clean=[row | {"Sold": 7}])[0] == "line 2: Sold is 7, expected 1"
    assert graded(clean=[row])[0].startswith("line 3, column Sold: rule type must be there, and is not")
    assert graded(rejected=PROBLEMS[:1])[0].startswith("line 3: rule fields must be there, and is not")
    assert graded(rejected=[*PROBLEMS, PROBLEMS[0]])[0].startswith("line 3, column Sold: rule type must not be there")
    assert graded(rejected=PROBLEMS) == ["it is missing"]
    assert graded(summary=[summary | {"Sold": 2}]) == ["Dept 'D': Sold is 2, expected 1"]
    assert graded(summary=[summary, summary | {"Dept": "E"}]) == ["Dept 'E' must not be there"]
    assert graded(summary=[summary | {"Dept": "E"}]) == ["Dept 'D' is missing"]
    assert graded(summary=[summary]) == []
    foreign = graded(clean=[row | {"Sold": "1"}], foreign=[row])
    assert foreign[0].startswith("line 2: Sold is 1, expected 1")
    assert foreign[-1].startswith("it cannot be added up")


def test_an_empty_lake_fails(tmp_path: Path) -> None:
    key, lake = str(tmp_path / "key.json"), {"LAKE_URL": str(tmp_path / "lake")}
    made = simulator("exam", "--seed", "1", "--files", "12", "--key", key, **lake)
    assert made.returncode == 0, made.stderr
    assert "put 12 files" in made.stdout
    done = simulator("grade", "--key", key, "--json", **lake)
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["score"] < 20
    assert (len(said["faults"]), sum(kind["files"] for kind in said["faults"].values())) == (12, 12)
    assert said["summaries"] == {"files": len(SHAPES), "wrong": len(SHAPES)}
    assert len(said["mistakes"]) == sum(kind["wrong"] for kind in said["faults"].values()) + len(SHAPES)
    assert list(said["contracts"]) == sorted(one.name for one in DATASETS.iterdir() if one.name[0] != "_")
    table = simulator("grade", "--key", key, **lake)
    assert table.returncode == 1
    assert f"score: {said['score']:g} % of 12 files and {len(SHAPES)} summaries" in table.stdout
    for name, its in said["contracts"].items():
        assert f"{name} {its}" in table.stdout
    assert "PIPELINE_DATASETS" in table.stdout  # what may be the reason


def test_its_counts_agree() -> None:
    """Of kinds and of files: in the code, in the help, in the docs and in `make exam`."""
    said = simulator("exam", "--help", COLUMNS="200", NO_COLOR="1").stdout + (ROOT / "docs/exam.md").read_text()
    said += "".join(line for line in (ROOT / "Makefile").read_text().splitlines() if "FILES" in line or "SEED" in line)
    kinds = re.findall(r"(\d+) kinds|(\d+) and more hold every kind|from (\d+) on", said)
    assert {number for found in kinds for number in found if number} == {str(len(KINDS))}
    files = re.findall(r"(\d+) files|FILES=(\d+)|FILES:-(\d+)|default: (\d{3})", said)
    assert {number for found in files for number in found if number} == {"200"}


def test_wrong_usage_is_one_line(tmp_path: Path) -> None:
    lake = {"LAKE_URL": str(tmp_path / "lake")}
    for arguments in (
        ("exam", "--seed", "x"),
        ("exam", "--seed", "1", "--key", str(tmp_path / "lake" / "key.json")),
        ("exam", "--seed", "1", "--key", str(tmp_path / "no" / "key.json")),
        ("exam", "--seed", "1", "--files", "0", "--key", str(tmp_path / "key.json")),
        ("grade", "--key", str(tmp_path / "none.json")),
    ):
        done = simulator(*arguments, **lake)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "key.json").exists()
