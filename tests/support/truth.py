"""The truth about a lake of companydata, computed from the bytes of `raw/` alone, and what differs from it."""

import functools
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from lake.layout import clean_key, rejected_key, source
from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import read_dataset
from pipeline.model.load_record import read_load_record
from pipeline.model.problem import Refused
from pipeline.readers.csv.reference import read_csv_plainly
from tests.support.lake import Lake
from tests.support.project import DATASETS

CONTRACT = read_dataset(DATASETS / "companydata.json").contract
SPOILT = b"Month,Dept,Surprise\n1-Jan,Toys,1\n"  # a file that must be refused
BAD_ROWS = b"1-Jan,Dept 1,Store 0,many,0,1\n1-Jan,Dept 1\n,Dept 2,Store 1,1,1,-1\n"  # three records, four problems
NEWEST_LOADS = 5_000


@dataclass
class Truth:
    """Expected results of one file: its clean rows with their lineage, and the lines of its bad records."""

    status: str = "loaded"
    clean: list[dict[str, Any]] = field(default_factory=list)
    bad: list[int | None] = field(default_factory=list)


def truth_of(key: str, content: bytes) -> Truth:
    """Read a file of companydata by the plain reader, which the exam's known outcomes are the judge of."""
    truth = Truth()
    try:
        for batch in read_csv_plainly(io.BytesIO(content), key, CONTRACT):
            for row in batch.rows.to_pylist():
                lineage = {"_source_key": key, "_line": row.pop("_line")}
                truth.clean.append({**row, "Net": row["Sold"] - row["Returned"], **lineage})
            truth.bad += dict.fromkeys(problem.line for problem in batch.problems)
    except Refused:
        return Truth("refused", bad=[None])
    return truth


def sums_of(truths: Iterable[Truth]) -> dict[str, list[int]]:
    """Return rows, Sold, Returned and Ordered by Dept over all files."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in (row for truth in truths for row in truth.clean):
        added = (1, row["Sold"], row["Returned"], row["Ordered"])
        sums[row["Dept"]] = [total + value for total, value in zip(sums[row["Dept"]], added, strict=True)]
    return dict(sums)


def company_sums(files: Iterable[bytes]) -> dict[str, list[int]]:
    """Return the true summary of files of companydata."""
    return sums_of(truth_of("raw/companydata/a.csv", content) for content in files)


def assert_true(lake: Lake, gone: Mapping[str, bytes] | None = None) -> None:
    """Hold a lake whose pipeline has ended to the truth; `gone` are the deleted files whose rows it keeps."""
    found = [*differences(lake, gone), *filter(None, [verify(lake)])]
    assert not found, "\n".join(found)


def verify(lake: Lake) -> str:
    """Return what `python -m pipeline verify` finds, in its own words; nothing if it finds nothing."""
    before = len(_log(lake))
    code = lake.finish("verify", seconds=600)
    return "" if code == 0 else f"exit code {code}: {_log(lake)[before:]}"


def _log(lake: Lake) -> str:
    path = lake.state.parent / "pipeline.log"
    return path.read_text() if path.exists() else ""


def differences(lake: Lake, gone: Mapping[str, bytes] | None = None) -> Iterator[str]:
    """Yield each difference between what `raw/` says and what clean, rejected and published objects say."""
    gone = {f"raw/{name}": content for name, content in (gone or {}).items()}
    with ThreadPoolExecutor(8) as pool:  # an object store answers many at a time
        etags = {item.key: item.etag for item in lake.store.list("raw/") if not source(item.key).ignored}
        files = dict(zip(etags, pool.map(functools.partial(_read, lake.store), etags), strict=True)) | gone
        truths = {key: truth_of(key, content) for key, content in files.items()}
        yield from _objects(lake, "clean/", {clean_key(key) for key, one in truths.items() if one.status == "loaded"})
        yield from _objects(lake, "rejected/", {rejected_key(key) for key, one in truths.items() if one.bad})
        for found in pool.map(lambda key: _outputs(lake, key, truths[key], etags.get(key)), truths):
            yield from found
    yield from _published(lake, truths, etags)


def _read(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as (_, stream):
        return stream.read()


def _objects(lake: Lake, prefix: str, expected: set[str]) -> Iterator[str]:
    found = Counter(item.key for item in lake.store.list(prefix))
    for key in expected - set(found):
        yield f"{key} is missing"
    for key, times in found.items():
        if key not in expected or times > 1:
            yield f"{key} is there {times} times, expected {int(key in expected)}"


def _outputs(lake: Lake, key: str, truth: Truth, etag: str | None) -> list[str]:
    """Compare the objects of one source: every row, every rejected line, and the record in each footer."""
    told = []
    for target, expected in (
        (clean_key(key), truth.clean if truth.status == "loaded" else None),
        (rejected_key(key), truth.bad or None),
    ):
        try:
            content = _read(lake.store, target)
        except FileNotFoundError:
            continue  # told by the listing
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
        if target.startswith("rejected/"):
            rows = list(dict.fromkeys(row["line"] for row in rows if row["source_key"] == key))
        if rows != expected:
            told.append(f"{target} has {rows}, expected {expected}")
        record = read_load_record(io.BytesIO(content))
        if (record.source_key, record.status) != (key, truth.status) or etag not in (None, record.etag):
            told.append(f"{target} says that it is of {record}, expected {key} {etag}")
    return told


def _published(lake: Lake, truths: Mapping[str, Truth], etags: Mapping[str, str]) -> Iterator[str]:
    if (sums := lake.sums()) != sums_of(truths.values()):
        yield f"the summary has {sums}, expected {sums_of(truths.values())}"
    loads, status = lake.loads(), lake.status()
    for key, truth in truths.items():
        row = loads.get(key.removeprefix("raw/"))
        if row is None:
            if len(truths) <= NEWEST_LOADS:
                yield f"{key} is not among the loads"
            continue
        bad = len(truth.bad) if truth.status == "loaded" else 0
        expected = {"status": truth.status if key in etags else "missing", "etag": etags.get(key, row["etag"])}
        expected |= {"rows_read": len(truth.clean) + bad, "rows_kept": len(truth.clean), "rows_rejected": bad}
        if {name: row[name] for name in expected} != expected:
            yield f"the loads say {row}, expected {expected}"
    counts = Counter(truth.status if key in etags else "missing" for key, truth in truths.items())
    files = {name: count for name, count in status["files"].items() if count and name not in ("ignored", "stale")}
    if files != dict(counts):
        yield f"the status counts {files}, expected {dict(counts)}"
    kept = sum(len(truth.clean) for truth in truths.values())
    if status["rows"]["kept"] != kept:
        yield f"the status counts {status['rows']}, expected {kept} rows kept"
