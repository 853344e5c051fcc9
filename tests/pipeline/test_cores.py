"""Small files on every core: the same result wherever it is computed, and here where a process beside gives none."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import pytest

from pipeline import cores
from pipeline.cores import Cores
from pipeline.recipe import read_datasets
from pipeline.stage import Record, Staged, stage
from tests.end_to_end.conftest import company_csv

DATASET = read_datasets()["companydata"]
RECORD = Record("raw/companydata/a.csv", "companydata", "etag", 1, DATASET.recipe)


def here(content: bytes) -> Staged:
    return stage(BytesIO(content), RECORD, DATASET, None)


@pytest.fixture
def both() -> Iterator[Cores]:
    """A process beside this one, and its turn."""
    both = Cores({"companydata": DATASET}, processes=1)
    yield both
    both.close()


@pytest.fixture
def beside(both: Cores) -> Iterator[cores._Beside]:
    with both.turn() as found:
        assert found
        yield found


@pytest.mark.parametrize("content", [company_csv(1), company_csv(2, rows=50) + b"a bad row\n", b"", b"\xff\xfe\0"])
def test_the_result_is_the_same(beside, content):
    assert beside.stage(content, RECORD) == here(content)
    assert beside.alive


def test_what_cannot_be_computed_is_not_asked_again(beside):
    assert beside.stage(company_csv(1), replace(RECORD, dataset="of no contract")) is None
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


def test_the_turn_of_one_that_is_lost_is_here(both):
    with both.turn() as beside:
        assert beside
        beside.end()
    with both.turn() as beside:
        assert beside is None


def test_one_that_never_answers_holds_up_nobody(both, monkeypatch):
    monkeypatch.setattr(cores, "TURN_SECONDS", 0.1)
    with both.turn() as beside, both.turn() as here:
        assert beside
        assert here is None


def test_they_end_with_their_turns(both):
    both.close()
    assert [one._process.exitcode for one in both._beside] == [-signal.SIGKILL]
