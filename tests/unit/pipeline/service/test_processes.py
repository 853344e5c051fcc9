"""The processes that load: their end costs their own batch alone, they are replaced, and they end with the pipeline."""

import importlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Timer

import pytest

from common.errors import SettingError
from lake.status import Executor
from pipeline.dataset.definition import Definition, read_definitions
from pipeline.ledger.ledger import Ledger
from pipeline.model.task import SourceGone, Task
from pipeline.readers.base import Limits
from pipeline.readers.formats import SMALL
from pipeline.service import fork_server, processes
from pipeline.service.context import Pipeline
from pipeline.service.executor import (
    BatchLost,
    BatchSettings,
    ExecutorClosed,
    LoadFailed,
    Outcomes,
    TaskBatch,
    load_batch,
)
from pipeline.service.processes import ProcessExecutor
from pipeline.service.state_folder import LOCK_SECONDS, lock_state_folder
from pipeline.service.workers import process
from tests.support.minio_server import until
from tests.support.program import is_there

TASK = Task("raw/companydata/a.csv", "companydata", "etag", "event", 0, 0)
BATCH = [TASK, replace(TASK, source_key="raw/companydata/b.csv")]

Load = Callable[[BatchSettings, TaskBatch], Outcomes]


def gone(_: BatchSettings, batch: TaskBatch) -> Outcomes:
    return [SourceGone(str(os.getpid())) for _ in batch]


def die(_: BatchSettings, __: TaskBatch) -> Outcomes:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def abort(_: BatchSettings, __: TaskBatch) -> Outcomes:
    os.abort()


def leave(_: BatchSettings, __: TaskBatch) -> Outcomes:
    os._exit(3)


def leave_quietly(_: BatchSettings, __: TaskBatch) -> Outcomes:
    sys.exit()


def hang(settings: BatchSettings, _: TaskBatch) -> Outcomes:
    (settings.staging / "begun").touch()
    Event().wait()
    raise AssertionError


def hang_together(settings: BatchSettings, batch: TaskBatch) -> Outcomes:
    return hang(settings, batch) if len(batch) > 1 else gone(settings, batch)


def fail(_: BatchSettings, __: TaskBatch) -> Outcomes:
    raise ZeroDivisionError("by zero")


def unsendable(_: BatchSettings, batch: TaskBatch) -> Outcomes:
    return [Event() for _ in batch]


@pytest.fixture
def settings(tmp_path) -> BatchSettings:
    staging = tmp_path / "state/staging"
    staging.mkdir(parents=True)
    return BatchSettings(str(tmp_path / "lake"), (), Limits(), staging, ())


@pytest.fixture
def start(monkeypatch, settings) -> Iterator[Callable[..., ProcessExecutor]]:
    """Start an executor with one process that loads by some function."""
    executors: list[ProcessExecutor] = []

    def start(load: Load, settings: BatchSettings = settings, seconds: float = 0.0) -> ProcessExecutor:
        monkeypatch.setattr(processes, "load_batch", load)
        executors.append(ProcessExecutor(settings, 1, seconds))
        return executors[-1]

    yield start
    for executor in executors:
        executor.close()


def pid_of(executor: ProcessExecutor) -> int:
    """Return the process of the one slot, once there is one."""
    return until(lambda: executor._slots[0]._process and executor._slots[0]._process.pid)


def test_one_process_loads_batch_after_batch(start):
    executor = start(gone)
    pid = str(pid_of(executor))
    loads = [executor.load(BATCH), executor.load([TASK])]
    assert [len(each.outcomes) for each in loads] == [2, 1]
    assert {(type(outcome), str(outcome)) for each in loads for outcome in each.outcomes} == {(SourceGone, pid)}
    assert [each.worker for each in loads] == [pid, pid]


@pytest.mark.parametrize(
    ("load", "message"), [(fail, "ZeroDivisionError: by zero"), (unsendable, "the outcome cannot be sent")]
)
def test_an_error_of_a_whole_batch_is_the_outcome_of_each_file(start, load, message):
    executor = start(load)
    for _ in range(2):
        outcomes = executor.load(BATCH).outcomes
        assert [type(outcome) for outcome in outcomes] == [LoadFailed, LoadFailed]
        assert str(outcomes[0]).startswith(message)


@pytest.mark.parametrize(
    ("load", "how"),
    [
        (die, "was ended by SIGKILL (is memory short?)"),
        (abort, "was ended by SIGABRT"),
        (leave, "ended with exit code 3"),
        (leave_quietly, "ended with exit code 0"),
    ],
)
def test_a_process_that_ends_is_named_and_replaced(start, caplog, load, how):
    executor = start(load)
    pids = set()
    for _ in range(2):
        with pytest.raises(BatchLost, match=f"^{re.escape(how)}$"):
            executor.load([TASK])
        pid = executor._slots[0].pid
        assert caplog.messages[-1].startswith(f"process lost keys={TASK.source_key} worker={pid} ")
        assert not is_there(pid)
        pids.add(pid)
    assert len(pids) == 2


def test_a_process_that_ended_while_it_was_idle_is_replaced_first(start):
    """The end of an idle process is no fault of the files that come next."""
    executor = start(gone)
    executor.load([TASK])
    pid = pid_of(executor)
    os.kill(pid, signal.SIGKILL)
    until(executor._slots[0].has_ended)
    assert type(executor.load([TASK]).outcomes[0]) is SourceGone
    assert pid_of(executor) != pid


def test_a_batch_that_hangs_is_ended(start, monkeypatch):
    monkeypatch.setattr(processes, "BATCH_SECONDS", 0.5)
    executor = start(hang_together)
    pid = pid_of(executor)
    with pytest.raises(BatchLost, match="took longer than 0 s and was ended"):
        executor.load(BATCH)
    assert not is_there(pid)
    assert [str(outcome) for outcome in executor.load([TASK]).outcomes] == [str(pid_of(executor))]


@pytest.mark.parametrize("size", [0, 1 << 30])
def test_a_file_by_itself_has_a_limit_of_its_own(start, size):
    """The limit is longer for a large file."""
    seconds = 0.2
    executor = start(hang, seconds=seconds)
    assert executor._limit([replace(TASK, size=size)]) == pytest.approx(seconds * (11 if size else 1))
    with pytest.raises(BatchLost, match="took longer than"):
        executor.load([TASK])
    assert start(hang)._limit([TASK]) is None


def test_a_batch_that_hangs_is_described_and_ends_with_the_executor(start, settings):
    executor, began = start(hang), datetime.now(UTC)
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(executor.load, BATCH)
        until((settings.staging / "begun").exists)
        pid = pid_of(executor)
        [worker] = executor.describe().workers
        assert (worker.name, worker.loads, worker.files) == (str(pid), 2, [task.source_key for task in BATCH])
        assert began <= worker.since <= datetime.now(UTC)
        executor.close()
        assert isinstance(batch.exception(), ExecutorClosed)
    assert not is_there(pid)


def test_a_process_with_other_datasets_replaces_one_that_has_ended_its_batch(start, settings):
    executor = start(hang)
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(executor.load, [TASK])
        until((settings.staging / "begun").exists)
        pid = pid_of(executor)
        executor.renew([Definition(Path("numbers.json"), b"{")], {})
        assert pid_of(executor) == pid
        os.kill(pid, signal.SIGKILL)
        assert isinstance(batch.exception(), BatchLost)
    executor = start(definitions)
    executor.load([TASK])
    executor.renew([Definition(Path("numbers.json"), b"{")], {})
    assert str(executor.load([TASK]).outcomes[0]) == "numbers"


def definitions(settings: BatchSettings, batch: TaskBatch) -> Outcomes:
    return [SourceGone(" ".join(one.name for one in settings.definitions))] * len(batch)


def test_a_process_that_is_stopped_ends_with_the_executor(start):
    executor = start(gone)
    executor.load([TASK])
    pid = pid_of(executor)
    os.kill(pid, signal.SIGSTOP)
    executor.close()
    assert not is_there(pid)


def test_a_process_that_does_not_start_is_no_fault_of_the_file(start, settings, caplog):
    (settings.staging.parent / "workers.lock").mkdir()  # so it cannot share the lock
    executor = start(gone)
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(executor.load, [TASK])
        until(lambda: "no process " in caplog.text)
        assert executor.describe() == Executor(kind="processes", state=processes.NO_PROCESS)
        (settings.staging.parent / "workers.lock").rmdir()
        assert type(batch.result(30).outcomes[0]) is SourceGone
    assert executor.describe().state == ""


def test_what_asks_the_pipeline_to_end_does_not_end_its_processes(start):
    """Ctrl-C and the end of a service go to every process of a group."""
    executor = start(gone)
    executor.load([TASK])
    pid = pid_of(executor)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    time.sleep(0.2)
    assert [str(outcome) for outcome in executor.load([TASK]).outcomes] == [str(pid)]


def test_processes_hold_the_state_folder_of_a_pipeline_that_was_killed(start, settings):
    """Its own lock is gone then: the next pipeline waits as long as they need to end."""
    executor = start(gone)
    executor.load([TASK])
    with pytest.raises(SettingError, match="another pipeline"), lock_state_folder(settings.staging.parent):
        pass
    timer = Timer(LOCK_SECONDS / 4, executor.close)
    timer.start()
    with lock_state_folder(settings.staging.parent):
        timer.join()


def test_a_batch_that_is_cut_off_at_the_end_is_not_loaded_again(start, settings, loads, tmp_path):
    """The ledger has released it by then, and a put now could replace one of the next pipeline's."""
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        loads.store.put(loads.key, b"of no contract, so a load would put why it is refused")
        ledger.notice(loads.store.stat(loads.key), "event")
        pipeline = Pipeline(loads.store, ledger, {}, loads.staging, executor=start(hang))
        with ThreadPoolExecutor(1) as pool:
            batch = pool.submit(process, pipeline, ledger.take())
            until((settings.staging / "begun").exists)
            pipeline.executor.close()
            batch.result()
        [row] = ledger.rows("SELECT status, in_flight, attempts FROM source")
        assert tuple(row) == ("pending", 1, 0)
    assert list(loads.store.list("rejected/")) == []


ABORT = """
import os

def transform(frame):
    if "deadly" in set(frame["name"]):
        os.abort()
    return frame
"""


@pytest.mark.parametrize("large", [False, True])
def test_a_file_that_ends_what_loads_it_fails_with_the_signal_s_name(
    start, settings, loads, write_dataset, tmp_path, large
):
    """The others of its batch are loaded; and a large one, which is a batch of its own from the first."""
    write_dataset()
    (tmp_path / "datasets/numbers.py").write_text(ABORT)
    dataset = write_dataset()
    definitions = tuple(read_definitions(tmp_path / "datasets"))
    settings = replace(settings, lake=str(loads.store.url), definitions=definitions)
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.start_run({"numbers": dataset.fingerprint})
        for name in ("a", "deadly", "b"):
            more = b"x,1,1\n" * (SMALL // 6 if large and name == "deadly" else 1)
            loads.store.put(f"raw/numbers/{name}.csv", b"name,n,x\n" + f"{name},1,1\n".encode() + more)
            ledger.notice(loads.store.stat(f"raw/numbers/{name}.csv"), "event")
        executor = start(load_batch, settings)
        pipeline = Pipeline(loads.store, ledger, {"numbers": dataset}, loads.staging, executor=executor)
        while batch := ledger.take(1, {"numbers": 0.0}):
            process(pipeline, batch)
        rows = ledger.rows("SELECT source_key, status, deaths, error FROM source ORDER BY source_key")
    message = "the process that loaded this file and no other was ended by SIGABRT, 3 times"
    assert [tuple(row) for row in rows] == [
        ("raw/numbers/a.csv", "loaded", 0, None),
        ("raw/numbers/b.csv", "loaded", 0, None),
        ("raw/numbers/deadly.csv", "failed", 3, message),
    ]


def test_the_fork_server_is_there_before_it_is_needed():
    fork_server.start_fork_server()
    assert all(Path(name.replace(".", "/")).with_suffix(".py").exists() for name in fork_server.PRELOAD if "." in name)


def hang_at_the_first_start(settings: BatchSettings) -> None:
    mark = settings.staging / "hung"
    if not mark.exists():
        mark.touch()
        Event().wait()
    processes.start_process(settings)  # in the worker this is the real one


def test_a_process_that_hangs_over_its_start_is_replaced(start, monkeypatch, caplog):
    monkeypatch.setattr(processes, "START_SECONDS", 1.0)
    monkeypatch.setattr(processes, "EXIT_SECONDS", 0.1)
    monkeypatch.setattr(processes, "start_process", hang_at_the_first_start)
    assert type(start(gone).load([TASK]).outcomes[0]) is SourceGone
    assert "no process" in caplog.text


def test_a_pipeline_that_a_setting_keeps_from_its_start_leaves_the_fork_server_of_use(start, monkeypatch, tmp_path):
    for name, value in {"LAKE_URL": str(tmp_path / "lake"), "PIPELINE_STATE": "/dev/null/x"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match="PIPELINE_STATE"):
        importlib.import_module("pipeline.__main__").app(["run"], standalone_mode=False)
    assert type(start(gone).load([TASK]).outcomes[0]) is SourceGone
