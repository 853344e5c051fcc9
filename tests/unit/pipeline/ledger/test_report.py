"""Published status and summary, from ledgers that a long life has left behind."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event

import pyarrow as pa
import pytest

from lake.status import Executor, Latency, Status, Tables, WorkerState
from lake.stores.local import LocalStore
from pipeline.ledger import report
from pipeline.ledger.changes import switch_tables, write_built_anew
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.published import summary_table
from pipeline.model.load_record import LoadRecord
from pipeline.model.task import Result
from pipeline.service.lease import acquire_lease, release_lease
from pipeline.tables import tables as delta
from tests.support.versions import version


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    yield ledger
    ledger.close()


def load(ledger, name: str, *groups: dict, etag: str = "1") -> None:
    key = f"raw/numbers/{name}.csv"
    ledger.notice(version(etag, key), "event")
    [task] = ledger.take()
    record = LoadRecord(key, "numbers", etag, 1, "fingerprint", rows_kept=len(groups), share=list(groups))
    ledger.commit({task: Result(record, "clean", None)})


def group(name: object, **sums: float) -> dict:
    return {"group": {"name": name}, "rows": 1, "sums": sums}


@pytest.mark.parametrize("turn", range(4))
def test_a_status_may_be_made_while_files_are_loaded(ledger, monkeypatch, turn):
    """Files that were pending at the first query may be loaded at the next one, in several datasets."""
    ledger.start_run({"a": "fingerprint"})
    for name in "ab":
        ledger.notice(version("1", f"raw/{name}/{name}.csv"), "event")
    rows, turns = ledger.rows, count()

    def rows_meanwhile(query: str, *values: object):
        if next(turns) == turn:
            for [task] in ledger.take(), ledger.take():
                record = LoadRecord(task.source_key, task.dataset, "1", 1, "fingerprint")
                ledger.commit({task: Result(record, None, None)})
        return rows(query, *values)

    monkeypatch.setattr(ledger, "rows", rows_meanwhile)
    status = report.status(ledger)
    assert (status.files.pending, status.files.loaded) in ((0, 2), (2, 0))
    assert (status.backlog.oldest_at is None) == (status.files.pending == 0)


def test_a_status_of_datasets_and_folders_without_a_contract(ledger):
    ledger.start_run({"a": "fingerprint", "empty": "fingerprint"})
    for key in ("raw/a/1.csv", "raw/a/2.csv", "raw/b/1.csv", "raw/c/1.csv", "raw/notes.txt"):
        ledger.notice(version("1", key), "event")
    status = report.status(ledger)
    assert list(status.datasets) == ["a", "empty"]
    counts = [(one.files.pending, one.files.ignored) for one in (status, *status.datasets.values(), status.no_contract)]
    assert counts == [(4, 1), (2, 0), (0, 0), (2, 0)]
    assert (status.no_contract.folders, status.no_contract.names) == (2, ["b", "c"])
    assert status.backlog.bytes == 2 * status.datasets["a"].backlog.bytes > 0
    assert status.backlog.oldest_at is not None
    assert status.backlog.oldest_at == status.datasets["a"].backlog.oldest_at < status.no_contract.backlog.oldest_at
    assert status.model_validate_json(status.model_dump_json()) == status


def test_percentiles_are_over_the_newest_loads_found_by_event(ledger):
    ledger.start_run({"a": "fingerprint"})
    for number in range(100):
        key = f"raw/{'ab'[number % 2]}/{number}.csv"
        ledger.notice(version("1", key), "sweep" if number >= 90 else "event")
        [task] = ledger.take()
        ledger.commit({task: Result(LoadRecord(key, task.dataset, "1", 1, "fingerprint"), "clean", None)})
    ledger.db.execute("UPDATE history SET loaded_at = landed_at + 1000 * id")
    status = report.status(ledger)
    assert status.latency_ms == Latency(p50=46, p95=86, p99=90)
    assert status.datasets["a"].latency_ms == Latency(p50=45, p95=85, p99=89)
    assert status.no_contract.latency_ms == Latency(p50=46, p95=86, p99=90)


def test_the_executor_is_that_of_the_pipeline_that_has_the_lease(ledger, tmp_path):
    workers = [WorkerState(name="7", version="0.2.0", loads=1, files=["raw/a/1.csv"], since=datetime.now(UTC))]
    executor = Executor(kind="processes", workers=workers)
    store = LocalStore(tmp_path / "lake")
    acquire_lease(store, ledger, Event())
    ledger.set(report.EXECUTOR, executor.model_dump_json())
    status = report.status(ledger)
    assert status.executor == executor
    assert status.model_validate_json(status.model_dump_json()) == status

    acquire_lease(store, ledger, Event())  # after a kill
    assert report.status(ledger).executor is None
    ledger.set(report.EXECUTOR, executor.model_dump_json())
    release_lease(ledger)
    assert report.status(ledger).executor is None
    ledger.set(report.EXECUTOR, executor.model_dump_json())  # by a publisher that did not end in time
    assert report.status(ledger).executor is None


def test_a_status_of_an_older_pipeline_has_no_executor(ledger):
    older = report.status(ledger).model_dump(mode="json", exclude={"executor"})
    assert Status.model_validate(older) == report.status(ledger)
    assert Status.model_validate(older).executor is None


def test_how_far_tables_are_behind(ledger, tmp_path, write_dataset):
    dataset = write_dataset()
    ledger.start_run({"numbers": dataset.fingerprint, "without": "fingerprint"})
    store = LocalStore(tmp_path / "lake")
    tables = delta.Tables(store, ledger, {"numbers": dataset}, tmp_path, keep=7)
    load(ledger, "a")
    status = report.status(ledger)
    assert [status.tables, *(part.tables for part in status.datasets.values())] == [None] * 3
    assert status.model_validate_json(status.model_dump_json()) == status

    tables.update(Event())
    status = report.status(ledger)
    assert status.tables == status.datasets["numbers"].tables == Tables()
    assert status.datasets["without"].tables is status.no_contract.tables is None

    before = datetime.now(UTC)
    for name in "bcd":
        load(ledger, name)
    ledger.db.execute("UPDATE source SET changed_at = changed_at + 1000000 WHERE source_key <> 'raw/numbers/b.csv'")
    status = report.status(ledger)
    assert status.tables == status.datasets["numbers"].tables
    assert status.tables.files == 3
    assert timedelta() <= status.tables.oldest_at - before < timedelta(seconds=1)
    assert status.model_validate_json(status.model_dump_json()) == status

    load(ledger, "b", etag="2")  # replaced: the oldest that is lacking is another one now
    assert report.status(ledger).tables.oldest_at > status.tables.oldest_at
    tables.update(Event())
    assert report.status(ledger).tables == Tables()

    write_built_anew(ledger, "tables/clean/numbers/", "it is missing")
    [event] = report.status(ledger).tables.built_anew
    assert (event.table, event.reason) == ("tables/clean/numbers/", "it is missing")
    assert timedelta() <= event.at - before < timedelta(minutes=1)
    ledger.db.execute("DELETE FROM meta WHERE name LIKE 'tables/clean/numbers/%new'")

    load(ledger, "c", etag="2")
    switch_tables(ledger, on=False)
    status = report.status(ledger)
    assert status.tables == status.datasets["numbers"].tables == Tables(off=True)
    asked: list[str] = []
    ledger.db.set_trace_callback(asked.append)
    report.status(ledger)
    report.loads_metadata(ledger)
    assert asked
    assert not [query for query in asked if "position >" in query], "what tables lack that are off is not counted"
    assert status.datasets["without"].tables is None
    switch_tables(ledger, on=True)
    assert report.status(ledger).tables.files == 1


def test_the_tables_of_several_datasets_are_added_up(ledger, monkeypatch):
    ledger.start_run({"a": "fingerprint", "b": "fingerprint", "c": "fingerprint"})
    lacking = {"a": (2, 2_000_000), "b": (1, 1_000_000), "c": None}
    monkeypatch.setattr(report, "has_tables", lambda _, dataset: bool(lacking[dataset]))
    monkeypatch.setattr(report, "behind", lambda _, dataset: lacking[dataset])
    status = report.status(ledger)
    assert status.tables == Tables(files=3, oldest_at=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert status.datasets["a"].tables.files == 2
    assert status.datasets["c"].tables is None


def test_a_merged_sum_beyond_its_type_is_null_and_stops_nothing(ledger, write_dataset):
    for name in "ab":
        load(ledger, name, group("x", n=9 * 10**18, x=1.7e308), group("y", n=1, x=0.5))
    rows = summary_table(ledger, write_dataset()).to_pylist()
    assert rows == [{"name": "x", "rows": 2, "n": None, "x": None}, {"name": "y", "rows": 2, "n": 2, "x": 1.0}]


def test_groups_of_a_contract_before_are_kept_as_far_as_they_fit(ledger, write_dataset):
    load(ledger, "a", group("7", n=1), group("q", n=2))
    dataset = write_dataset(summary={"groupBy": ["n"], "sum": ["x"]})
    assert summary_table(ledger, dataset).to_pylist() == [{"n": None, "rows": 2, "x": 0.0}]
    schema = dataset.schema.set(0, dataset.schema.field("name").with_type(pa.int64()))
    retyped = replace(write_dataset(), schema=schema)
    assert [row["name"] for row in summary_table(ledger, retyped).to_pylist()] == [7, None]


def test_a_contract_without_a_summary_counts_rows(ledger, loads, write_dataset):
    dataset = write_dataset(summary={})
    record = loads(dataset, b"name,n,x\na,1,1\nb,2,2\n").record
    assert record.share == [{"group": {}, "rows": 2, "sums": {}}]
    load(ledger, "a", *record.share)
    assert summary_table(ledger, dataset).to_pylist() == [{"rows": 2}]


def test_names_of_fields_cannot_mix_up_sums(loads, write_dataset):
    fields = [{"name": "n", "type": "integer"}, {"name": "n_sum", "type": "integer"}, {"name": "count_all"}]
    dataset = write_dataset(schema={"fields": fields}, summary={"groupBy": ["n_sum", "count_all"], "sum": ["n"]})
    record = loads(dataset, b"n,n_sum,count_all\n1,5,a\n2,5,a\n").record
    assert record.share == [{"group": {"n_sum": 5, "count_all": "a"}, "rows": 2, "sums": {"n": 3}}]
