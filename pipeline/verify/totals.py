"""Compare the totals of the ledger with its sources, and what is published with the ledger."""

import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

import pyarrow.parquet as pq

from lake.layout import PUBLISHED, STATUS, summary_key
from lake.status import Progress, Status
from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.mended import RejectedLines
from pipeline.ledger.published import contents
from pipeline.ledger.totals import exact_sums
from pipeline.model.exact_sums import Exact, Totals, exact, merge
from pipeline.verify.compare import UNREADABLE, Difference, Row, shown
from pipeline.verify.source import Recount

LEDGER = "ledger"  # where a difference is that is in no object

_COUNTED = """
SELECT dataset, status, count(*) AS files, sum(size) AS bytes, sum(stale) AS stale, sum(found_by = 'event') AS event,
    sum(found_by = 'sweep') AS sweep, sum(rows_read) AS rows_read, sum(rows_kept) AS rows_kept,
    sum(rows_dropped) AS rows_dropped, sum(rows_rejected) AS rows_rejected
FROM source GROUP BY dataset, status
"""


def compare_totals(snapshot: Ledger) -> Iterator[Difference]:
    """Compare the merged summary and the counts of a ledger with its sources."""
    tally = _by_status(snapshot.db.execute("SELECT * FROM tally WHERE files <> 0"))
    yield from _unequal(LEDGER, _by_status(snapshot.db.execute(_COUNTED)), tally)
    try:
        shares = _merged(snapshot.db.execute("SELECT dataset, share FROM source WHERE share <> '[]'"))
        summary = _kept(snapshot.db.execute("SELECT * FROM summary"))
    except UNREADABLE as error:
        shares, summary = {"summary": "shares and sums in JSON"}, {"summary": repr(error)}
    yield from _unequal(LEDGER, shares, summary)


def _by_status(rows: Iterable[Any]) -> dict[str, object]:
    return {f"count of {row['dataset']}, {row['status']}": dict(row) for row in rows}


def _merged(rows: Iterable[Any]) -> dict[str, object]:
    datasets: dict[str, Totals] = {}
    for row in rows:
        for part in json.loads(row["share"]):
            sums = {name: exact(value) for name, value in part["sums"].items()}
            merge(datasets.setdefault(row["dataset"], {}), part["group"], part["rows"], sums)
    return {
        f"summary of {name}, {group}": (counted, _not_zero(sums))
        for name, totals in datasets.items()
        for group, (counted, sums) in totals.items()
    }


def _kept(rows: Iterable[Any]) -> dict[str, object]:
    return {
        f"summary of {row['dataset']}, {row['group']}": (row["rows"], _not_zero(exact_sums(row["sums"])))
        for row in rows
    }


def _not_zero(sums: Mapping[str, Exact]) -> dict[str, str]:
    """Return the sums that are not zero: an earlier contract may have had others, of which nothing is left."""
    return {name: str(total) for name, total in sorted(sums.items()) if total}


def _unequal(key: str, expected: Mapping[str, object], actual: Mapping[str, object]) -> Iterator[Difference]:
    for name in sorted(expected.keys() | actual.keys()):
        value, actual_value = expected.get(name, "nothing"), actual.get(name, "nothing")
        if value != actual_value:
            yield Difference(key, None, name, shown(value), shown(actual_value))


def compare_published(
    store: ObjectStore, ledger: Ledger, datasets: Mapping[str, Dataset], patience: float
) -> Iterator[Recount]:
    """Compare what is published with the ledger, and again after `patience` seconds: a running pipeline lags behind."""
    current = {}
    fingerprints = dict(ledger.db.execute("SELECT * FROM fingerprint"))
    for name, dataset in datasets.items():
        if fingerprints.get(name) == dataset.fingerprint:
            current[name] = dataset
        else:
            yield Recount(summary_key(name), unverified="stale: published under another fingerprint")
    rejected = RejectedLines(lambda: store)
    expected = _contents(ledger, current, rejected)
    if differences := _differences(store, expected):
        time.sleep(patience)
        differences = _differences(store, expected)
    if differences and expected != _contents(ledger, current, rejected):
        yield Recount(PUBLISHED, unverified="changing")
    else:
        yield Recount(PUBLISHED, differences)


def _contents(ledger: Ledger, datasets: Mapping[str, Dataset], rejected: RejectedLines) -> dict[str, Any]:
    """Return what is to be published; of the status only the counts."""
    expected: dict[str, Any] = dict(contents(ledger, datasets, rejected))
    return {**expected, STATUS: _counts(expected[STATUS])}


def _differences(store: ObjectStore, expected: Mapping[str, Any]) -> tuple[Difference, ...]:
    return tuple(difference for key, content in expected.items() for difference in _compare(store, key, content))


def _compare(store: ObjectStore, key: str, expected: Any) -> Iterator[Difference]:
    try:
        with store.open(key) as (_, stream):
            content = stream.read()
    except FileNotFoundError:
        yield Difference(key, None, "object", "an object", "no object")
        return
    try:
        if key == STATUS:
            yield from _unequal(key, expected, _counts(content))
        else:
            yield from _unequal_rows(key, _rows(expected), _rows(content))
    except UNREADABLE as error:
        yield Difference(key, None, "object", "one that can be read", shown(repr(error)))


def _counts(content: bytes) -> dict[str, object]:
    """Return the counts of a status: the writer's heartbeat goes on, and latency is no count."""
    status = Status.model_validate_json(content)
    sections: dict[str, Progress] = {"": status, "no contract: ": status.no_contract}
    for name, progress in status.datasets.items():
        sections[f"{name}: "] = progress
    counts: dict[str, object] = {"lake": status.lake}
    for prefix, section in sections.items():
        for part in ("files", "rows", "backlog", "found_by"):
            counts[prefix + part] = getattr(section, part)
    return counts


def _rows(content: bytes) -> list[Row]:
    rows: list[Row] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows


def _unequal_rows(key: str, expected: list[Row], actual: list[Row]) -> Iterator[Difference]:
    """Yield the first row that differs, with the columns that do."""
    nothing: Row = {}
    for number, (row, actual_row) in enumerate(zip_longest(expected, actual, fillvalue=nothing), 1):
        if repr(row) != repr(actual_row):  # as text, for not-a-number does not equal itself
            yield Difference(key, None, f"row {number}", _values(row, actual_row), _values(actual_row, row))
            return


def _values(row: Row, other: Row) -> str:
    """Return the values of a row that the other row has not."""
    values = [
        f"{name} {value!r}" for name, value in row.items() if name not in other or repr(value) != repr(other[name])
    ]
    return shown(", ".join(values) or "no row here")
