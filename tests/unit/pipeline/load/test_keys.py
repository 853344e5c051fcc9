"""Keys in a load: read in blocks, at once, together with others and by the reference, the objects are the same."""

import io
import json
from collections import Counter
from dataclasses import replace

import pytest

from pipeline.load import stage as staging
from pipeline.load.stage import SmallFile, stage, stage_small_files
from pipeline.model.load_record import LoadRecord
from pipeline.readers.csv.read import read_csv

FIELDS = [{"name": "id", "type": "integer"}, {"name": "code", "constraints": {"unique": True}}]
ROWS = [f"{n % 700},{n:05}" if n % 50 else f"{n},00007" for n in range(1, 1000)]
CONTENT = "\n".join(["id,code", *ROWS, ""]).encode()


def counted() -> dict[str, int]:
    """Count what must be rejected, one record after the other."""
    ids, codes, counts = set(), set(), Counter()
    for cells in (row.split(",") for row in ROWS):
        broken = ["primaryKey"] * (cells[0] in ids) + ["unique"] * (cells[1] in codes)
        counts.update(broken)
        if not broken:
            ids.add(cells[0])
            codes.add(cells[1])
    return dict(counts)


COUNTS = counted()


@pytest.fixture
def dataset(write_dataset):
    return write_dataset(schema={"fields": FIELDS, "primaryKey": "id"}, summary={"sum": ["id"]})


def test_every_way_of_a_file_is_the_same(loads, dataset, tmp_path, monkeypatch):
    result = loads(dataset, CONTENT)
    record = LoadRecord(loads.key, "numbers", result.record.etag, len(CONTENT), dataset.fingerprint)
    counts = {rule: count for rule, _, count in result.record.problems}
    assert counts == COUNTS
    clean, rejected = loads.clean(), loads.rejected()
    assert not clean.schema.field("id").nullable
    assert (len(clean), clean["code"].to_pylist()[6]) == (999 - len({one["line"] for one in rejected}), "00007")
    expected = stage(io.BytesIO(CONTENT), record, dataset, None)
    assert stage(io.BytesIO(CONTENT), record, dataset, None, reference=True) == expected
    others = [SmallFile(replace(record, source_key=f"raw/numbers/{name}.csv"), CONTENT) for name in "ab"]
    together = stage_small_files(others, {"numbers": dataset})
    assert together[loads.key] == expected
    assert together["raw/numbers/b.csv"].record.problems == expected.record.problems
    reader = staging.reader_of(loads.key)
    in_blocks = replace(reader, read=lambda *given, **named: read_csv(*given, block_size=500, **named))
    monkeypatch.setattr(staging, "reader_of", lambda _: in_blocks)
    assert stage(io.BytesIO(CONTENT), record, dataset, tmp_path / "file").record == expected.record


def test_json_lines_have_the_same_keys(loads, dataset):
    lines = [json.dumps({"id": int(one), "code": code}) for one, code in (row.split(",") for row in ROWS)]
    content = "\n".join(lines).encode()
    key = "raw/numbers/a.jsonl"
    record = loads(dataset, content, key).record
    assert {rule: count for rule, _, count in record.problems} == COUNTS
    plain = LoadRecord(key, "numbers", record.etag, len(content), dataset.fingerprint)
    expected = stage(io.BytesIO(content), plain, dataset, None, reference=True)
    assert (expected.record, stage(io.BytesIO(content), plain, dataset, None)) == (record, expected)
    other = SmallFile(replace(plain, source_key="raw/numbers/b.jsonl"), content)
    assert stage_small_files([SmallFile(plain, content), other], {"numbers": dataset})[key] == expected


def test_duplicates_count_for_the_limit(loads, write_dataset):
    dataset = write_dataset(schema={"fields": FIELDS}, summary={}, rejects={"maximum": 1})
    assert loads(dataset, b"id,code\n1,a\n1,a\n1,a\n").record.problems == [["unique", "code", 2], ["rejects", None, 1]]


def test_a_duplicate_in_a_fixed_file_mends_nothing(loads, write_dataset):
    dataset = write_dataset(schema={"fields": FIELDS, "primaryKey": "id"}, summary={})
    content = b"id,code,_mends\n1,a,3@0123456789ab\n1,b,4@0123456789ab\n"
    record = loads(dataset, content, "raw/numbers/a.fixed-1.csv").record
    assert record.problems == [["primaryKey", "id", 1]]
    assert record.mends == {"passed": {"0123456789ab": [3]}, "rejected": {"0123456789ab": [[4, 3]]}}
