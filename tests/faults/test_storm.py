"""Kills at random moments under load: none missing, none twice, and the same bytes without a ledger."""

import shutil

import pytest

from tests.support.lake import Lake
from tests.support.storm import new_files, overwrites, storm
from tests.support.truth import assert_true


def assert_told_by_the_objects(lake: Lake) -> None:
    """Without its ledger the lake ends with the same clean and rejected objects, byte for byte."""
    before = lake.outputs()
    shutil.rmtree(lake.state)
    program = lake.start("once")
    assert program.wait(120) == 0, program.log[-5000:]
    assert lake.outputs() == before
    assert_true(lake)


def test_thirty_kills_at_random_moments(local_lake):
    assert storm(local_lake, [overwrites(0, 60), overwrites(1, 40)], seed=1, kills=30, pause=0.005) == 30
    assert_true(local_lake)
    assert_told_by_the_objects(local_lake)


@pytest.mark.needs_engine
def test_many_files_and_overwrites_in_a_bucket(bucket_lake):
    """The full size of it, 20,000 files and 200 keys 20 times each, is `benchmarks/faults.py`."""
    kills = storm(bucket_lake, [new_files(0, 150), new_files(1, 150), overwrites(0, 10, 20)], seed=2, pause=0.03)
    assert kills > 3
    assert_true(bucket_lake)
