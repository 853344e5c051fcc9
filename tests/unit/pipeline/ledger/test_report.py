"""What is published, from ledgers that a long life has left behind."""

from dataclasses import replace

import pyarrow as pa
import pytest

from pipeline.ledger import report
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.published import summary_table
from pipeline.model.load_record import LoadRecord
from pipeline.model.task import Result
from tests.support.versions import version


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    yield ledger
    ledger.close()


def load(ledger, name: str, *groups: dict) -> None:
    key = f"raw/numbers/{name}.csv"
    ledger.notice(version("1", key), "event")
    [task] = ledger.take()
    record = LoadRecord(key, "numbers", "1", 1, "fingerprint", rows_kept=len(groups), share=list(groups))
    ledger.commit({task: Result(record, "clean", None)})


def group(name: object, **sums: float) -> dict:
    return {"group": {"name": name}, "rows": 1, "sums": sums}


def test_a_status_may_be_made_while_files_are_loaded(ledger, monkeypatch):
    """What still waited at the first look may be loaded at the next one, in several datasets."""
    for name in "ab":
        ledger.notice(version("1", f"raw/{name}/{name}.csv"), "event")
    rows = ledger.rows

    def rows_meanwhile(query: str, *values: object):
        if "min(landed_at)" in query:
            for task in ledger.take(), ledger.take():
                results = {
                    one: Result(LoadRecord(one.source_key, one.dataset, "1", 1, "fingerprint"), None, None)
                    for one in task
                }
                ledger.commit(results)
        return rows(query, *values)

    monkeypatch.setattr(ledger, "rows", rows_meanwhile)
    assert report.status(ledger)["backlog"]["oldest_at"] is None


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
