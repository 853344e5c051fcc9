"""Loads that were given up and go on later: they replace nothing newer, and whatever they left is put right."""

import os
import time
from collections.abc import Iterator

import pytest

from lake.layout import clean_key, rejected_key
from lake.stores.base import PutRefused
from lake.stores.users import User, prepare
from pipeline.load.load import load
from pipeline.model.task import Result, Task
from pipeline.service.fencing import know_outputs
from pipeline.service.outcomes import Origin, record_outcomes
from tests.support.lake import Lake, company_csv
from tests.support.scripted import Scripted
from tests.support.truth import BAD_ROWS, SPOILT, assert_true

A, B, C = company_csv(1), company_csv(2) + BAD_ROWS, company_csv(3, rows=30)
KEY = "raw/companydata/a.csv"


def scripted(lake: Lake) -> Iterator[Scripted]:
    """Yield a pipeline to move by hand; at the end a sweep finds no more to do, and the truth holds."""
    told = Scripted(lake)
    yield told
    assert told.sweep() == 0, "the sweep found something that was left to do"
    told.publish()
    assert_true(lake, told.gone)


@pytest.fixture
def told(lake: Lake) -> Iterator[Scripted]:
    yield from scripted(lake)


@pytest.fixture
def fenced(bucket_lake: Lake) -> Iterator[Scripted]:
    yield from scripted(bucket_lake)


def load_version(told: Scripted, content: bytes) -> None:
    told.hear(told.put(content))
    told.work()


def take(told: Scripted) -> list[Task]:
    """Take the waiting tasks, as to a worker that is given up later."""
    batch, errors = know_outputs(told.store, told.ledger.take())
    assert not errors
    return batch


def finish(told: Scripted, batch: list[Task]) -> Result | Exception:
    """Load a batch of one file that was given away."""
    [outcome] = load(told.store, told.pipeline.datasets, told.pipeline.staging, batch)
    return outcome


def attempts(told: Scripted) -> int:
    [row] = told.ledger.rows("SELECT attempts FROM source")
    return row["attempts"]


@pytest.mark.needs_engine
@pytest.mark.parametrize("before", [None, A, B], ids=["first", "again", "with rejects"])
def test_a_load_that_was_given_up_replaces_nothing_newer(fenced, before):
    if before:
        load_version(fenced, before)
    fenced.hear(fenced.put(company_csv(4) + BAD_ROWS))
    frozen = take(fenced)
    fenced.ledger.count_deaths(frozen, "did not answer")
    load_version(fenced, C + BAD_ROWS)
    newest = fenced.lake.outputs()
    fenced.put(company_csv(5) + BAD_ROWS)  # what the frozen worker reads when it goes on
    assert isinstance(finish(fenced, frozen), PutRefused)
    assert fenced.lake.outputs() == newest
    load_version(fenced, company_csv(5) + BAD_ROWS)


@pytest.mark.needs_engine
@pytest.mark.parametrize("output", [clean_key, rejected_key])
def test_a_refused_put_is_told_once_and_counted_nowhere(fenced, caplog, output):
    load_version(fenced, B)
    fenced.store.when_opened[KEY] = lambda: fenced.lake.store.put(output(KEY), b"of another attempt")
    load_version(fenced, C + BAD_ROWS)
    [refused] = [record.getMessage() for record in caplog.records if "put refused" in record.getMessage()]
    assert f"key={output(KEY)}" in refused
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert (fenced.loads(), attempts(fenced)) == (2, 1)


@pytest.mark.needs_engine
@pytest.mark.parametrize("ended", ["died", "was given up"])
def test_what_an_interrupted_attempt_has_put_is_in_nobodys_way(fenced, caplog, ended):
    load_version(fenced, A)
    fenced.hear(fenced.put(B))
    batch = take(fenced)
    assert isinstance(finish(fenced, batch), Result)  # and then there is no commit
    if ended == "died":
        fenced.ledger.start_run({name: dataset.fingerprint for name, dataset in fenced.pipeline.datasets.items()})
    else:
        fenced.ledger.count_deaths(batch, "did not answer")
    fenced.work()
    assert fenced.loads() == 2
    assert "put refused" not in caplog.text


@pytest.mark.parametrize("then", ["corrected", "refused"])
def test_the_service_removes_what_a_result_no_longer_has(told, then):
    load_version(told, B)
    load_version(told, A if then == "corrected" else SPOILT)
    gone, there = (rejected_key, clean_key) if then == "corrected" else (clean_key, rejected_key)
    assert list(told.lake.outputs()) == [there(KEY)]
    load_version(told, B)
    assert {*told.lake.outputs()} == {gone(KEY), there(KEY)}


def test_nothing_is_deleted_where_the_ledger_knows_that_nothing_is_there(told):
    deleted, delete = [], told.store.delete
    told.store.delete = lambda key: deleted.append(key) or delete(key)
    told.sweep()
    for content in (A, C, B):
        load_version(told, content)
    assert deleted == []
    load_version(told, A)
    assert deleted == [rejected_key(KEY)]


@pytest.mark.needs_engine
def test_a_delete_that_is_refused_is_an_error_of_its_file_alone(minio, fenced, caplog, monkeypatch):
    """The other results of the batch are committed; the attempts of this file are counted."""
    real = fenced.lake.store
    load_version(fenced, B)
    keys = minio.user_without("s3:DeleteObject", real.bucket)
    denied = real.as_user(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
    fenced.store.delete = lambda key: (denied if key == rejected_key(KEY) else real).delete(key)
    monkeypatch.setattr("random.uniform", lambda *_: 0.0)  # it is tried again at once
    fenced.hear(fenced.put(A), fenced.put(C, "companydata/c.csv"))
    fenced.work()
    assert (fenced.status(), fenced.status("companydata/c.csv")) == ("failed", "loaded")
    assert f"refuses '{rejected_key(KEY)}'" in caplog.text
    del fenced.store.delete
    fenced.ledger.replay("TRUE")
    fenced.work()


@pytest.mark.needs_engine
def test_the_store_is_asked_only_for_outputs_that_the_ledger_does_not_know(fenced):
    asked, stat = [], fenced.store.stat
    fenced.store.stat = lambda key: asked.append(key) or stat(key)
    fenced.sweep()
    for number in range(20):
        fenced.put(B if number % 2 else A, f"companydata/{number}.csv")
    assert fenced.sweep() == 20
    fenced.work()
    fenced.ledger.replay("TRUE")
    fenced.work()
    assert (fenced.loads(), asked) == (40, [])
    fenced.ledger.replay("source_key = ?", "raw/companydata/1.csv")
    fenced.ledger.release(*fenced.ledger.take())
    fenced.work()
    assert sorted(asked) == [key("raw/companydata/1.csv") for key in (clean_key, rejected_key)]


@pytest.mark.needs_engine
def test_a_stat_that_the_store_refuses_is_an_error_of_its_file(fenced, caplog):
    load_version(fenced, A)
    fenced.ledger.replay("TRUE")
    fenced.ledger.release(*fenced.ledger.take())

    def refuse(key: str) -> None:
        raise PermissionError(f"{key} is refused")

    fenced.store.stat = refuse
    fenced.work()
    assert (fenced.status(), attempts(fenced)) == ("failed", 1)
    assert f"{clean_key(KEY)} is refused" in caplog.text
    del fenced.store.stat
    fenced.ledger.replay("TRUE")
    fenced.work()


@pytest.mark.needs_engine
def test_a_load_needs_no_right_to_delete_or_to_look_at_outputs(fenced):
    """The rights of a worker of a cluster are enough for a load, whatever it replaces."""
    user = User("worker", f"worker-{os.getpid()}", "secret-of-a-test")
    prepare(fenced.lake.store, [user])
    worker = fenced.lake.store.as_user(user.access_key, user.secret_key)
    for content in (B, C, SPOILT, C + BAD_ROWS):
        fenced.hear(fenced.put(content))
        [task], began = take(fenced), time.monotonic()
        [outcome] = load(worker, fenced.pipeline.datasets, fenced.pipeline.staging, [task])
        assert isinstance(outcome, Result), outcome
        record_outcomes(fenced.pipeline, {task: outcome}, Origin("worker", began))
