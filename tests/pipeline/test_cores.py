"""Small files on every core: the same result wherever it is computed, and here where a process beside gives none."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO

import pytest

from pipeline import cores
from pipeline.cores import Cores
from pipeline.recipe import read_datasets
from pipeline.stage import Record, Staged, stage
from tests.end_to_end.conftest import company_csv
from tests.minio_server import until

DATASET = read_datasets()["companydata"]
RECORD = Record("raw/companydata/a.csv", "companydata", "etag", 1, DATASET.recipe)


def here(content: bytes) -> Staged:
    return stage(BytesIO(content), RECORD, DATASET, None)


@pytest.fixture
def beside() -> Iterator[cores._Beside]:
    """A process beside this one, got as a load gets it: by having waited often enough for the turn here."""
    both = Cores(others=1)
    with ExitStack() as turns:
        assert turns.enter_context(both.turn(DATASET.limits)) is None
        for _ in range(cores.WAITS):
            both._wanted(DATASET.limits)
        until(lambda: not both._turns.empty(), 60, what="a process beside")
        found = turns.enter_context(both.turn(DATASET.limits))
        assert found
        yield found
    both.close()
    assert found._process.returncode is not None


@pytest.mark.parametrize("content", [company_csv(1), company_csv(2, rows=50) + b"a bad row\n", b"", b"\xff\xfe\0"])
def test_the_result_is_the_same(beside, content):
    assert beside.stage(content, RECORD) == here(content)
    assert beside.alive


def test_another_recipe_by_now_is_not_computed_beside(beside):
    assert beside.stage(company_csv(1), replace(RECORD, recipe="of before")) is None
    assert not beside.alive


def test_one_that_hangs_is_ended(beside, monkeypatch):
    monkeypatch.setattr(cores, "ANSWER_SECONDS", 0.1)
    os.kill(beside._process.pid, signal.SIGSTOP)
    assert beside.stage(company_csv(1), RECORD) is None
    assert not beside.alive


def test_one_that_dies_gives_no_result_and_no_turn(beside):
    beside._process.kill()
    assert beside.stage(company_csv(1), RECORD) is None
    assert not beside.alive


def test_an_end_while_one_is_about_to_begin():
    both = Cores(others=1)
    with both.turn(DATASET.limits):
        for _ in range(cores.WAITS):
            both._wanted(DATASET.limits)
        [beside] = both._started
        waiting = ThreadPoolExecutor(1).submit(beside.ready)
        both.close()
        assert waiting.result(60) is False
