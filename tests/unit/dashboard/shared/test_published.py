import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow.parquet as pq
import pytest

from dashboard.shared.published import Published, UnreadableError
from lake.layout import LOADS, STATUS, summary_key
from lake.stores.base import ObjectChanged, ObjectInfo, ObjectStore
from lake.stores.local import LocalStore
from tests.support.page_stores import CountingStore
from tests.support.publish import (
    counts,
    iso,
    load,
    parquet,
    publish_companydata,
    publish_loads,
    publish_status,
    publish_summary,
    writer,
)


def test_an_empty_lake_has_published_nothing(store: ObjectStore) -> None:
    published = Published(store)
    assert (published.status(), published.loads(), published.summary("companydata")) == (None, None, None)


def test_status_is_read_whole(store: ObjectStore) -> None:
    oldest = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)
    parts = counts(files={"pending": 3}, backlog={"files": 3, "bytes": 99, "oldest_at": iso(oldest)})
    publish_status(store, datasets={"companydata": counts(rows={"read": 24, "kept": 24})}, **parts)
    status = Published(store).status()
    assert status is not None
    assert (status.files.pending, status.backlog.oldest_at) == (3, oldest)
    assert status.datasets["companydata"].rows.kept == 24
    assert status.writer is not None


def test_null_and_absent_values_are_defaults(store: ObjectStore) -> None:
    store.put(STATUS, b'{"writer": null, "backlog": null, "rows": {"read": null}, "datasets": {"a": {}}}')
    status = Published(store).status()
    assert status is not None
    assert (status.writer, status.backlog.files, status.rows.read) == (None, 0, 0)
    assert status.datasets["a"].latency_ms.p50 is None


def test_an_unchanged_object_is_fetched_once(tmp_path: Path) -> None:
    store = CountingStore(tmp_path)
    publish_status(store)
    published = Published(store)
    assert published.status() is published.status()
    assert store.fetched == [STATUS]


def test_a_rewritten_object_is_fetched_again(tmp_path: Path) -> None:
    store = CountingStore(tmp_path)
    published = Published(store)
    for sold in ([1, 2, 3], [4, 5, 6]):
        publish_companydata(store, sold)
        summary = published.summary("companydata")
        assert summary is not None
        assert sorted(summary.frame["Sold"]) == sold
    assert store.fetched == [summary_key("companydata")] * 2


def test_a_deleted_object_is_gone(store: ObjectStore) -> None:
    publish_companydata(store, [1, 2, 3])
    published = Published(store)
    assert published.summary("companydata") is not None
    store.delete(summary_key("companydata"))
    assert published.summary("companydata") is None


@pytest.mark.parametrize("key", [STATUS, LOADS, summary_key("a")])
def test_an_object_that_is_not_ours_is_named(store: ObjectStore, key: str) -> None:
    store.put(key, b'{"writer": 7')
    published = Published(store)
    read = {STATUS: published.status, LOADS: published.loads}.get(key, lambda: published.summary("a"))
    with pytest.raises(UnreadableError, match=re.escape(key)):
        read()


def test_loads_without_a_column_are_named(store: ObjectStore) -> None:
    publish_summary(store, "a", {"Dept": ["x"], "rows": [1]}, None)
    with store.open(summary_key("a")) as (_, stream):
        store.put(LOADS, stream.read())
    with pytest.raises(UnreadableError, match="source_key"):
        Published(store).loads()


def test_a_summary_is_sorted_by_its_groups(store: ObjectStore) -> None:
    publish_companydata(store, [1405, 1333, 1290])
    summary = Published(store).summary("companydata")
    assert summary is not None
    assert (summary.groups, summary.measures) == (["Dept"], ["Sold", "Returned", "Ordered"])
    assert list(summary.frame.columns) == ["Dept", "Sold", "Returned", "Ordered", "rows"]
    assert summary.frame.iloc[0].tolist() == ["Books", 1333, 101, 388, 8]
    assert datetime.now(UTC) - summary.updated_at < timedelta(minutes=1)


def test_without_roles_text_columns_are_groups(store: ObjectStore) -> None:
    publish_summary(store, "a", {"kind": ["x"], "place": ["y"], "rows": [2], "units": [3]}, None)
    summary = Published(store).summary("a")
    assert summary is not None
    assert (summary.groups, summary.measures) == (["kind", "place"], ["units"])


def test_a_summary_adds_up_to_fewer_groups(store: ObjectStore) -> None:
    columns = {"kind": ["x", "x", None], "place": ["p", "q", "p"], "rows": [1, 2, 3], "units": [10, 20, 30]}
    publish_summary(store, "a", columns, {"groupBy": ["kind", "place"], "sum": ["units"]})
    summary = Published(store).summary("a")
    assert summary is not None
    assert summary.by(["kind", "place"]) is summary
    by_kind = summary.by(["kind"])
    assert by_kind.groups == ["kind"]
    assert by_kind.frame.fillna({"kind": ""}).to_dict("list") == {"kind": ["x", ""], "units": [30, 30], "rows": [3, 3]}
    assert summary.by([]).frame.to_dict("list") == {"units": [60], "rows": [6]}


def test_sums_stay_exact_to_64_bits(store: ObjectStore) -> None:
    largest = 2**63 - 1
    roles = {"groupBy": ["kind"], "sum": ["units", "price"]}
    columns = {"kind": ["x", None], "rows": [1, 1], "units": [largest, -largest], "price": [0.5, 1.0]}
    publish_summary(store, "a", columns, roles)
    summary = Published(store).summary("a")
    assert summary is not None
    assert summary.frame["units"].tolist() == [largest, -largest]
    assert summary.by([]).frame.to_dict("list") == {"units": [0], "price": [1.5], "rows": [2]}
    publish_summary(store, "b", columns | {"units": [largest, -1]}, roles)
    other = Published(store).summary("b")
    assert other is not None
    assert other.by([]).frame["units"].tolist() == [largest - 1]


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([9 * 10**18] * 2, 18 * 10**18),
        ([2**63 - 1] * 1000, 1000 * (2**63 - 1)),
        ([-(2**63)] * 2, -(2**64)),
        ([5, None], None),  # null is a sum beyond 64 bits, and so is any sum with it
        ([1e308, 1e308], None),  # beyond any float, which is not infinite
        ([1e308, 1e308, -1e308], 1e308),
        ([0.1] * 10, 1.0),
        ([1.5, math.inf], math.inf),
        ([1.5, math.nan, None], None),
        ([math.inf, -math.inf], math.nan),
        ([Decimal("0.10")] * 3, Decimal("0.30")),
        ([Decimal("1" * 30 + ".01"), Decimal("0.01")], Decimal("1" * 30 + ".02")),
        ([Decimal("0.10"), None], None),
    ],
)
def test_a_sum_of_sums_is_exact_or_unknown_and_never_another(
    store: ObjectStore, values: list[Any], total: float | Decimal | None
) -> None:
    columns = {"kind": [f"{number}" for number in range(len(values))], "rows": [1] * len(values), "sum": values}
    columns["half"] = ["a"] * len(values)
    publish_summary(store, "a", columns, {"groupBy": ["half", "kind"], "sum": ["sum"]})
    summary = Published(store).summary("a")
    assert summary is not None
    for groups in ([], ["half"]):
        found = summary.by(groups).frame["sum"].tolist()
        assert repr(None if found[0] is pd.NA else found[0]) == repr(total)


def test_unknown_and_not_a_number_are_groups_of_their_own(store: ObjectStore) -> None:
    ratios = [math.nan, None, 1.5, math.nan, None]
    columns = {"ratio": ratios, "kind": list("abcde"), "rows": [1, 2, 3, 4, 5]}
    publish_summary(store, "a", columns, {"groupBy": ["ratio", "kind"], "sum": []})
    summary = Published(store).summary("a")
    assert summary is not None
    assert sorted(summary.by(["ratio"]).frame["rows"].tolist()) == [3, 5, 7]


def test_an_object_with_columns_of_another_type_is_named(store: ObjectStore) -> None:
    publish_summary(store, "a", {"kind": ["x"], "rows": ["many"]}, {"groupBy": ["kind"], "sum": []})
    with pytest.raises(UnreadableError, match="rows is string: expected numbers"):
        Published(store).summary("a")
    publish_loads(store, [load("raw/companydata/a.csv")])
    with store.open(LOADS) as (_, stream):
        table = pq.read_table(io.BytesIO(stream.read()))
    store.put(LOADS, parquet(table.set_column(table.schema.get_field_index("loaded_at"), "loaded_at", [["soon"]])))
    with pytest.raises(UnreadableError, match=r"loads\.parquet"):
        Published(store).loads()
    publish_loads(store, [load("raw/companydata/a.csv", dataset=None)])
    with pytest.raises(UnreadableError, match="column dataset has no value in 1 rows"):
        Published(store).loads()


class Replacing(LocalStore):
    """Folder in which an object is replaced while it is read, the first times."""

    replaced = 0

    @contextmanager
    def open(self, key: str) -> Iterator[tuple[ObjectInfo, BinaryIO]]:
        with super().open(key) as opened:
            yield opened
            if self.replaced < 2:
                self.replaced += 1
                raise ObjectChanged(key)


def test_a_read_that_met_a_replacement_is_repeated(tmp_path: Path) -> None:
    store = Replacing(tmp_path)
    publish_status(store)
    assert Published(store).status() is not None
    assert store.replaced == 2


def test_loads_tell_how_long_each_took(store: ObjectStore) -> None:
    noticed = datetime(2026, 1, 31, 13, tzinfo=UTC)
    reason = "not in a dataset's folder: move it to raw/<dataset>/"
    never = {"landed_at": noticed, "noticed_at": noticed, "started_at": None, "loaded_at": None, "rows_kept": None}
    ignored = load("raw/notes.txt", dataset="", status="ignored", first_problem=reason, **never)
    publish_loads(store, [load("raw/companydata/a.csv"), ignored])
    loads = Published(store).loads()
    assert loads is not None
    assert loads["source_key"].tolist() == ["raw/notes.txt", "raw/companydata/a.csv"]  # the latest first
    assert loads["milliseconds"].isna().tolist() == [True, False]
    assert loads["milliseconds"][1] == 11
    assert loads["first_problem"][0] == reason


def test_a_heartbeat_ages(store: ObjectStore) -> None:
    publish_status(store, writer=writer(seconds_ago=40))
    status = Published(store).status()
    assert status is not None
    assert status.writer is not None
    assert datetime.now(UTC) - status.writer.heartbeat_at >= timedelta(seconds=40)
