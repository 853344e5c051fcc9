"""Contracts change during a run that ends as by kill -9: the next start has them, and every row is there once."""

import json
from pathlib import Path

import pytest

from pipeline.service import take_up
from tests.support.dying import Death
from tests.support.lake import Lake
from tests.support.minio_server import until
from tests.support.program import Program

CONTRACT = {"name": "things", "schema": {"fields": [{"name": "id", "type": "integer"}]}, "summary": {"sum": ["id"]}}


def write(folder: Path, maximum: int) -> None:
    field = {"name": "id", "type": "integer", "constraints": {"maximum": maximum}}
    (folder / "things.json").write_text(json.dumps({**CONTRACT, "schema": {"fields": [field]}}))


def look_often() -> None:
    take_up.LOOK_SECONDS = 0.1


class _Dying:
    """Death in a pipeline that looks at its contracts often."""

    def __init__(self, death: Death) -> None:
        self.death = death

    def __call__(self) -> None:
        look_often()
        self.death()


@pytest.fixture
def folder(tmp_path) -> Path:
    found = tmp_path / "datasets"
    found.mkdir()
    return found


def put(lake: Lake, *numbers: int) -> list[str]:
    names = [f"things/{number}.csv" for number in numbers]
    for number, name in zip(numbers, names, strict=True):
        lake.put(name, f"id\n{number}\n".encode())
    return names


def ids(lake: Lake) -> list[int]:
    return sorted(lake.store.dataset("clean/things/").to_table().column("id").to_pylist())


def edit(program: Program, folder: Path, maximum: int) -> None:
    """Edit the contract, and wait until it is taken up."""
    before = program.log.count("contracts taken up")
    write(folder, maximum)
    until(lambda: program.log.count("contracts taken up") > before, what="the contract")


DEATHS = [
    Death("sql DELETE FROM fingerprint", nth=2),  # the first one is that of the start
    Death("sql INSERT OR REPLACE INTO meta VALUES ('edits'", nth=2),
    Death("take", "after", "things/200"),
    Death("commit", key="things/200"),
]


# In a folder at each of these steps; in a bucket between the edit and the take-up, and while its first file is loaded.
PLACES = [
    *(pytest.param("local_lake", death, id=f"folder, {death.at}") for death in DEATHS),
    *(
        pytest.param("bucket_lake", death, id=f"bucket, {death.at}", marks=pytest.mark.needs_engine)
        for death in (DEATHS[0], DEATHS[3])
    ),
]


@pytest.mark.parametrize(("place", "death"), PLACES)
def test_a_kill_while_a_contract_is_taken_up(request, folder: Path, place: str, death: Death):
    lake: Lake = request.getfixturevalue(place)
    lake.environ["PIPELINE_DATASETS"] = str(folder)
    write(folder, 100)
    names = put(lake, 1, 2)
    with lake.pipeline(prepare=_Dying(death)) as program:
        lake.wait_loaded(*names)
        write(folder, 1000)
        until(lambda: not program.alive or "contracts taken up" in program.log, what="the contract, or the end")
        put(lake, 200, 300)
        until(lambda: not program.alive, what="the end")
    assert "died " in program.log, program.log
    assert lake.finish("once") == 0
    stale = {name: row["stale"] for name, row in lake.loads().items()}
    assert stale == dict.fromkeys(names, True) | {"things/200.csv": False, "things/300.csv": False}
    assert ids(lake) == [1, 2, 200, 300]
    assert lake.finish("replay", "--stale") == 0
    assert lake.finish("once") == 0
    assert not any(row["stale"] for row in lake.loads().values())
    assert ids(lake) == [1, 2, 200, 300]
    assert lake.finish("verify") == 0


def test_edits_while_files_land_and_the_pipeline_is_killed_again_and_again(local_lake: Lake, folder: Path):
    """The last contract holds for all in the end, whatever a file has met before, and every row is there once."""
    local_lake.environ["PIPELINE_DATASETS"] = str(folder)
    write(folder, 10**6)
    names = list[str]()
    for turn in range(4):
        with local_lake.pipeline(prepare=look_often) as program:
            names += put(local_lake, *range(100 * turn, 100 * turn + 10))
            local_lake.wait_loaded(names[-1])
            names += put(local_lake, *range(100 * turn + 10, 100 * turn + 40))
            if turn % 2:
                (folder / "things.json").write_text('{"name": ')
            else:
                edit(program, folder, 10**6 + 1 + turn)
            program.kill()
        write(folder, 10**6)
    with local_lake.pipeline(prepare=look_often) as program:
        local_lake.wait_loaded(*names)
        edit(program, folder, 10**7)
        until(lambda: local_lake.status()["files"]["stale"] == len(names), what="stale files")
        assert local_lake.finish("replay", "--stale") == 0
        until(lambda: local_lake.status()["files"]["loaded"] == len(names), what="all files")
        until(lambda: not local_lake.status()["files"]["stale"], what="no stale file")
    assert ids(local_lake) == sorted(int(Path(name).stem) for name in names)
    [total] = local_lake.published("published/things/summary.parquet")
    assert (total["rows"], total["id"]) == (len(names), sum(ids(local_lake)))
    assert local_lake.finish("verify") == 0
