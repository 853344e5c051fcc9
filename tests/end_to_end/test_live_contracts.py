"""Contracts and transforms are edited while a pipeline runs: it takes up what is right, and keeps what it had else."""

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.service import take_up
from tests.support.lake import Lake
from tests.support.minio_server import until
from tests.support.program import Program

KEY = "things/a.csv"


def write(folder: Path, name: str = "things", *fields: str, **constraints: object) -> None:
    """Write a contract as an editor does that first empties the file: text fields, whose cells have constraints."""
    described = [{"name": field, "type": "string", "constraints": constraints} for field in fields or ("way",)]
    (folder / f"{name}.json").write_text(json.dumps({"name": name, "schema": {"fields": described}}))


def look_often() -> None:
    take_up.LOOK_SECONDS = 0.1


@pytest.fixture
def folder(tmp_path) -> Path:
    found = tmp_path / "datasets"
    found.mkdir()
    return found


@contextmanager
def following(lake: Lake, folder: Path, **variables: str) -> Iterator[Program]:
    """Run a pipeline that follows the folder, until it is in use."""
    lake.environ |= {"PIPELINE_DATASETS": str(folder), **variables}
    with lake.pipeline(prepare=look_often) as program:
        until(lambda: " started " in program.log, what="the start")
        yield program


def row_of(lake: Lake, name: str = KEY, *, status: str, stale: bool = False) -> dict[str, object]:
    """Wait until a file has this status; return its row."""

    def found() -> dict[str, object] | None:
        row = lake.loads().get(name)
        return row if row and (row["status"], row["stale"]) == (status, stale) else None

    return until(found, what=f"{name} {status}")


def edits(lake: Lake) -> list[str]:
    return [" ".join(filter(None, (edit["reason"], edit["action"]))) for edit in lake.status()["edits"]]


def verified(lake: Lake) -> None:
    done = lake.command("verify")
    assert done.returncode == 0, done.stdout


def test_a_file_that_was_refused_is_loaded_soon_after_its_contract_comes(lake: Lake, folder: Path):
    write(folder, "others")
    lake.put(KEY, b"way\nx\n")
    with following(lake, folder) as program:
        reason = row_of(lake, status="refused")["first_problem"]
        assert "there is no contract for 'things': put things.json into the folder" in str(reason)
        write(folder)
        row_of(lake, status="loaded")
        assert "contracts taken up new=things" in program.log
        assert lake.status()["datasets"].keys() == {"others", "things"}
        verified(lake)
    assert lake.outputs().keys() == {f"clean/{KEY}.parquet"}


def test_a_changed_contract_makes_what_is_loaded_stale_and_checks_what_comes(local_lake: Lake, folder: Path):
    lake = local_lake
    write(folder)
    lake.put(KEY, b"way\nx\n")
    lake.put("things/wrong.csv", b"way,more\nx,y\n")
    with following(lake, folder, TABLES_SECONDS="0.2") as program:
        row_of(lake, status="loaded")
        row_of(lake, "things/wrong.csv", status="refused")
        write(folder, "things", "way", "more")
        row_of(lake, status="loaded", stale=True)
        row_of(lake, "things/wrong.csv", status="loaded")
        assert "contracts taken up changed=things" in program.log
        assert lake.command("replay", "--stale").returncode == 0
        row_of(lake, status="refused")
        until(lambda: lake.status()["tables"]["files"] == 0, what="the tables")
        verified(lake)
    table = lake.store.dataset("clean/things/").to_table()
    assert table.select(["way", "more"]).to_pylist() == [{"way": "x", "more": "y"}]


def test_a_changed_transform_is_used_for_what_comes(local_lake: Lake, folder: Path):
    """Also where it has the same size, and was changed within the same second."""
    write(folder)
    script = folder / "things.py"
    transform = "def transform(frame):\n    frame['made'] = {}\n    return frame\n"
    script.write_text(transform.format("'1'"))
    with following(local_lake, folder):
        for made in ("1", "2", "3"):
            script.write_text(transform.format(repr(made)))
            content = f"way\nx{made}\n".encode()
            local_lake.put(KEY, content)

            def rows(made: str = made) -> bool:
                local_lake.finish("replay", "--stale")
                [found] = local_lake.store.dataset("clean/things/").to_table().to_pylist() or [{}]
                return (found.get("way"), found.get("made")) == (f"x{made}", made)

            local_lake.wait_loaded(KEY)
            until(rows, what=f"the rows of transform {made}")
        verified(local_lake)


@pytest.mark.parametrize("script", [True, False], ids=["transform", "contract"])
def test_what_is_broken_is_told_once_and_the_one_before_stays_in_use(local_lake: Lake, folder: Path, script: bool):
    write(folder)
    with following(local_lake, folder) as program:
        if script:
            (folder / "things.py").write_text("def transform(frame):\n    return frame['gone']\n")
        else:
            (folder / "things.json").write_text(
                '{"name": "things", "schema": {"fields": [{"name": "n", "type": "int"}]}}'
            )
        expected = "things.py: .*gone" if script else "things.json: field 'n': type: Input should be 'string'"
        [told] = until(lambda: edits(local_lake), what="the edit in the status")
        assert re.search(expected, told, re.IGNORECASE), told
        assert told.endswith("the version before stays in use; correct this one, and it is taken up by itself")
        assert program.log.count("contract not used dataset=things") == 1
        assert "contract not used: " in local_lake.command("status").stdout
        local_lake.put(KEY, b"way\nx\n")
        row_of(local_lake, status="loaded")
        (folder / "things.py").unlink(missing_ok=True)
        write(folder, "things", "other")
        until(lambda: not edits(local_lake), what="no edit in the status")
        row_of(local_lake, status="loaded", stale=True)


@pytest.mark.parametrize("way", ["import time; time.sleep(600)", "import os; os.abort()"], ids=["hangs", "aborts"])
def test_a_transform_that_hangs_or_ends_its_check_does_no_other_harm(local_lake: Lake, folder: Path, way: str):
    write(folder)
    local_lake.environ["PIPELINE_DATASETS"] = str(folder)
    with local_lake.pipeline(prepare=check_briefly) as program:
        until(lambda: " started " in program.log, what="the start")
        (folder / "things.py").write_text(f"def transform(frame):\n    {way}\n    return frame\n")
        [told] = until(lambda: edits(local_lake), what="the edit in the status")
        assert "things.py: a call with example rows " in told
        local_lake.put(KEY, b"way\nx\n")
        row_of(local_lake, status="loaded")


def check_briefly() -> None:
    from pipeline.service import checks

    checks.CHECK_SECONDS = 1.0
    look_often()


def test_a_new_contract_that_is_wrong_has_its_files_wait_until_it_is_right(local_lake: Lake, folder: Path):
    write(folder, "others")
    local_lake.put(KEY, b"way\nx\n")
    with following(local_lake, folder):
        row_of(local_lake, status="refused")
        (folder / "things.json").write_text('{"name": "thing"}')

        def waits() -> bool:
            row = local_lake.loads()[KEY]
            return row["status"] == "pending" and "things.json: " in row["first_problem"]

        until(waits, what="a file that waits, with the reason")
        assert "its files wait" in edits(local_lake)[0]
        write(folder)
        row_of(local_lake, status="loaded")
        verified(local_lake)


def test_a_removed_contract_is_none_and_an_empty_folder_is_an_accident(local_lake: Lake, folder: Path):
    write(folder)
    write(folder, "others")
    local_lake.put(KEY, b"way\nx\n")
    with following(local_lake, folder) as program:
        row_of(local_lake, status="loaded")
        (folder / "things.json").unlink()
        row_of(local_lake, status="loaded", stale=True)
        local_lake.put("things/b.csv", b"way\nx\n")
        row_of(local_lake, "things/b.csv", status="refused")
        assert local_lake.status()["no_contract"]["names"] == ["things"]
        write(folder)
        row_of(local_lake, "things/b.csv", status="loaded")
        row_of(local_lake, status="loaded")  # by the very contract that is there again: nothing is stale

        folder.rename(folder.with_name("away"))
        [told] = until(lambda: edits(local_lake), what="the edit in the status")
        assert told == f"{folder}: there are no contracts those in use stay in use until there are others"
        local_lake.put("things/c.csv", b"way\nx\n")
        row_of(local_lake, "things/c.csv", status="loaded")
        folder.with_name("away").rename(folder)
        until(lambda: not edits(local_lake), what="no edit in the status")
        assert program.log.count("contracts taken up") == 2
        verified(local_lake)


def test_without_workers_it_says_that_a_restart_is_needed(local_lake: Lake, folder: Path):
    """Debuggers hold on to the transform that is loaded; an edit that is taken back is none."""
    write(folder)
    before = (folder / "things.json").read_text()
    with following(local_lake, folder, PIPELINE_WORKERS="0") as program:
        write(folder, "things", "other")
        [told] = until(lambda: edits(local_lake), what="the edit in the status")
        assert "restart the pipeline" in told
        assert program.log.count("contract not used dataset=things") == 1
        local_lake.put(KEY, b"way\nx\n")
        row_of(local_lake, status="loaded")
        (folder / "things.json").write_text(before)
        until(lambda: not edits(local_lake), what="no edit in the status")
        verified(local_lake)


HELD = """
import time
from pathlib import Path

def transform(frame):
    frame["made"] = "before"
    if "held" in set(frame["way"]):
        while not Path({go!r}).exists():
            time.sleep(0.02)
        {fate}
    return frame
"""
FATES = {"loaded": "pass", "refused": "raise ValueError"}


@pytest.mark.parametrize("fate", FATES)
def test_a_load_in_flight_ends_as_it_began_and_others_do_not_wait_for_it(local_lake: Lake, folder: Path, fate: str):
    lake, go = local_lake, folder.with_name("go")
    write(folder)
    (folder / "things.py").write_text(HELD.format(go=str(go), fate=FATES[fate]))
    lake.put(KEY, b"way\nheld\n")
    with following(lake, folder) as program:
        until(lambda: any(one["files"] for one in (lake.status()["executor"] or {}).get("workers", [])), what="a load")
        (folder / "things.py").write_text("def transform(frame):\n    frame['made'] = 'after'\n    return frame\n")
        until(lambda: "contracts taken up" in program.log, what="the new transform")
        lake.put("things/b.csv", b"way\nother\n")
        row_of(lake, "things/b.csv", status="loaded")
        assert lake.loads().get(KEY) is None
        go.touch()
        row_of(lake, status="loaded", stale=fate == "loaded")
        made = {row["way"]: row["made"] for row in lake.store.dataset("clean/things/").to_table().to_pylist()}
        assert made == {"held": "before" if fate == "loaded" else "after", "other": "after"}
        if fate == "loaded":
            assert lake.command("replay", "--stale").returncode == 0
            row_of(lake, status="loaded")
        verified(lake)


def test_txt_files_are_sources_while_the_contract_asks_for_them(local_lake: Lake, folder: Path):
    """Before, they are ignored, with the reason; after, what was loaded is taken back as soon as it is loaded again."""
    lake, text = local_lake, "things/notes.txt"
    write(folder)
    path = folder / "things.json"
    plain = path.read_text()
    lake.put(text, b"way\nx\n")
    with following(lake, folder) as program:
        until(lambda: lake.status()["files"]["ignored"], what="an ignored file")
        assert "a .txt file is loaded where its contract has the format txt" in program.log
        assert lake.command("dry-run", f"raw/{text}").returncode == 2
        path.write_text(json.dumps({**json.loads(plain), "format": "txt"}))
        row_of(lake, text, status="loaded")
        lake.put("things/more.txt.gz", gzip.compress(b"way\ny\n"))
        row_of(lake, "things/more.txt.gz", status="loaded")
        assert lake.status()["files"]["ignored"] == 0
        assert lake.command("dry-run", f"raw/{text}").returncode == 0
        verified(lake)
        path.write_text(plain)
        row_of(lake, text, status="loaded", stale=True)
        lake.put("things/late.txt", b"way\nz\n")
        lake.put(text, b"way\nzz\n")
        reason = row_of(lake, text, status="refused")["first_problem"]
        assert "the contract does not ask for .txt files" in str(reason)
        until(lambda: lake.status()["files"]["ignored"] == 1, what="an ignored file")
        verified(lake)
