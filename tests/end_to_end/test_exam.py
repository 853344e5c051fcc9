"""The exam of the simulator, taken by our pipeline: it must be right in all of it, and a wrong lake must not pass."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from lake.layout import CLEAN, REJECTED, clean_key, rejected_key, source_key
from lake.stores.s3 import S3Store
from lake.stores.users import User, prepare
from simulator.exam.case import SHAPES
from simulator.exam.exam import KINDS
from simulator.exam.grade import grade, read_key
from simulator.exam.report import Mistake
from tests.support.lake import Lake

FILES = len(KINDS)


def simulator(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulator", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)


def environ_of(lake: Lake, role: str) -> dict[str, str]:
    """Return the surroundings of a program that may do no more than its role; a folder has no users."""
    if not isinstance(lake.store, S3Store):
        return lake.environ
    user = User(role, f"{role}-{uuid4().hex[:8]}", uuid4().hex)
    prepare(lake.store, [user])
    return lake.environ | {"AWS_ACCESS_KEY_ID": user.access_key, "AWS_SECRET_ACCESS_KEY": user.secret_key}


def test_every_answer_is_right_and_damage_is_named(lake, tmp_path):
    writer, reader = environ_of(lake, "simulator"), environ_of(lake, "reader")
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    exam(writer, 1, first)
    assert lake.command("once").returncode == 0
    assert_right(simulator(reader, "grade", "--key", str(first), "--json"), notes=0)

    exam(writer, 2, second)
    assert lake.command("once").returncode == 0
    for key in (first, second):  # from now on, each exam's files are not alone in the lake
        assert_right(simulator(reader, "grade", "--key", str(key), "--json"), notes=len(SHAPES))
    assert_verified(lake)

    mistakes = damage(lake, second)
    done = simulator(reader, "grade", "--key", str(second))
    assert done.returncode == 1, done.stderr
    for mistake in mistakes:
        assert mistake.key in done.stdout
        assert mistake.message in done.stdout
    assert "score: 100" not in done.stdout
    mistaken = {one.key for one in mistakes if one.key.endswith(".parquet")}
    verified = lake.command("verify", "--json", *(source_key(key) for key in mistaken))
    assert verified.returncode == 1, verified.stderr
    found = {one["key"] for one in json.loads(verified.stdout)["differences"]}
    assert (len(mistaken - found), len(mistaken)) == (1, 7)  # what stands where nothing may is no source's


def exam(environ: dict[str, str], seed: int, key: Path) -> None:
    done = simulator(environ, "exam", "--seed", str(seed), "--files", str(FILES), "--key", str(key))
    assert done.returncode == 0, done.stderr
    assert f"put {FILES} files" in done.stdout


def assert_right(done: subprocess.CompletedProcess[str], notes: int) -> None:
    said = json.loads(done.stdout)
    assert (said["mistakes"], said["score"]) == ([], 100)
    assert len(said["notes"]) == notes
    assert done.returncode == 0, done.stderr


def assert_verified(lake: Lake) -> None:
    """Recount the lake with the pipeline itself."""
    done = lake.command("verify", "--json")
    said = json.loads(done.stdout)
    assert (said["differences"], said["unverified"]) == ([], {})
    assert said["files"] > 100
    assert done.returncode == 0, done.stderr


def damage(lake: Lake, key: Path) -> list[Mistake]:
    """Spoil a file at a time, each in another way, and find it named; give what was found."""
    answers = read_key(key)["files"]
    loaded = iter([one["key"] for one in answers if one["kept"] and one["dataset"] == "companydata"])
    dirty = iter([one["key"] for one in answers if len(one["rejected"]) > 1 and one["dataset"] == "orders"])
    refused = next(one["key"] for one in answers if one["status"] == "refused")
    ignored = next(one["key"] for one in answers if one["status"] == "ignored")

    rewrite(lake, first := clean_key(next(loaded)), lambda table: table.slice(1))
    rewrite(lake, second := clean_key(next(loaded)), lambda table: pa.concat_tables([table, table.slice(0, 1)]))
    rewrite(lake, third := clean_key(next(loaded)), lambda table: replaced(table, "Sold", 0))
    rewrite(lake, fourth := rejected_key(next(dirty)), lambda table: table.slice(1))
    rewrite(lake, fifth := rejected_key(next(dirty)), lambda table: replaced(table, "line", 1))
    lake.store.delete(sixth := rejected_key(refused))
    lake.store.put(seventh := clean_key(ignored), b"")

    mistakes = grade(lake.store, read_key(key)).mistakes
    wrong = {mistake.key for mistake in mistakes}
    sums = {f"{CLEAN}companydata/", f"{CLEAN}{ignored.split('/')[1]}/"}  # what is there counts, where it should not too
    assert wrong == {first, second, third, fourth, fifth, sixth, seventh, *sums}
    assert sixth.startswith(REJECTED)
    return mistakes


def rewrite(lake: Lake, key: str, change: Callable[[pa.Table], pa.Table]) -> None:
    with lake.store.open(key) as (_, stream):
        table = pq.read_table(io.BytesIO(stream.read()))
    sink = io.BytesIO()
    pq.write_table(change(table), sink)
    lake.store.put(key, sink.getvalue())


def replaced(table: pa.Table, column: str, by: int) -> pa.Table:
    at = table.schema.get_field_index(column)
    return table.set_column(at, column, pa.array([table[column][0].as_py() + by + 1, *table[column].to_pylist()[1:]]))
