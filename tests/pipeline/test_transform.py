"""A user's own code between the good rows and the clean object: what it may do, and what refuses the file."""

from dataclasses import replace

import pandas as pd
import pytest

from pipeline.recipe import read_datasets

HEADER = b"name,n,x\n"
ROWS = HEADER + b"a,1,0.5\nb,2,1.5\nc,3,2.5\n"


def drop_b(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["name"] != "b"]


def drop_all(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["n"] < 0]


def test_dropped_rows_are_counted(loads, write_dataset):
    for transform, kept in ((drop_b, ["a", "c"]), (drop_all, [])):
        record = loads(replace(write_dataset(), transform=transform), ROWS).record
        counts = (record.rows_read, record.rows_kept, record.rows_dropped, record.rows_rejected)
        assert counts == (3, len(kept), 3 - len(kept), 0)
        assert loads.clean()["name"].to_pylist() == kept
        assert [one["group"]["name"] for one in record.share] == kept


def test_rejected_rows_never_reach_it(loads, write_dataset):
    seen = []

    def look(frame: pd.DataFrame) -> pd.DataFrame:
        seen.extend(frame["_line"].tolist())
        return frame

    loads(replace(write_dataset(), transform=look), ROWS + b"d,many,1\ne,4,1\n")
    assert seen == [2, 3, 4, 6]


@pytest.mark.parametrize(
    "transform",
    [
        lambda frame: frame.iloc[::-1],
        lambda frame: pd.concat([frame, frame]),
        lambda frame: frame.assign(_line=99),
        lambda frame: frame.drop(columns="_line"),
        lambda frame: frame.drop(columns="n"),
        lambda frame: frame.assign(n="text"),
        lambda frame: 1 / 0,  # noqa: ARG005
        lambda frame: None,  # noqa: ARG005
    ],
)
def test_a_broken_one_refuses_the_file(loads, write_dataset, transform):
    record = loads(replace(write_dataset(), transform=transform), ROWS).record
    assert record.status == "refused"
    assert "transform" in record.first_problem
    [problem] = loads.rejected()
    assert (problem["rule"], problem["line"]) == ("transform", None)


def test_the_shipped_one_adds_net(loads):
    content = b"Month,Dept,Store,Sold,Returned,Ordered\n1-Jan,Toys,North,10,3,5\n"
    loads(read_datasets()["companydata"], content)
    assert loads.clean()["Net"].to_pylist() == [7]
