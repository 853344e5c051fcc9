import io

import pyarrow.parquet as pq

from dashboard.shared.problem_counts import MAX_COLUMNS, OTHERS, Counts, by_rule, count_problems
from dashboard.shared.published import Published
from lake.layout import LOADS
from lake.stores.base import ObjectStore
from tests.support.publish import counted, load, problem, publish_loads, put_rejected, refusal

A, B = "raw/companydata/a.csv", "raw/orders/deep/b.csv.gz"


def read(store: ObjectStore, *loads: dict) -> Counts:
    publish_loads(store, list(loads))
    with store.open(LOADS) as (_, stream):
        return count_problems(pq.read_table(io.BytesIO(stream.read())))


def test_each_rule_and_column_of_a_file_is_a_row(store: ObjectStore) -> None:
    first = load(A, rows_rejected=2, problems=counted(("type", "Sold", 3), ("fields", None, 1)))
    counts = read(
        store, load("raw/orders/good.csv"), first, load(B, status="refused", problems=counted(("x", None, 1)))
    )
    assert counts.frame[["dataset", "source_key", "rule", "column", "problems"]].astype(object).fillna(
        ""
    ).values.tolist() == [
        ["companydata", A, "type", "Sold", 3],
        ["companydata", A, "fields", "", 1],
        ["orders", B, "x", "", 1],
    ]
    assert counts.frame["landed"].tolist() == [int(first["landed_at"].timestamp())] * 3
    assert (counts.loads, counts.uncounted) == (3, 0)


def test_any_number_of_column_names_is_bounded(store: ObjectStore) -> None:
    many = [("type", f"column {number}", number + 1) for number in range(MAX_COLUMNS + 5)]
    frame = read(store, load(A, rows_rejected=9, problems=counted(*many, ("size", None, 3)))).frame
    assert frame["problems"].sum() == sum(number for *_, number in many) + 3
    assert frame["column"].nunique() == MAX_COLUMNS + 1
    assert frame.loc[frame["column"] == OTHERS, "problems"].sum() == 1 + 2 + 3 + 4 + 5
    assert frame["column"].isna().sum() == 1


def test_what_was_not_counted_is_known(store: ObjectStore) -> None:
    counts = read(store, load(A, rows_rejected=2, problems=None), load(B, status="refused"), load("raw/orders/c.csv"))
    assert (len(counts.frame), counts.uncounted) == (0, 2)


def test_nothing_to_count(store: ObjectStore) -> None:
    assert Published(store).counts() is None
    assert read(store).frame.empty
    assert read(store, load(A), load(B, status="pending", rows_rejected=None)).frame.empty


def test_problems_are_added_up_by_rule_and_column_with_an_example(store: ObjectStore) -> None:
    counts = read(
        store,
        load(A, rows_rejected=2, problems=counted(("required", "Dept", 1), ("type", "Sold", 2))),
        load(B, rows_rejected=2, problems=counted(("type", "Sold", 5), ("header", None, 1), ("size", None, 1))),
    )
    put_rejected(store, A, [problem(3), problem(4, value="y"), problem(4, "required", "Dept")])
    put_rejected(store, B, [refusal()])
    problems = Published(store).problems()
    assert problems is not None
    assert by_rule(counts.frame, problems.frame).fillna("").values.tolist() == [
        ["type", "Sold", 7, 2, "'x' breaks type"],
        ["required", "Dept", 1, 1, "'x' breaks required"],
        ["header", "", 1, 1, "None breaks header"],
        ["size", "", 1, 1, ""],  # of a file whose problems were not read
    ]
