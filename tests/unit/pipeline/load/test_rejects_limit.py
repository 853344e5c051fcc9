"""Limit on rejects: a file above it is refused, with the reason, the first problems and the counts of all."""

import gzip
from dataclasses import replace

import pytest

from common.errors import SettingError
from pipeline.load import load as loading
from pipeline.load import stage as staging
from pipeline.load import write
from pipeline.load.stage import SmallFile, stage_small_files
from pipeline.model.load_record import LoadRecord
from pipeline.readers.csv.read import read_csv

HEADER = b"name,n,x\n"


def content(good: int, bad: int) -> bytes:
    return HEADER + b"a,1,1\n" * good + b",many,1\n" * bad


@pytest.mark.parametrize(
    ("rejects", "good", "bad", "refused"),
    [
        ({"maximum": 2}, 0, 2, False),
        ({"maximum": 2}, 97, 3, True),
        ({"maximum": 0}, 5, 1, True),
        ({"share": 0.1}, 9, 1, False),
        ({"share": 0.1}, 8, 1, True),
        ({"share": 0.7}, 3, 7, False),  # as it is written: the float nearest to 0.7 is less
        ({"share": 0}, 0, 0, False),
        ({"maximum": 5, "share": 0.1}, 10, 4, True),
        ({}, 0, 9, False),
    ],
)
def test_above_either_bound_a_file_is_refused(loads, write_dataset, rejects, good, bad, refused):
    record = loads(write_dataset(rejects=rejects), content(good, bad)).record
    assert record.status == ("refused" if refused else "loaded")
    assert (record.rows_read, record.rows_rejected) == ((0, 0) if refused else (good + bad, bad))


def test_the_reason_comes_first_then_the_problems(loads, write_dataset, monkeypatch):
    monkeypatch.setattr(write, "REMEMBERED", 3)
    result = loads(write_dataset(rejects={"maximum": 2, "share": 0.5}), content(1, 5))
    assert result.clean_etag is None
    first, *others = loads.rejected()
    assert (first["rule"], first["line"]) == ("rejects", None)
    assert "5 of 6 records were rejected: expected at most 2 and at most 0.5 of all" in first["message"]
    assert [(one["line"], one["rule"]) for one in others] == [(3, "required"), (3, "type"), (4, "required")]
    assert result.record.first_problem == first["message"]
    assert sorted(result.record.problems, key=str) == [["rejects", None, 1], ["required", "name", 5], ["type", "n", 5]]


def test_many_blocks_together_and_alone(loads, write_dataset, monkeypatch):
    """Compare a file that is read in blocks, at once, by itself or with others: the outcome is the same."""
    dataset = write_dataset(rejects={"maximum": 2})
    bad = content(3000, 2) + content(3000, 9).removeprefix(HEADER)
    expected = loads(dataset, bad)
    problems = loads.rejected()
    etag = expected.record.etag
    record = LoadRecord(loads.key, "numbers", etag, len(bad), dataset.fingerprint)
    together = stage_small_files(
        [SmallFile(record, bad), SmallFile(replace(record, source_key="raw/numbers/b.csv"), content(2, 1))],
        {"numbers": dataset},
    )
    assert together[loads.key].record == expected.record
    assert together["raw/numbers/b.csv"].record.status == "loaded"
    monkeypatch.setattr(loading, "is_small", lambda *_: False)
    reader = staging.reader_of(loads.key)
    in_blocks = replace(reader, read=lambda *given, **named: read_csv(*given, block_size=5000, **named))
    monkeypatch.setattr(staging, "reader_of", lambda _: in_blocks)
    assert replace(loads(dataset, bad).record, etag=etag) == expected.record
    assert loads.rejected() == problems
    assert len(problems) == 1 + 22


def test_a_file_that_cannot_be_read_to_its_end_says_so(loads, write_dataset):
    packed = gzip.compress(content(0, 9))[:-4]
    record = loads(write_dataset(rejects={"maximum": 0}), packed, "raw/numbers/a.csv.gz").record
    assert record.problems == [["compression", None, 1]]


@pytest.mark.parametrize("rejects", [{"maximum": -1}, {"share": 1.5}, {"most": 3}, {"maximum": 1.5}])
def test_a_wrong_limit_is_named(write_dataset, rejects):
    with pytest.raises(SettingError, match=rf"numbers\.json: rejects\.{next(iter(rejects))}"):
        write_dataset(rejects=rejects)
