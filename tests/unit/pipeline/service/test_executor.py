"""Small files on every core: the same outcome wherever they are loaded, and none where a process beside gives none."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

from common.errors import StoreUnavailable
from lake.stores.base import ObjectChanged
from pipeline.ledger.ledger import Ledger
from pipeline.load.load import load
from pipeline.model.task import Outcome, Skipped, SourceGone, Task
from pipeline.readers import SMALL
from pipeline.service.context import Pipeline
from pipeline.service.executor import PER_CORE, Closed, Cores, Died, Tasks, processes
from pipeline.service.workers import process
from tests.support.minio_server import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are no processes beside elsewhere")

TASK = Task("raw/companydata/a.csv", "companydata", "etag", "event", 0, 0)

ERRORS = [
    SourceGone("a"),
    Skipped(),
    ObjectChanged("a"),
    StoreUnavailable("bucket a: no answer"),
    PermissionError("a is refused"),
]


@pytest.fixture
def cores() -> Iterator[Callable[..., Cores]]:
    """Begin with one process beside, which ends with the test."""
    begun: list[Cores] = []

    def begin(load: Callable[[Tasks], list[Outcome | Exception]]) -> Cores:
        begun.append(Cores(1, load))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def process_of(cores: Cores) -> int:
    """Give the process beside, which is idle."""
    [beside] = cores._idle.queue
    return beside.pid


@pytest.mark.parametrize("content", [b"name,n,x\na,1,1\n", b"name,n,x\na,1,1\na bad row\n", b"", b"\xff\xfe\0"])
def test_the_outcome_is_the_same(cores, loads, write_dataset, content):
    dataset = write_dataset()
    here = loads(dataset, content).record
    task = replace(TASK, source_key=loads.key, dataset="numbers")
    beside = cores(lambda tasks: load(loads.store, {"numbers": dataset}, loads.staging, tasks))
    tasks = [task, replace(task, attempts=1)]
    assert [one.record for one in beside.load(tasks).values()] == [here, here]
    assert beside.load([task])[task].record == here


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_the_worker_acts_on_is_told_here(cores, error):
    beside = cores(lambda tasks: [error for _ in tasks])
    for _ in range(2):
        [one] = beside.load([TASK]).values()
        assert (type(one), str(one)) == (type(error), str(error))


def test_another_error_is_told_by_who_loads_it_here(cores):
    beside = cores(lambda _: [SourceGone("a"), ZeroDivisionError()])
    process = process_of(beside)
    for _ in range(2):
        told = beside.load([TASK, replace(TASK, attempts=1)])
        assert [(task, type(one)) for task, one in told.items()] == [(TASK, SourceGone)]
    assert process_of(beside) == process


class Odd(PermissionError):
    """An error that cannot be made again from its pickle."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one + other)


def odd(_: Tasks) -> list[Outcome | Exception]:
    return [Odd("one", "other")]


def die(_: Tasks) -> list[Outcome | Exception]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.parametrize("load", [odd, lambda _: [Event()], lambda _: 1 / 0], ids=["odd", "no pickle", "fails"])
def test_what_cannot_be_told_is_loaded_here(cores, load):
    beside = cores(load)
    process = process_of(beside)
    assert [beside.load([TASK]), beside.load([TASK])] == [{}, {}]
    assert process_of(beside) == process


@pytest.mark.parametrize(
    ("load", "seen"),
    [
        (die, "was ended by SIGKILL (is memory short?)"),
        (lambda _: os.abort(), "was ended by SIGABRT"),
        (lambda _: os._exit(3), "ended with exit code 3"),
        (lambda _: sys.exit(), "ended with exit code 0"),
    ],
    ids=["kill", "abort", "_exit", "exit"],
)
def test_one_that_dies_is_told_of_and_replaced(cores, caplog, load, seen):
    """And its files are not loaded here, where they would end the whole program."""
    beside = cores(load)
    for _ in range(2):
        process = process_of(beside)
        with pytest.raises(Died, match=f"^{re.escape(seen)}$"):
            beside.load([TASK])
        assert caplog.messages[-1].startswith(f"process lost keys={TASK.source_key} process={process} ")
        assert not Path(f"/proc/{process}").exists()


def test_one_that_died_idle_is_replaced_first(cores):
    """That was not the fault of the files that come next."""
    beside = cores(lambda tasks: [SourceGone("a") for _ in tasks])
    process = process_of(beside)
    os.kill(process, signal.SIGKILL)
    until(lambda: Path(f"/proc/{process}/stat").read_text().split()[2] == "Z")
    assert list(beside.load([TASK])) == [TASK]
    assert process_of(beside) != process


def test_one_that_is_busy_is_not_waited_for(cores, tmp_path):
    begun, on = tmp_path / "begun", tmp_path / "on"

    def wait(_: Tasks) -> list[Outcome | Exception]:
        begun.touch()
        until(on.exists)
        return [SourceGone("at last")]

    beside = cores(wait)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(beside.load, [TASK])
        until(begun.exists)
        assert beside.load([TASK]) == {}
        on.touch()
        assert isinstance(first.result()[TASK], SourceGone)


def test_one_that_hangs_ends_with_the_others(cores, tmp_path):
    begun = tmp_path / "begun"

    def hang(_: Tasks) -> list[Outcome | Exception]:
        begun.touch()
        Event().wait()
        raise AssertionError

    beside = cores(hang)
    process = process_of(beside)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(beside.load, [TASK])
        until(begun.exists)
        beside.close()
        assert isinstance(first.exception(), Closed)
    assert not Path(f"/proc/{process}").exists()


def test_what_is_cut_off_at_the_end_is_not_loaded_here(cores, loads, tmp_path):
    """The ledger has given it back by then, and the lock goes soon: a put now could be over the next pipeline's."""
    begun = tmp_path / "begun"

    def hang(_: Tasks) -> list[Outcome | Exception]:
        begun.touch()
        Event().wait()
        raise AssertionError

    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        loads.store.put(loads.key, b"of no contract, so a load would put why it is refused")
        ledger.notice(loads.store.stat(loads.key), "event")
        pipeline = Pipeline(loads.store, ledger, {}, loads.staging, cores=cores(hang))
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(process, pipeline, ledger.take())
            until(begun.exists)
            pipeline.cores.close()
            load.result()
        [row] = ledger.rows("SELECT status, in_flight, attempts FROM source")
        assert tuple(row) == ("pending", 1, 0)
    assert list(loads.store.list("rejected/")) == []


def test_one_that_could_outlive_the_pipeline_loads_nothing(cores, monkeypatch, caplog):
    """Where the kernel does not end it with the pipeline."""
    monkeypatch.setattr("ctypes.CDLL", lambda _: SimpleNamespace(prctl=lambda *_: -1))
    beside = cores(die)
    assert beside.load([TASK]) == {}
    [said] = caplog.messages
    assert said.startswith("no process beside ")


@pytest.mark.parametrize(("workers", "expected"), [(0, 0), (1, 0), (2, 2), (1000, PER_CORE * (os.cpu_count() or 1))])
def test_how_many_there_are(workers, expected):
    assert processes(workers) == expected


def test_a_stopped_one_ends_too(cores):
    beside = cores(lambda _: None)
    process = process_of(beside)
    os.kill(process, signal.SIGSTOP)
    beside.close()
    assert not Path(f"/proc/{process}").exists()


@pytest.mark.parametrize("large", [False, True])
def test_a_file_that_kills_what_loads_it_fails_with_what_was_seen(cores, loads, write_dataset, tmp_path, large):
    """The others that were loaded with it are loaded, and nothing else has ended; even where it is a large one."""

    def abort(frame):
        if "deadly" in set(frame["name"]):
            os.abort()
        return frame

    datasets = {"numbers": replace(write_dataset(), transform=abort)}
    beside = cores(lambda tasks: load(loads.store, datasets, loads.staging, tasks))
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.start_run({"numbers": datasets["numbers"].fingerprint})
        for name in ("a", "deadly", "b"):
            more = b"x,1,1\n" * (SMALL // 6 if large and name == "deadly" else 1)
            loads.store.put(f"raw/numbers/{name}.csv", b"name,n,x\n" + f"{name},1,1\n".encode() + more)
            ledger.notice(loads.store.stat(f"raw/numbers/{name}.csv"), "event")
        if large:  # which ended a pipeline that loaded it in its own process
            with ledger.transaction() as db:
                db.execute("UPDATE source SET in_flight = 1 WHERE source_key = 'raw/numbers/deadly.csv'")
            ledger.start_run({"numbers": datasets["numbers"].fingerprint})
        pipeline = Pipeline(loads.store, ledger, datasets, loads.staging, cores=beside)
        while tasks := ledger.take(1, {"numbers": 0.0}):
            process(pipeline, tasks)
        rows = ledger.rows("SELECT source_key, status, deaths, error FROM source ORDER BY source_key")
    seen = "the process that loaded this file and no other was ended by SIGABRT, 3 times"
    assert [tuple(row) for row in rows] == [
        ("raw/numbers/a.csv", "loaded", 0, None),
        ("raw/numbers/b.csv", "loaded", 0, None),
        ("raw/numbers/deadly.csv", "failed", 3, seen),
    ]
