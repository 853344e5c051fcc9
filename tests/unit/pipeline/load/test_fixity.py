"""Size and hash in a contract: the file of its path must have them, and other files need not."""

import hashlib
import io

import pytest

from pipeline.load.stage import SmallFile, stage, stage_small_files
from pipeline.model.load_record import LoadRecord

CONTENT = b"name,n,x\na,1,1\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WRONG = "0" * 32


class OneWay(io.BytesIO):
    """Stream that cannot go back, as that of a bucket."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation


@pytest.mark.parametrize(
    ("described", "key", "rule"),
    [
        ({"bytes": 15, "hash": hashlib.md5(CONTENT).hexdigest()}, "a.csv", ""),
        ({"hash": f"sha256:{SHA256.upper()}"}, "a.csv", ""),
        ({"hash": f"sha1:{hashlib.sha1(CONTENT).hexdigest()}"}, "2026/a.csv", ""),
        ({"hash": f"sha512:{hashlib.sha512(CONTENT).hexdigest()}"}, "a.csv", ""),
        ({"bytes": 16}, "a.csv", "bytes"),
        ({"hash": WRONG}, "a.csv", "hash"),
        ({"hash": WRONG}, "2026/a.csv", "hash"),
        ({"hash": WRONG}, "b.csv", ""),
        ({"hash": WRONG, "path": "2026/a.csv"}, "2026/a.csv", "hash"),
        ({"hash": WRONG, "path": "2026/a.csv"}, "2025/2026/a.csv", ""),
        ({"hash": WRONG, "path": "data/2026/a.csv"}, "2026/a.csv", "hash"),
        ({"hash": WRONG, "path": "https://example.org/a.csv"}, "a.csv", "hash"),
        ({"hash": WRONG, "path": "data/aa.csv"}, "a.csv", ""),
    ],
)
def test_size_and_hash(loads, write_dataset, described, key, rule):
    dataset, key = write_dataset(**{"path": "a.csv", **described}), f"raw/numbers/{key}"
    record = loads(dataset, CONTENT, key).record
    assert record.status == ("refused" if rule else "loaded")
    assert record.problems == ([[rule, None, 1]] if rule else [])
    plain = LoadRecord(key, "numbers", record.etag, len(CONTENT), dataset.fingerprint)
    assert stage(OneWay(CONTENT), plain, dataset, None).record == record
    files = [SmallFile(plain, CONTENT), SmallFile(LoadRecord("raw/numbers/z.csv", "numbers", "", 9, ""), b"name,n,x\n")]
    together = stage_small_files(files, {"numbers": dataset})
    assert (together[key].record, together["raw/numbers/z.csv"].record.status) == (record, "loaded")


def test_expected_and_found_are_told(loads, write_dataset):
    problem = loads(write_dataset(path="a.csv", hash=WRONG), CONTENT).record.first_problem
    assert f"md5 is {hashlib.md5(CONTENT).hexdigest()}: the contract expects {WRONG}" in problem
    assert (
        "has 15 bytes: the contract expects 16"
        in loads(write_dataset(path="a.csv", bytes=16), CONTENT).record.first_problem
    )
