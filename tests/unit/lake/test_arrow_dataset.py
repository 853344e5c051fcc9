"""Parquet objects that were written under several contracts, read as one dataset."""

import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lake.stores.arrow_dataset import SAMPLE, SchemaChanged, sampled
from lake.stores.common_schema import SchemaConflict
from lake.stores.local import LocalStore

DATASET = "clean/things/"
UTC_TIME = pa.timestamp("us", "UTC")
LATE = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


def put(lake: LocalStore, name: str, age: int, table: pa.Table | None = None, **columns: pa.Array) -> None:
    """Put an object that was written `age` seconds ago."""
    sink = pa.BufferOutputStream()
    pq.write_table(table or pa.table(columns), sink)
    lake.put(DATASET + name, sink.getvalue().to_pybytes())
    os.utime(lake.root / DATASET / name, (1e9 - age, 1e9 - age))


def pair(lake: LocalStore, names: tuple[str, str], older: pa.Array, newer: pa.Array) -> list[Any]:
    put(lake, names[0], 9, c=older)
    put(lake, names[1], 0, c=newer)
    table = lake.dataset(DATASET).to_table()
    assert table.schema.field("c").type == newer.type
    return sorted(table["c"].to_pylist(), key=str)


RIGHT = {
    "integer, text": (pa.array([10001, None]), pa.array(["00501"]), ["00501", "10001", None]),
    "date, time": (
        pa.array([date(2026, 1, 31)]),
        pa.array([LATE], UTC_TIME),
        [datetime(2026, 1, 31, tzinfo=UTC), LATE],
    ),
    "integer, number": (pa.array([2**53, 3]), pa.array([2.5]), [2.5, 3.0, 2.0**53]),
    "nothing, text": (pa.nulls(1), pa.array(["x"]), [None, "x"]),
    "narrow, wide": (pa.array([1], pa.int8()), pa.array([2**40]), [1, 2**40]),
    "wide, narrow": (pa.array([1]), pa.array([2], pa.int8()), [1, 2]),
    "categories, text": (pa.array(["a"]).dictionary_encode(), pa.array(["b"]), ["a", "b"]),
    "float, double": (pa.array([0.5], pa.float32()), pa.array([0.1]), [0.1, 0.5]),
    "decimals": (pa.array([Decimal("1.5")]), pa.array([Decimal("10.25")]), [Decimal("1.50"), Decimal("10.25")]),
}
WRONG = {
    "boolean, integer": (pa.array([True]), pa.array([5])),
    "integer, boolean": (pa.array([5]), pa.array([True])),
    "text, integer": (pa.array(["00501"]), pa.array([10001])),
    "number, integer": (pa.array([2.0]), pa.array([1])),
    "number, text": (pa.array([2.0]), pa.array(["2.00"])),
    "date, text": (pa.array([date(2026, 1, 31)]), pa.array(["31.01.2026"])),
    "time, date": (pa.array([LATE], UTC_TIME), pa.array([date(2026, 1, 31)])),
    "zones": (pa.array([LATE], pa.timestamp("us")), pa.array([LATE], UTC_TIME)),
    "too large for a double": (pa.array([2**53 + 1]), pa.array([2.5])),
    "too large for an integer": (pa.array([300]), pa.array([1], pa.int8())),
    "finer": (pa.array([1], pa.timestamp("us")), pa.array([1], pa.timestamp("s"))),
    "lists": (pa.array([[1]]), pa.array([["a"]])),
}
both_orders = pytest.mark.parametrize("names", [("a", "b"), ("b", "a")], ids=["older first", "newer first"])


@both_orders
@pytest.mark.parametrize("case", RIGHT)
def test_values_of_an_older_contract_keep_their_meaning(lake: LocalStore, case: str, names: tuple[str, str]) -> None:
    older, newer, expected = RIGHT[case]
    assert pair(lake, names, older, newer) == sorted(expected, key=str)


@both_orders
@pytest.mark.parametrize("case", WRONG)
def test_what_has_no_right_value_is_refused(lake: LocalStore, case: str, names: tuple[str, str]) -> None:
    with pytest.raises(SchemaConflict, match=r"column 'c' is .+ in them") as refused:
        pair(lake, names, *WRONG[case])
    assert [info.key for info in refused.value.files] == [DATASET + names[0]]


@both_orders
def test_all_columns_of_all_files_are_there(lake: LocalStore, names: tuple[str, str]) -> None:
    put(lake, names[0], 9, a=pa.array([1]), gone=pa.array(["x"]))
    put(lake, names[1], 0, new=pa.array([2.5]), a=pa.array([2]))
    dataset = lake.dataset(DATASET)
    assert (dataset.schema.names, dataset.older) == (["new", "a", "gone"], 1)
    assert sorted(dataset.to_table().to_pylist(), key=lambda row: row["a"]) == [
        {"new": None, "a": 1, "gone": "x"},
        {"new": 2.5, "a": 2, "gone": None},
    ]


def test_a_column_that_may_have_nulls_now_is_the_same_column(lake: LocalStore) -> None:
    for name, age, required in (("a", 9, True), ("b", 0, False)):
        schema = pa.schema([pa.field("n", pa.int64(), nullable=not required)])
        put(lake, name, age, table=pa.table({"n": [1 if required else None]}, schema))
    dataset = lake.dataset(DATASET)
    assert dataset.older == 0
    assert sorted(dataset.to_table()["n"].to_pylist(), key=str) == [1, None]


def test_a_filter_sees_what_is_shown(lake: LocalStore) -> None:
    put(lake, "a", 9, code=pa.array([501, 10001]), n=pa.array([1, 2]))
    put(lake, "b", 0, code=pa.array(["00501", "501"]), n=pa.array([3, 4]))
    found = lake.dataset(DATASET).to_table(columns=["n"], filter=pc.field("code") == "501")
    assert sorted(found["n"].to_pylist()) == [1, 4]


def test_names_that_differ_in_case_alone_are_refused(lake: LocalStore) -> None:
    put(lake, "a", 9, ID=pa.array([1]))
    put(lake, "b", 0, id=pa.array([2]))
    with pytest.raises(SchemaConflict, match="'id' and 'ID' differ in case alone") as refused:
        lake.dataset(DATASET)
    assert [info.key for info in refused.value.files] == [f"{DATASET}a"]


def test_a_file_whose_names_differ_in_case_alone_is_refused(lake: LocalStore) -> None:
    put(lake, "a", 9, ID=pa.array([1]), id=pa.array([2]))
    with pytest.raises(SchemaConflict, match="'ID' and 'id' differ in case alone") as refused:
        lake.dataset(DATASET)
    assert [info.key for info in refused.value.files] == [f"{DATASET}a"]


def test_a_file_outside_of_the_sample_is_looked_at_when_it_is_read(lake: LocalStore) -> None:
    for number in range(SAMPLE + 1):
        put(lake, f"{number:03}", SAMPLE - number, n=pa.array([number]))
    objects = set(lake.list(DATASET))
    (beyond,) = objects - set(sampled(objects))
    number = int(beyond.key[-3:])
    put(lake, f"{number:03}", SAMPLE - number, n=pa.array([number]), new=pa.array(["x"]))
    dataset = lake.dataset(DATASET)
    with pytest.raises(SchemaChanged):
        dataset.to_table()
    assert dataset.to_table()["new"].drop_null().to_pylist() == ["x"]
    assert (dataset.older, dataset.more) == (1, True)
