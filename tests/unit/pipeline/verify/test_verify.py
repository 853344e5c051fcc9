"""Verify, on lakes made by the pipeline: nothing where nothing is wrong, every damage by object and line."""

import gzip
import io
import json
import random
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.errors import SettingError, StoreUnavailable
from lake.layout import LOADS, RAW, STATUS, clean_key, rejected_key, summary_key
from lake.schemas import METADATA_KEY
from lake.stores.base import ObjectChanged
from lake.stores.local import LocalStore
from pipeline.dataset.dataset import read_datasets
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reconcile import reconcile
from pipeline.model.load_record import read_load_record
from pipeline.service.context import Pipeline
from pipeline.service.executor import InlineExecutor
from pipeline.service.lease import acquire_lease
from pipeline.service.publish import Publisher
from pipeline.service.workers import process
from pipeline.verify import source
from pipeline.verify.verify import CHANGED, Report, verify
from tests.support.project import DATASETS as FOLDER

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KEY, OTHER, REFUSED = RAW + "companydata/a.csv", RAW + "companydata/deep/b.csv.gz", RAW + "companydata/refused.csv"
HEADER = b"Month,Dept,Store,Sold,Returned,Ordered\n"
CONTENT = (
    HEADER + b"1-Jan,Toys,North,5,1,6\n"
    b"1-Jan,Toys,South,many,1,6\n"
    b'"two\nlines",Books,North,7,2,9\n'
    b",Books,,1,-1,2\n"
    b"2-Jan,Books,North,8,3,11\n"
    b"2-Jan,Toys,North,9,4,13\n"
)
LINES = [2, 4, 7, 8]
DATASETS = read_datasets(FOLDER)


class Lake:
    """Lake with its ledger, and the pieces of a pipeline that load and publish."""

    def __init__(self, folder: Path, store: LocalStore) -> None:
        staging = folder / "state" / "staging"
        staging.mkdir(parents=True)
        self.store, self.ledger = store, Ledger(folder / "state" / "ledger.sqlite")
        self.pipeline = Pipeline(
            store, self.ledger, DATASETS, staging, InlineExecutor(store, DATASETS, staging), workers=0
        )
        acquire_lease(store, self.ledger, self.pipeline.stop)
        self.ledger.start_run({name: dataset.fingerprint for name, dataset in DATASETS.items()})

    def load(self) -> None:
        reconcile(self.store, self.ledger)
        while tasks := self.ledger.take():
            process(self.pipeline, tasks)
        Publisher(self.store, self.ledger, DATASETS).publish()

    def verify(self, *keys: str, datasets=DATASETS) -> Report:
        report = verify(self.store, self.ledger, datasets, keys=keys, patience=0)
        assert [path.name for path in self.ledger.path.parent.glob("verify-*")] == []
        return report

    def found(self, *keys: str) -> list[tuple[str, int | None, str]]:
        return [(one.key, one.line, one.what) for one in self.verify(*keys).differences]

    def read(self, key: str) -> bytes:
        with self.store.open(key) as (_, stream):
            return stream.read()

    def rewrite(self, key: str, change, **footer: object) -> None:
        """Put an object again with its rows changed, and its footer too if asked."""
        content = self.read(key)
        table = change(pq.read_table(io.BytesIO(content)))
        if key.startswith(("clean", "rejected")):
            record = replace(read_load_record(io.BytesIO(content)), **footer)
            table = table.replace_schema_metadata(record.footer)
        sink = io.BytesIO()
        pq.write_table(table, sink)
        self.store.put(key, sink.getvalue())


class Meddled(LocalStore):
    """Store in which something happens whenever an object is about to be opened."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.before = {}

    @contextmanager
    def open(self, key: str):
        if meddle := self.before.pop(key, None):
            meddle()
        with super().open(key) as opened:
            yield opened


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path, Meddled(tmp_path / "lake"))
    lake.store.put(KEY, CONTENT)
    lake.store.put(OTHER, gzip.compress(HEADER + b"1-Jan,Toys,North,1,0,2\n"))
    lake.store.put(REFUSED, b"nonsense\n")
    lake.store.put(RAW + "companydata/notes.txt", b"ignored")
    lake.store.put(RAW + "nobody/a.csv", b"no contract\n1\n")
    lake.load()
    yield lake
    lake.ledger.close()


def with_value(column: str, row: int, value: object):
    def change(table: pa.Table) -> pa.Table:
        at, values = table.schema.get_field_index(column), table[column].to_pylist()
        values[row] = value
        return table.set_column(at, table.schema.field(column), pa.array(values, table.schema.field(column).type))

    return change


def without(row: int):
    return lambda table: pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


def doubled(row: int):
    return lambda table: pa.concat_tables([table.slice(0, row + 1), table.slice(row)])


def test_nothing_is_found_where_nothing_is_wrong(lake):
    told = []
    report = verify(lake.store, lake.ledger, DATASETS, lambda *progress: told.append(progress), patience=0)
    assert (report.files, report.rows, report.unverified, report.differences) == (4, 7, {}, [])
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert lake.verify(KEY).files == 1


CLEAN, REJECTED = clean_key(KEY), rejected_key(KEY)


@pytest.mark.parametrize(
    ("key", "change", "line", "what"),
    [
        (CLEAN, with_value("Sold", 2, 9999), 7, "Sold"),
        (CLEAN, with_value("Net", 1, None), 4, "Net"),
        (CLEAN, with_value("Month", 1, "two\r\nlines"), 4, "Month"),
        (CLEAN, with_value("_line", 2, 6), 7, "_line"),
        (CLEAN, with_value("_source_key", 3, OTHER), 8, "_source_key"),
        (CLEAN, without(0), 2, "row"),
        (CLEAN, without(3), 8, "row"),
        (CLEAN, doubled(1), 4, "row"),
        (CLEAN, doubled(3), 8, "row"),
        (CLEAN, lambda table: table.slice(0, 0), 2, "row"),
        (CLEAN, lambda table: table.take([0, 2, 1, 3]), 4, "row"),
        (CLEAN, lambda table: table.drop_columns(["Net"]), None, "columns"),
        (CLEAN, lambda table: table.set_column(3, "Sold", table["Sold"].cast("double")), None, "columns"),
        (REJECTED, with_value("rule", 0, "minimum"), 3, "rule"),
        (REJECTED, with_value("raw", 2, ""), 6, "raw"),
        (REJECTED, with_value("line", 0, 2), 3, "line"),
        (REJECTED, without(0), 3, "row"),
        (REJECTED, without(3), 6, "row"),
        (REJECTED, doubled(0), 3, "row"),
    ],
)
def test_the_first_wrong_row_of_an_object_is_named(lake, key, change, line, what):
    lake.rewrite(key, change)
    etag = (KEY, None, f"ledger, {key.partition('/')[0]}_etag")
    assert lake.found() == lake.found(KEY) == [(key, line, what), etag]


def test_what_was_expected_and_found_is_said(lake):
    lake.rewrite(CLEAN, with_value("Dept", 2, "Toys"))
    first, _ = lake.verify().differences
    assert (first.expected, first.found) == ("'Books'", "'Toys'")
    lake.rewrite(CLEAN, without(2))
    first, _ = lake.verify().differences
    assert (first.line, first.expected, first.found) == (7, "the row of line 7", "the row of line 8")


@pytest.mark.parametrize("key", [CLEAN, REJECTED])
@pytest.mark.parametrize(
    "footer",
    [
        {"rows_kept": 5},
        {"rows_rejected": 0},
        {"etag": "other"},
        {"share": []},
        {"first_problem": None},
        {"problems": []},
    ],
)
def test_a_footer_that_is_wrong(lake, key, footer):
    lake.rewrite(key, lambda table: table, **footer)
    [name] = footer
    assert (key, None, f"footer, {name}") in lake.found()


@pytest.mark.parametrize("key", [CLEAN, REJECTED, rejected_key(REFUSED)])
def test_an_object_that_is_missing(lake, key):
    lake.store.delete(key)
    assert (key, None, "object") in lake.found()


@pytest.mark.parametrize("key", [clean_key(REFUSED), rejected_key(OTHER)])
def test_an_object_that_a_source_may_not_have(lake, key):
    lake.store.put(key, lake.read(CLEAN))
    assert (key, None, "object") in lake.found()


@pytest.mark.parametrize(
    "key",
    [
        "clean/companydata/x.csv.parquet",
        "rejected/companydata/x.csv.parquet",
        "clean/companydata/a.csv",
        "clean/companydata/notes.txt.parquet",
        "clean/x",
    ],
)
def test_an_object_of_no_source(lake, key):
    lake.store.put(key, b"")
    assert lake.found() == [(key, None, "object")]


def spoiled(content: bytes) -> bytes:
    chance = random.Random(len(content))
    at = chance.sample(range(4, len(content) // 2), 40)
    return bytes(one ^ 0xFF if number in at else one for number, one in enumerate(content))


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"PAR1 not really PAR1",
        lambda content: content[:-9],
        lambda content: content[99:],
        spoiled,
    ],
)
@pytest.mark.parametrize("key", [CLEAN, REJECTED])
def test_a_damaged_object(lake, key, damage):
    lake.store.put(key, damage(lake.read(key)))
    assert key in {one[0] for one in lake.found()}
    lake.store.delete(KEY)
    lake.ledger.db.execute(f"UPDATE source SET {key.partition('/')[0]}_etag = ?", (lake.store.stat(key).etag,))
    assert key in {one[0] for one in lake.found(KEY)}


def test_an_object_without_a_record_of_ours(lake):
    table = pq.read_table(io.BytesIO(lake.read(CLEAN)))
    for metadata in (None, {METADATA_KEY: b"[]"}, {METADATA_KEY: b"{"}, {METADATA_KEY: b'{"source_key": 1}'}):
        pq.write_table(table.replace_schema_metadata(metadata), sink := io.BytesIO())
        lake.store.put(CLEAN, sink.getvalue())
        assert (CLEAN, None, "footer") in lake.found()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("rows_read", 7),
        ("rows_kept", 5),
        ("rows_dropped", 1),
        ("rows_rejected", 0),
        ("size", 1),
        ("first_problem", "none"),
        ("share", "[]"),
        ("problems", "[]"),
        ("clean_etag", "other"),
        ("rejected_etag", None),
        ("status", "refused"),
    ],
)
def test_the_ledger_tells_another_story(lake, column, value):
    lake.ledger.db.execute(f"UPDATE source SET {column} = ? WHERE source_key = ?", (value, KEY))
    assert lake.found(KEY) == [(KEY, None, f"ledger, {column}")]


def test_the_totals_of_the_ledger(lake):
    group = json.dumps({"Dept": "Books"})
    lake.ledger.db.execute('UPDATE summary SET rows = rows + 1 WHERE "group" = ?', (group,))
    assert ("ledger", None, f"summary of companydata, {group}") in lake.found()
    lake.load()
    assert lake.found() == [("ledger", None, f"summary of companydata, {group}")]
    lake.ledger.db.execute("UPDATE tally SET rows_kept = 9 WHERE dataset = 'companydata' AND status = 'loaded'")
    assert ("ledger", None, "count of companydata, loaded") in lake.found()
    lake.ledger.db.execute("UPDATE source SET share = 'no JSON' WHERE source_key = ?", (OTHER,))
    assert {("ledger", None, "summary"), (OTHER, None, "ledger, share")} <= set(lake.found())


def test_a_share_that_went_into_the_summary_twice(lake):
    lake.ledger.db.execute("UPDATE summary SET sums = json_set(sums, '$.Sold', '15/2')")
    assert [one.found for one in lake.verify().differences if one.key == "ledger"] != []


@pytest.mark.parametrize(
    ("key", "change", "what"),
    [
        (summary_key("companydata"), with_value("Sold", 0, 1), "row 1"),
        (summary_key("companydata"), without(1), "row 2"),
        (LOADS, with_value("rows_kept", 0, 99), "row 1"),
    ],
)
def test_what_is_published_is_not_what_the_ledger_has(lake, key, change, what):
    lake.rewrite(key, change)
    assert lake.found() == [(key, None, what)]
    lake.store.put(key, b"damaged")
    assert lake.found() == [(key, None, "object")]
    lake.store.delete(key)
    assert lake.found() == [(key, None, "object")]


def test_the_published_status(lake):
    told = json.loads(lake.read(STATUS))
    told["rows"]["kept"] += 1
    told["datasets"]["companydata"]["files"]["loaded"] = 0
    lake.store.put(STATUS, json.dumps(told).encode())
    assert lake.found() == [(STATUS, None, "companydata: files"), (STATUS, None, "rows")]
    for damaged in (b"", b"[]"):
        lake.store.put(STATUS, damaged)
        assert lake.found() == [(STATUS, None, "object")]
    lake.store.put(STATUS, b"{}")
    assert {(STATUS, None, "lake"), (STATUS, None, "rows")} <= set(lake.found())


def test_what_waits_or_failed_is_not_verified(lake):
    lake.store.put(KEY, CONTENT + b"3-Jan,Toys,North,1,1,1\n")
    assert lake.verify().unverified == {KEY: "landed just now, and not noticed yet"}
    lake.ledger.notice(lake.store.stat(KEY), "event")
    assert lake.verify(KEY).unverified == {KEY: "pending"}
    lake.ledger.db.execute("UPDATE source SET status = 'failed' WHERE source_key = ?", (KEY,))
    report = lake.verify(KEY)
    assert (report.unverified, report.differences, report.files) == ({KEY: "failed"}, [], 0)
    lake.ledger.db.execute("UPDATE source SET status = 'pending' WHERE source_key = ?", (KEY,))
    lake.load()
    assert (lake.verify().unverified, lake.found()) == ({}, [])


def test_a_version_that_nobody_noticed_for_long(lake, monkeypatch):
    monkeypatch.setattr(source, "LANDING", timedelta(0))
    lake.store.put(KEY, CONTENT)
    new = lake.store.put(RAW + "companydata/new.csv", CONTENT)
    first, second = lake.verify().differences
    assert (first.key, first.what) == (KEY, "version")
    assert (second.key, second.found) == (RAW + "companydata/new.csv", f"version {new}")
    lake.load()
    assert lake.found() == []


def test_a_deleted_source_is_held_against_its_footer(lake):
    lake.store.delete(KEY)
    assert lake.verify().unverified == {KEY: "gone, and not noticed yet"}
    lake.load()
    report = lake.verify()
    assert (report.unverified, report.differences) == ({KEY: "missing"}, [])
    lake.store.put(KEY, CONTENT)
    assert lake.verify(KEY).unverified == {KEY: "back, and not noticed yet"}


@pytest.mark.parametrize(
    ("key", "change", "line", "what"),
    [
        (CLEAN, without(1), None, "footer"),
        (CLEAN, doubled(1), 4, "row"),
        (CLEAN, with_value("_source_key", 1, OTHER), 4, "row"),
        (REJECTED, without(0), None, "footer"),
    ],
)
def test_damage_to_what_is_left_of_a_deleted_source(lake, key, change, line, what):
    lake.store.delete(KEY)
    lake.rewrite(key, change)
    assert lake.found(KEY) == [(key, None, "object")]  # it is not the version that the ledger has
    etags = [lake.store.stat(one).etag for one in (CLEAN, REJECTED)]
    lake.ledger.db.execute("UPDATE source SET clean_etag = ?, rejected_etag = ? WHERE source_key = ?", (*etags, KEY))
    assert lake.found(KEY) == [(key, line, what)]
    lake.store.delete(key)
    assert lake.found(KEY) == [(key, None, "object")]


def test_a_source_that_was_adopted_without_its_ledger(lake, tmp_path):
    lake.store.delete(KEY)
    lake.store.delete(STATUS)  # else its writer is waited for
    other = Lake(tmp_path / "again", lake.store)
    other.load()
    report = other.verify()
    assert (report.unverified, report.differences, report.files) == ({KEY: "missing"}, [], 3)
    other.ledger.close()


def test_another_fingerprint_is_no_difference(lake):
    changed = {name: replace(dataset, fingerprint="another") for name, dataset in DATASETS.items()}
    report = lake.verify(datasets=changed)
    assert report.differences == []
    assert report.reasons == {
        "stale: loaded under another fingerprint": 3,
        "stale: published under another fingerprint": len(DATASETS),
    }
    lake.store.delete(CLEAN)
    assert [one.key for one in lake.verify(datasets=changed).differences] == [CLEAN]


def test_what_changes_meanwhile_is_no_difference(lake):
    """The ledger is read as it was at the start; a source that has changed since is skipped, whatever it has now."""

    def load_others() -> None:
        lake.store.put(KEY, HEADER + b"9-Jan,Toys,North,1,1,1\n")
        lake.store.put(RAW + "companydata/new.csv", CONTENT)
        lake.load()

    lake.store.before[CLEAN] = load_others
    report = lake.verify()
    changed = {KEY: CHANGED, RAW + "companydata/new.csv": CHANGED}
    assert (report.files, report.unverified, report.differences) == (3, changed, [])
    assert lake.store.before == {}
    report = lake.verify()
    assert (report.files, report.unverified, report.differences) == (5, {}, [])


def test_a_source_that_is_written_to_while_it_is_read_is_skipped(lake):
    class Torn(LocalStore):
        @contextmanager
        def open(self, key: str):
            with super().open(key) as opened:
                yield opened
                if key == KEY:
                    raise ObjectChanged(key)

    report = verify(Torn(lake.store.root), lake.ledger, DATASETS, keys=[KEY])
    assert (report.files, report.unverified, report.differences) == (0, {KEY: CHANGED}, [])


def test_damage_is_named_although_another_source_changes(lake):
    lake.rewrite(clean_key(OTHER), with_value("Sold", 0, 9))
    lake.store.before[CLEAN] = lambda: lake.ledger.replay("source_key = ?", KEY)
    assert (clean_key(OTHER), 2, "Sold") in lake.found()


def test_published_may_lag_behind(lake):
    """The ledger is a change ahead of what is published, and a pipeline publishes it while we look."""
    lake.store.put(KEY, CONTENT)
    published = {key: lake.read(key) for key in (STATUS, LOADS)}
    lake.load()
    for key, content in published.items():
        lake.store.put(key, content)
    assert {one[0] for one in lake.found()} == {LOADS}  # times
    lake.store.before[STATUS] = lambda: Publisher(lake.store, lake.ledger, DATASETS).publish()
    report = lake.verify()
    assert (report.unverified, report.differences, lake.store.before) == ({}, [], {})


def test_what_is_published_of_a_ledger_that_changes_is_skipped(lake):
    lake.store.delete(LOADS)
    lake.store.before[STATUS] = lambda: lake.ledger.replay("source_key = ?", KEY)
    report = lake.verify()
    assert (report.unverified, report.differences) == ({"published/": "changing"}, [])


def test_sums_of_floats_over_many_blocks(lake):
    """Each member of a compressed file is a block of its own, and the sum of each block is rounded."""
    chance = random.Random(1)
    names = [field.name for field in DATASETS["orders"].contract.fields]
    rows = [
        f"{number},2026-01-31T00:00:00Z,Ann,,{chance.choice(['DE', 'PL'])},Pen,1,1,,{chance.uniform(0, 1e9)}"
        for number in range(1000)
    ]
    lines = [line.encode() + b"\n" for line in (",".join(names), *rows)]
    members = [zstd.compress(b"".join(lines[start : start + 30])) for start in range(0, 1001, 30)]
    lake.store.put(RAW + "orders/many.csv.zst", b"".join(members))
    lake.load()
    report = lake.verify()
    assert (report.rows, report.differences) == (1007, [])


def test_a_ledger_of_another_lake_is_refused(lake, tmp_path):
    other = Lake(tmp_path / "other", LocalStore(tmp_path / "other" / "lake"))
    with pytest.raises(SettingError, match="belongs to lake"):
        verify(lake.store, other.ledger, DATASETS)
    other.ledger.close()
    lake.store.put("published/lake.json", b"{}")
    assert lake.found(KEY) == [("published/lake.json", None, "object")]


def test_keys_that_are_nothing(lake):
    assert list(lake.verify(RAW + "companydata/notes.txt").unverified.values()) == ["ignored"]
    with pytest.raises(SettingError, match="there is no source companydata"):
        lake.verify(KEY, "companydata/a.csv")


@pytest.mark.parametrize("error", [StoreUnavailable, PermissionError])
def test_a_file_that_cannot_be_read_holds_up_nobody(lake, error):
    def refuse() -> None:
        raise error("no luck")

    lake.store.before[KEY] = refuse
    report = lake.verify()
    assert (report.unverified, report.files, report.differences) == ({KEY: "not readable: no luck"}, 3, [])
