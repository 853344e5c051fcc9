"""The same objects, byte for byte, from the main thread, processes, and clusters of one, two and three workers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lake.stores.base import ObjectStore
from simulator.exam.exam import KINDS
from tests.support.cluster import cluster_of
from tests.support.corpus import corpus
from tests.support.lake import Lake, company_csv, new_lake
from tests.support.project import ROOT
from tests.support.storm import new_files
from tests.support.truth import verify

LARGE = 1 << 20  # bytes of a file that is loaded by itself: one is enough
EXAM = str(ROOT / "simulator" / "exam" / "datasets")


@pytest.mark.needs_engine
def test_every_executor_makes_the_same_objects(minio, tmp_path):
    store = minio.new_store()
    lake = new_lake(store, minio.environ(store.bucket) | {"PIPELINE_DATASETS": EXAM}, tmp_path / "state")
    for odd in corpus(3):
        if len(odd.content) < LARGE and odd.dataset == "companydata":  # the exam has other datasets
            lake.put(f"companydata/{odd.family}/{odd.name}", odd.content)
    lake.put("companydata/large.csv", company_csv(1, rows=LARGE // 10))
    for name, content in new_files(0, 40):
        lake.put(name, content)
    exam = ["exam", "--seed", "5", "--files", str(len(KINDS)), "--key", str(tmp_path / "key.json")]
    subprocess.run([sys.executable, "-m", "simulator", *exam], env=lake.environ, check=True, capture_output=True)

    expected = objects(lake, "0")
    assert len(expected) > 300
    assert objects(lake, "2") == expected
    with cluster_of(lake, tmp_path) as cluster:
        for number in (1, 2, 3):
            cluster.start(f"worker {number}")
            cluster.wait_joined(f"worker {number}")
            assert objects(lake, "2") == expected
            names = {cluster.name_of(f"worker {one}") for one in range(1, number + 1)}
            assert loaded_by(lake) == names
    assert not verify(lake)


@pytest.mark.needs_engine
def test_rejects_are_mended_and_limited_on_a_cluster(minio, tmp_path):
    """Workers load the fixed file, and refuse a new version with too many rejects: its rows go."""
    store, datasets = minio.new_store(), tmp_path / "datasets"
    datasets.mkdir()
    contract = {"name": "things", "rejects": {"maximum": 1}, "schema": {"fields": [{"name": "n", "type": "integer"}]}}
    (datasets / "things.json").write_text(json.dumps(contract))
    lake = new_lake(store, minio.environ(store.bucket) | {"PIPELINE_DATASETS": str(datasets)}, tmp_path / "state")
    with cluster_of(lake, tmp_path, "one", "two") as cluster, lake.pipeline():
        for name in ("a", "b"):
            lake.put(f"things/{name}.csv", b"n\n1\nmany\n")
        lake.wait_loaded("things/a.csv", "things/b.csv")
        told = lake.command("rejects", "export", "raw/things/a.csv", "--out", "-")
        lake.put("things/a.fixed-1.csv", told.stdout.replace("many", "2").encode())
        lake.put("things/b.csv", b"n\n1\nmany\nfew\n")
        rows = lake.wait_loaded("things/a.fixed-1.csv", "things/b.csv")
        assert (rows["things/b.csv"]["status"], rows["things/b.csv"]["rows_kept"]) == ("refused", 0)
        assert rows["things/b.csv"]["first_problem"].startswith("2 of 3 records were rejected: expected at most 1")
        assert [lake.loads()[f"things/{name}.csv"]["mended"] for name in ("a", "a.fixed-1", "b")] == [[3], [], []]
        assert {cluster.name_of("one"), cluster.name_of("two")} >= loaded_by(lake) != set()
    clean = lake.store.dataset("clean/things/").to_table().select(["_source_key", "n"]).to_pylist()
    assert sorted((row["_source_key"], row["n"]) for row in clean) == [
        ("raw/things/a.csv", 1),
        ("raw/things/a.fixed-1.csv", 2),
    ]
    assert lake.finish("verify") == 0


def objects(lake: Lake, workers: str) -> dict[str, bytes]:
    """Load the lake without anything of before, and return its objects."""
    remove_outputs(lake.store)
    shutil.rmtree(lake.state, ignore_errors=True)
    log_of(lake).unlink(missing_ok=True)
    assert lake.finish("once", PIPELINE_WORKERS=workers) == 0
    return lake.outputs()


def log_of(lake: Lake) -> Path:
    return lake.state.parent / "pipeline.log"


def loaded_by(lake: Lake) -> set[str]:
    """Return the workers that have loaded a file."""
    lines = [line for line in log_of(lake).read_text().splitlines() if " loaded key=" in line]
    return {line.rpartition(" worker=")[2].split()[0] for line in lines}


def remove_outputs(store: ObjectStore) -> None:
    for prefix in ("clean/", "rejected/"):
        for item in list(store.list(prefix)):
            store.delete(item.key)
