"""Promises of executors: the same outcome in every process, which can be sent, by the contracts that were taken up."""

import errno
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import StoreFull, StoreUnavailable
from lake.status import Executor
from lake.stores.base import ObjectChanged, PutRefused
from pipeline.dataset.dataset import fingerprint, read_datasets
from pipeline.dataset.definition import read_definitions
from pipeline.load.load import load
from pipeline.model.task import NO_CONTRACT, BeingWritten, NotReady, Result, Skipped, SourceGone, Task
from pipeline.readers.base import Limits
from pipeline.service import executor as executors
from pipeline.service.executor import BatchSettings, InlineExecutor, LoadFailed, load_batch, opened, portable
from tests.support.loads import NUMBERS

KNOWN_ERRORS = [
    SourceGone("a"),
    Skipped(),
    NotReady("a"),
    BeingWritten("a"),
    ObjectChanged("a"),
    PutRefused("a"),
    StoreUnavailable("bucket a: no answer"),
    StoreFull("bucket a: full"),
    PermissionError("a is refused"),
    OSError(errno.ENOSPC, "No space left on device"),
]


@pytest.fixture
def settings(loads, tmp_path) -> BatchSettings:
    """The settings of a lake with two datasets, of which each file is loaded the same."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    for name in ("numbers", "others"):
        (folder / f"{name}.json").write_text(json.dumps(NUMBERS | {"name": name}))
    opened.cache_clear()
    return BatchSettings(str(tmp_path / "lake"), (), Limits(), loads.staging, tuple(read_definitions(folder)))


def tasks_of(loads, content: bytes, *datasets: str) -> list[Task]:
    tasks = []
    for name in datasets:
        key = f"raw/{name}/a.csv"
        tasks.append(Task(key, name, loads.store.put(key, content), "event", 0, 0))
    return tasks


@pytest.mark.parametrize("content", [b"name,n,x\na,1,1\n", b"name,n,x\na,1,1\na bad row\n", b"", b"\xff\xfe\0"])
def test_the_outcome_is_that_of_a_load(loads, settings, tmp_path, content):
    batch = tasks_of(loads, content, "numbers", "others", "unknown")
    outcomes = pickle.loads(pickle.dumps(load_batch(settings, batch)))
    expected = load(loads.store, read_datasets(tmp_path / "datasets"), loads.staging, batch)
    assert [outcome.record for outcome in outcomes] == [outcome.record for outcome in expected]
    assert [outcome.record.dataset for outcome in outcomes] == ["numbers", "others", "unknown"]


@pytest.mark.parametrize("edit", ["change", "break", "remove", "transform"])
def test_a_load_goes_by_what_was_taken_up_whatever_is_in_the_folder_now(loads, settings, tmp_path, edit):
    path = tmp_path / "datasets/numbers.json"
    if edit == "change":
        path.write_text(path.read_text() + "\n")
    elif edit == "break":
        path.write_text("{")
    elif edit == "remove":
        path.unlink()
    else:
        path.with_suffix(".py").write_text("def transform(frame):\n    return frame\n")
    outcomes = load_batch(settings, tasks_of(loads, b"name,n,x\na,1,1\n", "numbers", "others"))
    known = {one.name: fingerprint(one, settings.limits) for one in settings.definitions}
    assert {one.record.dataset: one.record.fingerprint for one in outcomes} == known


def test_a_dataset_that_cannot_be_made_in_this_process_waits_and_says_why(loads, settings):
    numbers, others = settings.definitions
    settings = replace(settings, definitions=(replace(numbers, transform=b"open('/gone')"), others))
    waits, outcome = load_batch(settings, tasks_of(loads, b"name,n,x\na,1,1\n", "numbers", "others"))
    assert type(waits) is NotReady
    assert "numbers.py: expected a function transform(frame): FileNotFoundError" in str(waits)
    assert isinstance(outcome, Result)


def test_a_contract_that_was_not_taken_up_is_none(loads, settings, tmp_path):
    (tmp_path / "datasets/new.json").write_text(json.dumps(NUMBERS | {"name": "new"}))
    [outcome] = load_batch(settings, tasks_of(loads, b"name,n,x\na,1,1\n", "new"))
    assert (outcome.record.status, outcome.record.fingerprint) == ("refused", NO_CONTRACT)


def test_store_and_datasets_are_opened_once(loads, settings, tmp_path, monkeypatch):
    batch = tasks_of(loads, b"name,n,x\na,1,1\n", "numbers")
    load_batch(settings, batch)
    monkeypatch.setattr("lake.stores.open_store", None)
    for path in (tmp_path / "datasets").iterdir():
        path.unlink()
    assert isinstance(load_batch(settings, batch)[0], Result)


@pytest.mark.parametrize("error", KNOWN_ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_that_the_service_acts_on_keeps_its_kind(error):
    for outcome in (portable(error), portable(type("Special", (type(error),), {})(*error.args))):
        sent = pickle.loads(pickle.dumps(outcome))
        assert (type(sent), str(sent)) == (type(error), str(error))
        assert getattr(sent, "errno", None) == getattr(error, "errno", None)


@pytest.mark.parametrize("cause", [StoreFull("full"), OSError(errno.EDQUOT, "Quota exceeded", "a")])
def test_a_lack_of_room_is_known_behind_other_errors(cause):
    error = ValueError("not written")
    error.__cause__ = cause
    sent = pickle.loads(pickle.dumps(portable(error)))
    assert (type(sent), str(sent)) == (type(cause), str(cause))


class Unpicklable(Exception):
    """Error that cannot be made again from its pickle."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def test_another_error_is_sent_as_text_with_its_traceback():
    try:
        raise Unpicklable("un", "picklable")
    except Unpicklable as error:
        sent = pickle.loads(pickle.dumps(portable(error)))
    assert (type(sent), str(sent)) == (LoadFailed, "Unpicklable: unpicklable")
    assert f'File "{Path(__file__)}"' in sent.__notes__[0]


def test_the_main_thread_describes_what_it_loads_now(loads, monkeypatch):
    """Of many files the description names a few. A debugger may stop the thread there for minutes."""
    executor, seen = InlineExecutor(loads.store, {}, loads.staging), []

    def look(store, datasets, staging, batch):
        seen.append(executor.describe())
        return load(store, datasets, staging, batch)

    monkeypatch.setattr(executors, "load", look)
    batch = tasks_of(loads, b"name\n", "a", "b", "c", "d")
    result = executor.load(batch)
    assert (len(result.outcomes), result.worker) == (4, str(os.getpid()))
    [[worker]] = [description.workers for description in seen]
    assert (worker.name, worker.loads, worker.files) == (result.worker, 4, [task.source_key for task in batch[:3]])
    assert worker.since
    idle = worker.model_copy(update={"loads": 0, "files": [], "since": None})
    assert executor.describe() == Executor(kind="main thread", workers=[idle])
