"""The tables have the rows of the objects, each once, whatever happens to files, tables, contracts and the pipeline."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from threading import Event, Thread

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError

from lake.layout import CLEAN, REJECTED, table_prefix
from pipeline.ledger.changes import behind
from pipeline.ledger.ledger import Ledger
from pipeline.tables import table as table_module
from pipeline.tables.objects import Objects
from tests.support.oracle import oracle

HEADER = "name,n,x\n"
ODD = ["a.csv", "it's.csv", "_b c.csv", "100 %.csv", "#1?.csv", "deep/'; --.csv", ".dot.csv", "é\\.csv"]


def rows(number: int, *, bad: int = 0) -> str:
    """Return a file of some rows, `bad` of which are rejected."""
    good = "".join(f"g{row},{number + row},{row}.5\n" for row in range(3))
    return HEADER + good + "b,no number,1\n" * bad


def test_new_replaced_refused_retracted_and_odd_keys(any_table_lake):
    lake = any_table_lake
    for number, name in enumerate(ODD):
        lake.put(name, rows(number, bad=number % 3))
    lake.load()
    lake.update()
    lake.check()
    assert lake.open().version() == 0, "they are added in one commit"

    lake.put(ODD[0], rows(100))  # had no rejects
    lake.put(ODD[1], rows(200, bad=2))
    lake.put(ODD[2], "nonsense\n")
    lake.put("new.csv", rows(300))
    lake.store.delete(f"raw/numbers/{ODD[3]}")
    lake.load(retract=True)
    lake.update()
    lake.check()
    assert lake.open().version() == 1
    assert f"raw/numbers/{ODD[3]}" not in lake.open().to_pyarrow_table()["_source_key"].to_pylist()


def test_a_source_that_is_replaced_just_then_keeps_rows(table_lake):
    table_lake.put("a.csv", rows(1))
    table_lake.load()
    table_lake.put("b.csv", rows(100))
    table_lake.load()
    with table_lake.store.open("clean/numbers/b.csv.parquet") as (_, stream):
        newer = stream.read()
    table_lake.store.put("clean/numbers/a.csv.parquet", newer)  # a load whose result the ledger does not have yet
    table_lake.update()
    assert len(table_lake.open().to_pyarrow_table()) == 6


def test_without_a_change_nothing_is_written(table_lake):
    table_lake.put("a.csv", rows(1))
    table_lake.load()
    table_lake.update()
    before = {info.key: info.etag for info in table_lake.store.list("tables/")}
    table_lake.update()
    assert {info.key: info.etag for info in table_lake.store.list("tables/")} == before


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_the_table_has_each_row_once(table_lake, monkeypatch, seed):
    """Commits in pieces, and a pipeline that ends between a commit and its mark."""
    chance = Random(seed)
    monkeypatch.setattr(table_module, "NEW", 3)
    monkeypatch.setattr(table_module, "REPLACED", 2)

    def killed(*_: object) -> None:
        raise SystemExit

    table_lake.put("always.csv", rows(1))
    for _ in range(8):
        for name in chance.sample(ODD, chance.randint(1, 5)):
            if chance.random() < 0.2:
                table_lake.store.delete(f"raw/numbers/{name}")
            else:
                content = "nonsense" if chance.random() < 0.2 else rows(chance.randint(0, 99), bad=chance.randint(0, 2))
                table_lake.put(name, content)
        table_lake.load(retract=True)
        if chance.random() < 0.5:
            with monkeypatch.context() as patch:
                patch.setattr(table_module, "write_mark", killed)
                with pytest.raises(SystemExit):
                    table_lake.update()
            table_lake.tables = None
        if chance.random() < 0.3:
            table_lake.load(retract=True)
        table_lake.update()
        table_lake.check()


def test_a_table_is_built_anew_where_it_is_not_the_pipeline_s(table_lake, monkeypatch, caplog):
    lake = table_lake
    for name in ODD:
        lake.put(name, rows(1, bad=1))
    lake.load()
    lake.update()
    folder = Path(lake.store.address(table_prefix(CLEAN, "numbers"))[0])

    assert "built anew" not in caplog.text, "it is the first build"
    shutil.rmtree(folder)  # deleted
    lake.put("b.csv", rows(2))
    lake.load()
    lake.update()
    lake.check()
    assert caplog.text.count("table built anew") == caplog.text.count("it is missing") == 1

    write_deltalake(lake.open(), lake.open().to_pyarrow_table().slice(0, 2), mode="append")  # by another program
    lake.put("c.csv", rows(3))
    lake.load()
    lake.update()
    lake.check()
    assert "another program wrote its version 1" in caplog.text

    for log in (folder / "_delta_log").iterdir():  # damaged, which is seen when it is opened: at least once a minute
        log.write_text("no log")
    monkeypatch.setattr("pipeline.tables.tables.OPENED", 0)
    lake.put("d.csv", rows(4))
    lake.load()
    lake.update()
    lake.check()
    assert "table damaged" in caplog.text

    for file in folder.glob("*.parquet"):  # a file that a commit must read is lost
        file.unlink()
    lake.put("d.csv", rows(5))
    lake.load()
    for _ in range(4):
        lake.update()
    lake.check()


def test_a_lost_ledger_builds_it_anew(table_lake, tmp_path):
    table_lake.put("a.csv", rows(1, bad=1))
    table_lake.load()
    table_lake.update()
    table_lake.store.delete("raw/numbers/a.csv")
    table_lake.put("b.csv", rows(2))
    table_lake.ledger = Ledger(tmp_path / "other.sqlite")
    table_lake.ledger.start_run({"numbers": table_lake.datasets["numbers"].fingerprint})
    table_lake.tables = None
    table_lake.load()
    table_lake.update()
    table_lake.check()
    assert set(table_lake.open().to_pyarrow_table()["_source_key"].to_pylist()) == {
        "raw/numbers/a.csv",
        "raw/numbers/b.csv",
    }
    table_lake.ledger.close()


def test_the_columns_follow_the_contract(table_lake, write_dataset, caplog):
    fields = [{"name": name, "type": type_} for name, type_ in (("name", "string"), ("n", "string"), ("x", "number"))]
    table_lake.put("a.csv", rows(1))
    table_lake.load()
    table_lake.update()

    def change(fields: list[dict[str, str]]) -> None:
        table_lake.datasets["numbers"] = write_dataset(schema={"fields": fields}, summary={"groupBy": [], "sum": []})
        table_lake.ledger.start_run({"numbers": table_lake.datasets["numbers"].fingerprint})
        table_lake.tables = None

    change(fields)  # whole numbers fit text
    table_lake.put("b.csv", rows(2))
    table_lake.load()
    table_lake.update()
    table_lake.check()
    assert table_lake.open().to_pyarrow_table().schema.field("n").type == pa.string()
    assert "the contract has other columns" in caplog.text

    change([{**field, "type": "number"} for field in fields[1:]] + [{"name": "new", "type": "string"}])
    table_lake.put("c.csv", "n,x,new\n1,2,3\n")
    table_lake.load()
    table_lake.update()
    columns = ["_source_key", "n", "new"]
    assert table_lake.open().to_pyarrow_table().select(columns).to_pylist() == [
        *({"_source_key": "raw/numbers/a.csv", "n": n, "new": None} for n in (1.0, 2.0, 3.0)),
        {"_source_key": "raw/numbers/c.csv", "n": 1.0, "new": "3"},
    ]
    assert "1 files of an older contract have values that do not fit the present one" in caplog.text


@pytest.mark.parametrize("before", [False, True], ids=["new", "grown"])
def test_an_exact_number_of_many_digits_is_found(table_lake, write_dataset, caplog, before):
    """The statistics of a commit have floats: by them an engine would skip the file."""
    if before:
        table_lake.put("a.csv", rows(1))
        table_lake.load()
        table_lake.update()
    fields = [{"name": "name"}, {"name": "n", "type": "integer"}]
    exact_number = {"name": "x", "type": "number", "decimal": {"precision": 38, "scale": 2}}
    schema, numbers = {"fields": [*fields, exact_number]}, [Decimal("123456789012345678.91"), Decimal("-2.25")]
    table_lake.datasets["numbers"] = write_dataset(schema=schema, summary={"groupBy": [], "sum": []})
    table_lake.ledger.start_run({"numbers": table_lake.datasets["numbers"].fingerprint})
    table_lake.tables = None
    for name in ("b.csv", "c.csv"):
        table_lake.put(name, HEADER + "".join(f"g,1,{number}\n" for number in numbers))
        table_lake.load()
        table_lake.update()
    table_lake.open().optimize.compact()
    found = table_lake.open().to_pyarrow_dataset()
    for number in numbers:
        assert found.count_rows(filter=pc.field("x") == number) == 2
    assert caplog.text.count("table built anew") == before


def by_polars(address: str, stop: Event) -> Iterator[tuple[int, int]]:
    """Yield the rows and the sources of a table, until `stop` is set."""
    while not stop.is_set():
        frame = pl.read_delta(address)
        yield frame.height, frame["_source_key"].n_unique()


def by_duckdb(address: str, stop: Event) -> Iterator[tuple[int, int]]:
    with oracle(address, {}) as ask:
        while not stop.is_set():
            [row] = ask("SELECT count(*) AS rows, count(DISTINCT _source_key) AS sources FROM t")
            yield row["rows"], row["sources"]


@pytest.mark.parametrize("reads", [by_polars, pytest.param(by_duckdb, marks=pytest.mark.needs_oracle)])
def test_a_reader_sees_one_version_whole(table_lake, reads):
    """Readers in a loop, while every file is replaced again and again."""
    for name in ODD:
        table_lake.put(name, rows(0))
    table_lake.load()
    table_lake.update()
    address, stop, counts = table_lake.store.address(table_prefix(CLEAN, "numbers"))[0], Event(), list[tuple]()

    def read() -> None:
        counts.extend(reads(address, stop))

    reader = Thread(target=read)
    reader.start()
    try:
        for number in range(20):
            for name in ODD:
                table_lake.put(name, rows(number + 1))
            table_lake.load()
            table_lake.update()
    finally:
        stop.set()
        reader.join()
    assert len(counts) > 5
    assert set(counts) == {(3 * len(ODD), len(ODD))}


def test_small_files_and_old_versions_go_and_a_version_can_be_read_again(table_lake, monkeypatch, caplog):
    monkeypatch.setattr("pipeline.tables.tables.COMPACTED", 5)
    for number in range(20):
        table_lake.put(f"{number}.csv", rows(number))
        table_lake.load()
        table_lake.update()
    table_lake.check()
    assert len(table_lake.open().file_uris()) <= 6
    old = table_lake.open()
    old.load_as_version(3)
    assert old.to_pyarrow_dataset().count_rows() == 12
    reader, began = table_lake.open().to_pyarrow_dataset(), table_lake.open().to_pyarrow_table()
    for number in range(20):
        table_lake.put(f"{number}.csv", rows(100 + number))
    table_lake.load()
    table_lake.tables = None  # which begins with a look for old files
    table_lake.update()
    table_lake.check()
    assert reader.to_table().equals(began), "it began before all were replaced, put together and vacuumed"

    table_lake.keep, table_lake.tables = 0, None
    table_lake.put("a.csv", rows(1))
    table_lake.load()
    table_lake.update()
    folder = Path(table_lake.store.address(table_prefix(CLEAN, "numbers"))[0])
    assert len(list(folder.glob("*.parquet"))) == len(table_lake.open().file_uris())
    table_lake.check()
    assert "built anew" not in caplog.text


def test_the_log_stays_short_and_each_version_in_it_opens(any_table_lake, monkeypatch):
    lake = any_table_lake
    monkeypatch.setattr("pipeline.tables.tables.COMPACTED", 4)
    monkeypatch.setattr("pipeline.tables.history.VERSIONS", 6)
    files: list[int] = []  # of each version
    for number in range(30):
        lake.put(f"{number}.csv", rows(number))
        lake.load()
        lake.update()
        files += [number + 1] * (lake.open().version() + 1 - len(files))
    table = lake.open()
    known = {commit["version"]: commit["timestamp"] for commit in table.history()}
    assert 6 <= len(known) <= 6 + 2 * 5, "commits of files, and one after each four of them"
    assert len(list(lake.store.list(f"{table_prefix(CLEAN, 'numbers')}_delta_log/"))) <= 2 * len(known)
    for version in known:
        table.load_as_version(version)
        assert table.to_pyarrow_dataset().count_rows() == 3 * files[version]
    table.load_as_version(datetime.now(UTC))
    assert table.version() == max(known)
    lake.check()


def test_a_table_that_cannot_be_written_holds_up_no_other(table_lake, caplog):
    table_lake.store.put("tables/clean/numbers", b"a file where its folder must be")
    table_lake.put("a.csv", rows(1, bad=2))
    table_lake.load()
    for _ in range(4):
        table_lake.update()
    assert table_lake.open(REJECTED).to_pyarrow_dataset().count_rows() == 2
    assert caplog.text.count("table not written") == 2
    assert behind(table_lake.ledger, "numbers") is None

    table_lake.store.delete("tables/clean/numbers")
    table_lake.update()
    table_lake.check()
    assert behind(table_lake.ledger, "numbers") == (0, None)
    table_lake.put("b.csv", rows(2))
    table_lake.load()
    assert behind(table_lake.ledger, "numbers")[0] == 1


def test_files_that_are_replaced_while_a_table_is_built_are_there_once(table_lake, monkeypatch):
    calls, read = count(), Objects._read

    def put_all(number: int) -> None:
        for name in ODD:
            table_lake.put(name, rows(number))
        table_lake.load()

    def read_one(self: Objects, key: str) -> Iterable[pa.Table]:
        if next(calls) == 2:
            put_all(2)
        return read(self, key)

    monkeypatch.setattr(Objects, "_read", read_one)
    put_all(1)
    table_lake.update()
    first = table_lake.open()
    first.load_as_version(0)
    keys = Counter(first.to_pyarrow_table()["_source_key"].to_pylist())
    assert keys == {f"raw/numbers/{name}": 3 for name in ODD}
    table_lake.update()
    table_lake.check()


def test_a_ledger_that_went_back_builds_it_anew(table_lake, tmp_path):
    """As after a power cut, or where an old state folder was put back."""
    lake = table_lake
    lake.put("a.csv", rows(1))
    lake.load()
    with lake.ledger.snapshot(tmp_path / "old.sqlite"):
        pass
    for number in range(3):
        lake.put("a.csv", rows(10 + number))
        lake.load()
        lake.update()
    with closing(Ledger(tmp_path / "old.sqlite")) as old:
        lake.ledger, lake.tables = old, None
        lake.put("b.csv", rows(2))
        lake.load()
        lake.update()
        lake.check()


@pytest.mark.parametrize("days", [-2, 2])
def test_a_clock_that_jumps(table_lake, days):
    """It is set back, or ahead, by more than the days that a table keeps: all that was written has another age."""
    lake, folder = table_lake, Path(table_lake.store.address("tables")[0])
    lake.keep = 1
    for number in range(6):
        lake.put(f"{number % 4}.csv", rows(number))
        lake.load()
        lake.update()
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.suffix == ".json":
            path.write_text(
                re.sub(r"\b1\d{12}\b", lambda found: str(int(found[0]) - days * 86_400_000), path.read_text())
            )
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - days * 86_400))
    lake.ledger.db.execute("UPDATE source SET changed_at = changed_at - ?", (days * 86_400_000_000,))
    lake.tables = None
    for number in (1, 7):
        lake.put(f"{number}.csv", rows(number))
        lake.load()
        lake.update()
        lake.check()


def test_a_pipeline_that_was_given_up_commits_late(table_lake, tmp_path, monkeypatch):
    """Another one has taken the lake over, with a ledger of its own."""
    monkeypatch.setattr("pipeline.tables.tables.OPENED", 0)  # as after a minute
    late = table_lake
    for name in ODD:
        late.put(name, rows(1, bad=1))
    late.load()
    late.update()
    late.put("new.csv", rows(2))
    late.load()  # and stands still before it commits
    with closing(Ledger(tmp_path / "other.sqlite")) as ledger:
        ledger.start_run({"numbers": late.datasets["numbers"].fingerprint})
        other = replace(late, ledger=ledger, tables=None)
        other.load()
        other.update()
        [(clean, _), _] = late.tables._states
        with pytest.raises(DeltaError):  # the library knows that the table is not what it was
            clean.update()
        assert clean.update(), "it opens the table, which is another program's, and builds it anew"
        assert late.open().version() == 2
        other.put(ODD[0], rows(3))
        other.load()
        for _ in range(2):
            other.update()
        other.check()
