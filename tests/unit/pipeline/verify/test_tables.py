"""Verify of tables: nothing where they have the rows of the ledger, and each damage by its table and source."""

import gzip
import json
import random
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from threading import Event

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from common.errors import StoreUnavailable
from lake.layout import CLEAN, LAKE, RAW, REJECTED, table_prefix
from lake.stores.local import LocalStore
from pipeline.commands.output import show_differences
from pipeline.dataset.dataset import Dataset, read_datasets
from pipeline.ledger.changes import Mark, read_mark, write_mark
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reconcile import reconcile
from pipeline.service.context import Pipeline
from pipeline.service.executor import InlineExecutor
from pipeline.service.lease import acquire_lease
from pipeline.service.publish import Publisher
from pipeline.service.workers import process
from pipeline.tables.tables import Tables
from pipeline.verify import tables as tables_module
from pipeline.verify.compare import Difference
from pipeline.verify.tables import compare_tables
from pipeline.verify.verify import CHANGED, Report, verify
from tests.support.project import DATASETS as FOLDER

A, B, REFUSED = (RAW + name for name in ("companydata/a.csv", "companydata/b.csv", "companydata/no.csv"))
ORDERS = RAW + "orders/o.csv"
HEADER = "Month,Dept,Store,Sold,Returned,Ordered\n"
CONTENT = HEADER + "1-Jan,Toys,North,5,1,6\n1-Jan,Toys,South,many,-1,6\n2-Jan,Books,North,7,2,9\n"
CLEAN_TABLE, REJECTED_TABLE = (table_prefix(outputs, "companydata") for outputs in (CLEAN, REJECTED))
ORDERS_TABLE = table_prefix(CLEAN, "orders")
DATASETS = read_datasets(FOLDER)
PRICES = [0.1, 0.2, 0.30000000000000004, 1e6, 7.77, 1e-9] * 50


def orders(prices: list[float]) -> str:
    lines = [",".join(field.name for field in DATASETS["orders"].contract.fields)]
    for number, price in enumerate(prices):
        country = "DE" if number % 2 else "PL"
        lines.append(f"{number},2026-01-31T00:00:00Z,Ann,,{country},Pen,1,1,,{price!r}")
    return "\n".join(lines) + "\n"


@dataclass
class Lake:
    """Lake in a folder with its ledger, whose files are loaded and whose tables are written when a test asks for it."""

    store: LocalStore
    ledger: Ledger
    staging: Path
    datasets: dict[str, Dataset]

    def put(self, key: str, content: str) -> None:
        self.store.put(key, content.encode())

    def load(self) -> None:
        reconcile(self.store, self.ledger)
        executor = InlineExecutor(self.store, self.datasets, self.staging)
        pipeline = Pipeline(self.store, self.ledger, self.datasets, self.staging, executor, workers=0)
        while batch := self.ledger.take():
            process(pipeline, batch)
        Publisher(self.store, self.ledger, self.datasets).publish()

    def update(self) -> None:
        Tables(self.store, self.ledger, self.datasets, self.staging, keep=7).update(Event(), all_due=True)

    def verify(self, *keys: str) -> Report:
        return verify(self.store, self.ledger, self.datasets, keys=keys, patience=0)

    def found(self) -> list[Difference]:
        return self.verify().differences

    def open(self, prefix: str) -> DeltaTable:
        return DeltaTable(self.store.address(prefix)[0])

    def rewrite(self, prefix: str, change) -> None:
        """Write the table again with its rows changed, as another program would."""
        table = self.open(prefix)
        write_deltalake(table, change(table.to_pyarrow_table()), mode="overwrite", schema_mode="overwrite")


@pytest.fixture
def lake(tmp_path):
    staging = tmp_path / "state" / "staging"
    staging.mkdir(parents=True)
    with closing(Ledger(tmp_path / "state" / "ledger.sqlite")) as ledger:
        lake = Lake(LocalStore(tmp_path / "lake"), ledger, staging, dict(DATASETS))
        acquire_lease(lake.store, ledger, Event())
        ledger.start_run({name: dataset.fingerprint for name, dataset in DATASETS.items()})
        lake.put(A, CONTENT)
        lake.put(B, HEADER + "1-Jan,Toys,North,1,0,2\n")
        lake.put(REFUSED, "nonsense\n")
        lake.put(ORDERS, orders(PRICES))
        lake.load()
        lake.update()
        yield lake


def with_value(column: str, key: str, value: object):
    """Return a change of the first row of a source."""

    def change(table: pa.Table) -> pa.Table:
        values, at = table[column].to_pylist(), table["_source_key"].to_pylist().index(key)
        values[at] = value
        position = table.schema.get_field_index(column)
        return table.set_column(position, table.schema.field(column), pa.array(values, table.schema.field(column).type))

    return change


def without(key: str, column: str = "_source_key"):
    """Return a change that removes the first row of a source."""

    def change(table: pa.Table) -> pa.Table:
        at = table[column].to_pylist().index(key)
        return pa.concat_tables([table.slice(0, at), table.slice(at + 1)])

    return change


def doubled(key: str, column: str = "_source_key"):
    def change(table: pa.Table) -> pa.Table:
        return pa.concat_tables([table, table.filter(pc.equal(table[column], key)).slice(0, 1)])

    return change


def one_more(key: str | None):
    """Return a change that adds a row of a source."""

    def change(table: pa.Table) -> pa.Table:
        row = table.filter(pc.equal(table["_source_key"], B))
        return pa.concat_tables([table, with_value("_source_key", B, key)(row)])

    return change


def test_nothing_is_found_where_the_tables_are_right(lake):
    report = lake.verify()
    assert (report.files, report.unverified, report.differences) == (4, {}, [])
    with lake.ledger.snapshot(lake.staging / "snapshot.sqlite") as snapshot:
        results = list(compare_tables(lake.store, lake.ledger, snapshot, DATASETS))
    assert len(results) == 8, "each source of a dataset in both of its tables"
    lake.put(A, CONTENT + "3-Jan,Toys,North,1,1,1\n")
    lake.store.delete(B)
    lake.load()
    lake.update()
    lake.open(CLEAN_TABLE).optimize.compact()
    assert lake.found() == []


PAYMENTS = {
    "name": "payments",
    "schema": {
        "fields": [
            {"name": "paid", "type": "number", "decimal": {"precision": 18, "scale": 2}, "groupChar": ","},
            {"name": "at", "type": "time", "format": "%-I:%M %p"},
        ]
    },
    "summary": {"sum": ["paid"]},
}


def test_exact_numbers_and_times_of_day(lake, tmp_path):
    """Delta has decimals, and no times of day: these are text there. A cent is found that no float would tell."""
    (tmp_path / "payments.json").write_text(json.dumps(PAYMENTS))
    lake.datasets |= read_datasets(tmp_path)
    lake.ledger.start_run({name: dataset.fingerprint for name, dataset in lake.datasets.items()})
    key, prefix = RAW + "payments/a.csv", table_prefix(CLEAN, "payments")
    lake.put(key, 'paid,at\n"9,007,199,254,740,993.01",3:07 PM\n0.10,12:00 AM\n0.20,\n1.005,1:00 PM\n')
    lake.load()
    lake.update()
    assert lake.found() == []
    rows = lake.open(prefix).to_pyarrow_table().sort_by("_line")
    assert rows.schema.field("paid").type == pa.decimal128(18, 2)
    assert rows["paid"].to_pylist() == [Decimal("9007199254740993.01"), Decimal("0.10"), Decimal("0.20")]
    assert rows["at"].to_pylist() == ["15:07:00.000000", "00:00:00.000000", None]
    lake.rewrite(prefix, with_value("paid", key, Decimal("9007199254740993.02")))
    [found] = lake.found()
    assert (found.what, found.key) == (f"sum of paid of {key}", prefix)
    assert (found.expected, found.found) == ("9007199254740993.31", "9007199254740993.32")


@pytest.mark.parametrize(
    ("prefix", "change", "what", "expected", "found"),
    [
        (CLEAN_TABLE, without(A), f"rows of {A}", "2 rows", "1 rows"),
        (CLEAN_TABLE, without(B), f"rows of {B}", "1 rows", "0 rows"),
        (CLEAN_TABLE, doubled(A), f"rows of {A}", "2 rows", "3 rows"),
        (
            CLEAN_TABLE,
            one_more("raw/companydata/x.csv"),
            "rows of raw/companydata/x.csv",
            "no rows",
            "1 rows",
        ),
        (CLEAN_TABLE, one_more(REFUSED), f"rows of {REFUSED}", "0 rows", "1 rows"),
        (CLEAN_TABLE, one_more(None), "rows of None", "no rows", "1 rows"),
        (CLEAN_TABLE, with_value("Sold", A, 6), f"sum of Sold of {A}", "12", "13"),
        (CLEAN_TABLE, with_value("Sold", A, 2**63 - 1), f"sum of Sold of {A}", "12", str(2**63 + 6)),
        (CLEAN_TABLE, with_value("Sold", B, None), f"sum of Sold of {B}", "1", "0"),
        (ORDERS_TABLE, with_value("total", ORDERS, 0.101), f"sum of total of {ORDERS}", None, None),
        (REJECTED_TABLE, without(A, "source_key"), f"rows of {A}", "2 rows", "1 rows"),
        (REJECTED_TABLE, doubled(A, "source_key"), f"rows of {A}", "2 rows", "3 rows"),
        (REJECTED_TABLE, without(REFUSED, "source_key"), f"rows of {REFUSED}", "1 rows", "0 rows"),
    ],
)
def test_damage_by_another_program_is_named(lake, prefix, change, what, expected, found):
    lake.rewrite(prefix, change)
    [difference] = lake.found()
    assert (difference.key, difference.line, difference.what) == (prefix, None, what)
    if expected:
        assert (difference.expected, difference.found) == (expected, found)
    assert lake.verify(A, B, ORDERS).differences == [], "with keys, sources alone are verified"
    lake.update()
    assert lake.found() == [], "the table is built anew"


def test_sums_of_floats_in_another_order(lake):
    """Sums of a load are those of its blocks, here the members of a file; the table may have the rows in any order."""
    chance = random.Random(1)
    prices = [chance.choice([1e-9, 1.0, 1e9]) * chance.random() for _ in range(2000)]
    lines = orders(prices).encode().splitlines(keepends=True)
    members = [gzip.compress(b"".join(lines[start : start + 30])) for start in range(0, len(lines), 30)]
    lake.store.put(RAW + "orders/many.csv.gz", b"".join(members))
    lake.load()
    lake.update()
    for _ in range(3):
        lake.rewrite(ORDERS_TABLE, lambda table: table.take(chance.sample(range(len(table)), len(table))))
        assert lake.found() == []


def test_a_sum_that_is_no_number(lake):
    lake.rewrite(ORDERS_TABLE, with_value("total", ORDERS, float("nan")))
    [difference] = lake.found()
    assert (difference.key, difference.what, difference.expected) == (ORDERS_TABLE, "table", "a table")


def test_a_table_that_is_not_there_or_is_damaged(lake, capsys):
    shutil.rmtree(lake.open(CLEAN_TABLE).table_uri.removeprefix("file://"))
    for file in lake.open(REJECTED_TABLE).file_uris():
        Path(file).write_bytes(b"damaged")
    report = lake.verify()
    first, second = report.differences
    assert first == Difference(CLEAN_TABLE, None, "table", "a table", "no table")
    assert (second.key, second.what, second.expected) == (REJECTED_TABLE, "table", "a table")
    show_differences(report)
    advice = f"tables that differ: {CLEAN_TABLE}, {REJECTED_TABLE}; delete their folders"
    assert advice in capsys.readouterr().out
    for file in lake.open(REJECTED_TABLE).file_uris():
        Path(file).unlink()
    assert lake.found()[1].key == REJECTED_TABLE
    shutil.rmtree(lake.open(REJECTED_TABLE).table_uri.removeprefix("file://"))
    lake.update()
    assert lake.found() == []


def test_a_table_without_a_column(lake):
    lake.rewrite(CLEAN_TABLE, lambda table: table.drop_columns(["Sold"]))
    assert [(one.what, one.found) for one in lake.found()] == [
        (f"sum of Sold of {key}", "no such column") for key in (A, B)
    ]
    lake.rewrite(CLEAN_TABLE, lambda table: table.drop_columns(["_source_key"]))
    assert [(one.key, one.what) for one in lake.found()] == [(CLEAN_TABLE, "table")]


def test_a_table_that_lags_is_no_difference(lake):
    lake.put(A, CONTENT + "3-Jan,Toys,North,1,1,1\n")
    lake.put(RAW + "companydata/new.csv", CONTENT)
    lake.store.delete(B)
    lake.load()
    report = lake.verify()
    changed = {A: CHANGED, RAW + "companydata/new.csv": CHANGED}
    assert (report.unverified, report.differences) == ({**changed, B: "missing"}, [])
    lake.rewrite(CLEAN_TABLE, doubled(B))
    assert [one.what for one in lake.found()] == [f"rows of {B}"], "the others are compared all the same"


def test_what_changes_meanwhile_is_no_difference(lake, monkeypatch):
    """The table goes on after the snapshot: what it has of changed sources is skipped."""
    original = tables_module.compare_tables

    def late(*arguments):
        lake.put(A, HEADER)
        lake.put(RAW + "companydata/new.csv", CONTENT)
        lake.load()
        lake.update()
        return original(*arguments)

    monkeypatch.setattr(tables_module, "compare_tables", late)
    report = lake.verify()
    assert (report.unverified, report.differences) == ({A: CHANGED, RAW + "companydata/new.csv": CHANGED}, [])


def test_a_source_that_waits_or_failed_is_not_compared(lake):
    lake.rewrite(CLEAN_TABLE, without(A))
    for status in ("pending", "failed"):
        lake.ledger.db.execute("UPDATE source SET status = ? WHERE source_key = ?", (status, A))
        assert lake.verify().unverified == {A: status}
        assert [one for one in lake.found() if one.key == CLEAN_TABLE] == []


def test_the_files_of_a_version_that_is_removed_meanwhile(lake, monkeypatch):
    """The newest version is read then, if there is a newer one."""
    count = tables_module._Table._count

    def vacuumed(self, table):
        monkeypatch.undo()
        lake.rewrite(CLEAN_TABLE, lambda rows: rows)
        lake.open(CLEAN_TABLE).vacuum(0, dry_run=False, enforce_retention_duration=False)
        return count(self, table)

    monkeypatch.setattr(tables_module._Table, "_count", vacuumed)
    assert lake.found() == []


def test_files_of_an_older_contract_that_were_left_out(lake):
    lake.rewrite(CLEAN_TABLE, without(B))
    lake.datasets["companydata"] = replace(DATASETS["companydata"], fingerprint="another")
    [difference] = lake.found()
    assert (difference.key, difference.what) == (CLEAN_TABLE, f"rows of {B}")
    assert difference.found.startswith("0 rows, left out")
    assert "replay --stale" in difference.found


def test_a_ledger_that_cannot_be_read_is_named_by_the_source(lake):
    lake.ledger.db.execute("UPDATE source SET share = 'no JSON' WHERE source_key = ?", (A,))
    assert [one.key for one in lake.found() if one.key.startswith("tables/")] == []


def test_many_problems_of_many_kinds(lake):
    """One record counts only a hundred kinds one by one, and the rest together."""
    names = ",".join(f"c{number}" for number in range(150))
    spec = {"name": "wide", "schema": {"fields": [{"name": name, "type": "integer"} for name in names.split(",")]}}
    folder = lake.staging.parent / "datasets"
    folder.mkdir()
    (folder / "wide.json").write_text(json.dumps(spec))
    lake.datasets |= read_datasets(folder)
    lake.put(RAW + "wide/a.csv", f"{names}\n{','.join(['x'] * 150)}\n")
    lake.ledger.start_run({name: dataset.fingerprint for name, dataset in lake.datasets.items()})
    lake.load()
    lake.update()
    assert lake.open("tables/rejected/wide/").to_pyarrow_table().num_rows == 150
    assert lake.found() == []


def test_a_store_that_goes_away_is_no_difference(lake, monkeypatch):
    def gone(key: str):
        raise StoreUnavailable(key)

    shutil.rmtree(lake.store.root / CLEAN_TABLE)
    monkeypatch.setattr(lake.store, "stat", gone)
    with pytest.raises(StoreUnavailable, match=LAKE):
        lake.verify()


def test_a_lake_without_tables_needs_no_deltalake(lake, monkeypatch):
    lake.ledger.db.execute("DELETE FROM meta WHERE name LIKE 'tables/%'")
    monkeypatch.setitem(sys.modules, "pipeline.verify.tables", None)
    assert lake.found() == []
    loaded = "import sys, pipeline.verify.verify; sys.exit('deltalake' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded]).returncode == 0


def test_a_mark_of_one_table_alone(lake):
    """The other one was never written."""
    lake.ledger.db.execute("DELETE FROM meta WHERE name = ?", (REJECTED_TABLE,))
    shutil.rmtree(lake.store.root / REJECTED_TABLE)
    assert lake.found() == []
    write_mark(lake.ledger, REJECTED_TABLE, Mark(read_mark(lake.ledger, CLEAN_TABLE).position, 0))
    assert [one.found for one in lake.found()] == ["no table"]
