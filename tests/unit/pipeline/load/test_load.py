"""Small files that are read and loaded together: each as if it were alone, to the letter and to the byte."""

import io
import os
import time
from contextlib import closing
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import StoreFull, StoreUnavailable
from lake.layout import clean_key, rejected_key
from lake.stores.base import ObjectChanged
from pipeline.dataset.dataset import read_datasets
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.task_queue import SECONDS
from pipeline.load import stage as staging
from pipeline.load import write
from pipeline.load.load import load
from pipeline.model.problem import Refused
from pipeline.model.task import Result, Skipped, SourceGone, Task
from pipeline.readers.base import Limits
from pipeline.readers.csv.reference import read_csv_plainly
from pipeline.readers.csv.small_files import read_small_files
from pipeline.readers.formats import READERS
from pipeline.service.context import Pipeline
from pipeline.service.executor import InlineExecutor
from pipeline.service.outcomes import Origin, record_outcomes
from pipeline.service.workers import process
from tests.support.contracts import write_contracts
from tests.support.corpus import FILES
from tests.support.generated_csv import BODY, CONTRACT_FIELDS, HEADER, MATCHES, MISSING, RECORD, batches_of, contract_of
from tests.support.project import DATASETS

SMALL = [odd for odd in FILES if len(odd.content) < 100_000]
CONTENT = st.tuples(HEADER, BODY, RECORD).map(b"".join) | st.sampled_from([b"", b"s,n", b"\xff\xfes", b"\x1f\x8b"])


@settings(max_examples=300, deadline=None)
@given(st.lists(CONTENT, max_size=6), CONTRACT_FIELDS, MISSING, MATCHES)
def test_reading_together_is_reading_alone(tmp_path_factory, contents, fields, missing, match):
    schema = {"fieldsMatch": match[0], "fields": fields, "missingValues": missing}
    contract = contract_of(tmp_path_factory.getbasetemp(), schema=schema, more=match[1])
    limits = Limits(record=50)
    together = read_small_files([("a.csv", content) for content in contents], contract, limits)
    for content, result in zip(contents, together, strict=True):
        batches, problem = batches_of(read_csv_plainly, io.BytesIO(content), "a.csv", contract, limits=limits)
        if isinstance(result, Refused):
            assert result.problem == problem
        else:
            assert ([replace(result, problems=list(result.problems))], None) == (batches, problem)


@pytest.mark.parametrize("seed", range(5))
def test_loading_together_is_loading_alone(loads, tmp_path, seed):
    """Of each odd file, and of some in every order: the same outcome, and the same bytes in the store."""
    some = Random(seed).sample(SMALL, len(SMALL))
    tasks = []
    for number, odd in enumerate(some):
        key = f"raw/{odd.dataset}/{number}{Path(odd.name).suffix or '.csv'}"
        tasks.append(Task(key, odd.dataset, loads.store.put(key, odd.content), "event", 0, 0))
    (folder := tmp_path / "contracts").mkdir()
    datasets = read_datasets(write_contracts(folder, DATASETS))

    def made(turns: list[list[Task]]) -> list[object]:
        outcomes = [one for turn in turns for one in load(loads.store, datasets, loads.staging, turn)]
        return [(one.record, objects(loads, one)) for one in outcomes]

    alone = made([[task] for task in tasks])
    for item in [*loads.store.list("clean/"), *loads.store.list("rejected/")]:
        loads.store.delete(item.key)
    assert made([tasks[n : n + 16] for n in range(0, len(tasks), 16)]) == alone
    assert {record.status for record, _ in alone} == {"loaded", "refused"}


def objects(loads, result: Result) -> list[bytes | None]:
    """Read the clean and the rejected object of a load."""
    found = []
    for key, etag in (
        (clean_key(result.record.source_key), result.clean_etag),
        (rejected_key(result.record.source_key), result.rejected_etag),
    ):
        if etag is None:
            found.append(None)
            continue
        with loads.store.open(key) as (info, stream):
            assert info.etag == etag
            found.append(stream.read())
    return found


@pytest.fixture
def three(loads, write_dataset):
    """Three files that are loaded together; a function that does it."""
    tasks = [
        Task(key, "numbers", loads.store.put(key, f"name,n,x\n{key[-5]},1,1\n".encode()), "event", 0, 0)
        for key in ("raw/numbers/a.csv", "raw/numbers/b.csv", "raw/numbers/c.csv")
    ]
    dataset = write_dataset()

    def load_them() -> list[object]:
        return load(loads.store, {"numbers": dataset}, loads.staging, tasks)

    return load_them


def test_a_sum_that_cannot_be_held_refuses_its_file_alone(loads, three):
    loads.store.put("raw/numbers/b.csv", b"name,n,x\nb,1,1e308\nb,1,1e308\n")
    assert [one.record.status for one in three()] == ["loaded", "refused", "loaded"]


def test_one_that_is_gone_is_no_matter_of_the_others(loads, three):
    loads.store.delete("raw/numbers/b.csv")
    assert [type(one) for one in three()] == [Result, SourceGone, Result]
    assert sorted(item.key[-13:] for item in loads.store.list("clean/")) == ["a.csv.parquet", "c.csv.parquet"]


def test_what_has_grown_too_large_is_staged_one_by_one(three, monkeypatch):
    monkeypatch.setattr(staging, "ROOM", 20)
    monkeypatch.setitem(READERS, ".csv", replace(READERS[".csv"], read_small_files=pytest.fail))
    assert [type(one) for one in three()] == [Result] * 3


def test_where_nothing_can_be_staged_it_is_told_of_each(loads, three):
    loads.staging.rmdir()
    loads.staging.write_bytes(b"no folder")
    assert [type(one) for one in three()] == [FileExistsError] * 3


@pytest.mark.parametrize("verb", ["open", "put"])
def test_a_store_that_is_away_is_asked_once(loads, three, monkeypatch, verb):
    """Each call may wait for as long as a server may be silent."""
    asked, real = [], getattr(loads.store, verb)

    def away(key: str, *given: object, **named: object) -> object:
        asked.append(key)
        if "b.csv" in key:
            raise StoreUnavailable("no answer")
        return real(key, *given, **named)

    monkeypatch.setattr(loads.store, verb, away)
    kinds = [type(one) for one in three()]
    assert kinds == [Result, StoreUnavailable, Skipped] if verb == "put" else [Skipped, StoreUnavailable, Skipped]
    assert not any("c.csv" in key for key in asked)


@pytest.mark.parametrize("together", [True, False])
def test_a_fault_of_ours_is_told_of_its_file_alone(three, monkeypatch, together):
    """Wherever it comes to light: in what is done for all, or in what is done for each."""
    real = write._add_lineage

    def broken(rows, *more):
        if together or rows["name"][0].as_py() == "b":
            raise ZeroDivisionError
        return real(rows, *more)

    if together:
        monkeypatch.setitem(READERS, ".csv", replace(READERS[".csv"], read_small_files=broken))
    else:
        monkeypatch.setattr(write, "_add_lineage", broken)
    assert [type(one) for one in three()] == [Result, Result if together else ZeroDivisionError, Result]


@pytest.fixture
def frames(loads, write_dataset):
    """Return the sizes of the frames that a transform gets when files are loaded together, which must be as alone."""

    def load_both(transform, *contents: bytes) -> list[int]:
        keys = [f"raw/numbers/{number}.csv" for number in range(len(contents))]
        etags = [loads.store.put(key, b"name,n,x\n" + content) for key, content in zip(keys, contents, strict=True)]
        tasks = [Task(key, "numbers", etag, "event", 0, 0) for key, etag in zip(keys, etags, strict=True)]
        seen: list[int] = []

        def look(frame):
            seen.append(len(frame))
            return transform(frame)

        def made(turns: list[list[Task]]) -> list[object]:
            dataset = replace(write_dataset(), transform=look)
            outcomes = [one for turn in turns for one in load(loads.store, {"numbers": dataset}, loads.staging, turn)]
            return [(one.record, objects(loads, one)) for one in outcomes]

        alone = made([[task] for task in tasks])
        seen.clear()
        assert made([tasks]) == alone
        return seen

    return load_both


@pytest.mark.parametrize(
    "transform",
    [
        pytest.param(lambda frame: frame.assign(x=frame["n"] / 2), id="changes"),
        pytest.param(lambda frame: frame[frame["n"] != 2].reset_index(drop=True), id="drops"),
        pytest.param(lambda frame: frame[frame["n"] > 9], id="leaves none"),
        pytest.param(lambda frame: frame.iloc[::-1], id="turns around"),
        pytest.param(lambda frame: frame if 2 not in set(frame["n"]) else 1 / 0, id="fails"),
        pytest.param(lambda frame: frame.assign(x=[n or 0.5 for n in frame["n"]]), id="rounds"),
        pytest.param(lambda frame: frame.astype({"name": "category"}), id="categories"),
    ],
)
def test_a_transform_sees_the_rows_of_one_file(frames, transform):
    contents = b"a,1,1\na,2,1\n", b"", b"b,1,1\nb,%d,1\nb,3,1\nb,1,1\n" % (2**53 + 1), b"c,0,1\n"
    assert frames(transform, *contents) == [2, 4, 1]  # and none for a header alone


def test_a_small_file_is_one_row_group_whatever_it_is_loaded_with(frames):
    """Its rows are a slice of the rows of several files."""
    content = b"a,,\n" * 60_000 + b"a,1,2"
    assert frames(lambda frame: frame.assign(name="of many letters " * 5), *3 * [content]) == [60_001] * 3


@pytest.fixture
def pipeline(loads, three, write_dataset, tmp_path):  # noqa: ARG001 (it makes the files)
    """Pipeline whose ledger knows the three files."""
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        for item in sorted(loads.store.list("raw/"), key=attrgetter("key")):
            ledger.notice(item, "event")
        datasets = {"numbers": write_dataset()}
        executor = InlineExecutor(loads.store, datasets, loads.staging)
        yield Pipeline(loads.store, ledger, datasets, loads.staging, executor, pace={"numbers": 0.0})


def states(pipeline) -> list[tuple]:
    rows = pipeline.ledger.rows("SELECT status, in_flight, attempts FROM source ORDER BY source_key")
    return [tuple(row) for row in rows]


def test_one_that_the_store_does_not_give_is_no_attempt_at_the_others(pipeline, monkeypatch):
    """The store may be well: a server has many words for what is wrong with one object."""
    real = pipeline.store.open

    def broken(key: str):
        if key.endswith("a.csv"):
            raise StoreUnavailable("InternalError")
        return real(key)

    monkeypatch.setattr(pipeline.store, "open", broken)
    process(pipeline, pipeline.ledger.take(1, pipeline.pace))
    assert states(pipeline) == [("failed", 0, 1), ("pending", 0, 0), ("pending", 0, 0)]
    process(pipeline, pipeline.ledger.take(1, pipeline.pace))
    assert states(pipeline) == [("failed", 0, 1), ("loaded", 0, 1), ("loaded", 0, 1)]
    assert not pipeline.away.is_set()


@pytest.mark.parametrize("during", ["a.csv", ".probe"], ids=["load", "probe"])
def test_an_error_that_comes_after_the_end_of_an_outage_is_no_attempt(pipeline, monkeypatch, during):
    """The store is well when it is probed, and yet the file is not the reason. An outage before the load is none."""
    real_open, real_put, outages = pipeline.store.open, pipeline.store.put, []

    def meet_outage(key: str) -> None:
        if key.endswith(during) and not outages:
            outages.append(key)
            pipeline.away.set()
            pipeline.end_outage()

    def broken(key: str):
        meet_outage(key)
        if key.endswith("a.csv"):
            raise StoreUnavailable("no answer")
        return real_open(key)

    def put(key: str, *arguments, **options):
        meet_outage(key)
        return real_put(key, *arguments, **options)

    monkeypatch.setattr(pipeline.store, "open", broken)
    monkeypatch.setattr(pipeline.store, "put", put)
    process(pipeline, pipeline.ledger.take(1, pipeline.pace))
    assert (states(pipeline), len(outages)) == ([("pending", 0, 0)] * 3, 1)
    process(pipeline, pipeline.ledger.take(1, pipeline.pace))
    assert states(pipeline)[0] == ("failed", 0, 1)


def test_a_load_that_met_a_full_store_before_there_was_room_pauses_nothing(pipeline, caplog):
    caplog.set_level("INFO")
    first, second, third = pipeline.ledger.take(1, pipeline.pace)

    def end(task: Task, outcome: Exception, began: float) -> bool:
        record_outcomes(pipeline, {task: outcome}, Origin("worker", began))
        return pipeline.away.is_set()

    assert end(first, StoreFull("no room"), time.monotonic())
    pipeline.end_outage()
    began = time.monotonic()
    assert not end(first, ObjectChanged("written to"), began)  # by a user: it met no lack of room any more
    assert not end(second, StoreFull("no room"), began)
    assert end(third, StoreFull("no room"), time.monotonic())
    events = [record.message.partition(" lake=")[0] for record in caplog.records]
    assert events == ["store full", "store has room", "store full"]
    assert states(pipeline) == [("pending", 0, 0)] * 3


def test_one_that_cannot_be_committed_fails_alone_and_each_log_line_names_the_worker(pipeline, monkeypatch, caplog):
    caplog.set_level("INFO")
    real = pipeline.ledger.commit

    def broken(results):
        if any(task.source_key.endswith("b.csv") for task in results):
            raise OverflowError("too large for a database")
        real(results)

    monkeypatch.setattr(pipeline.ledger, "commit", broken)
    process(pipeline, pipeline.ledger.take(1, pipeline.pace))
    assert states(pipeline) == [("loaded", 0, 1), ("failed", 0, 1), ("loaded", 0, 1)]
    lines = [line for line in caplog.messages if " key=" in line]
    assert [line.split()[0] for line in lines] == ["loaded", "failed", "loaded"]
    assert all(f" worker={os.getpid()}" in line for line in lines)


def test_slow_ones_are_taken_one_at_a_time(pipeline):
    """Files that are taken together end together, and at a stop they have 20 s."""
    dataset = pipeline.datasets["numbers"]

    def slow(frame):
        time.sleep(SECONDS)
        return frame

    pipeline.datasets["numbers"] = replace(dataset, transform=slow)
    pipeline.pace.clear()
    first, second = pipeline.ledger.take(1, pipeline.pace)
    process(pipeline, [first])
    pipeline.ledger.release(second)
    assert len(pipeline.ledger.take(1, pipeline.pace)) == 1
