"""Workbooks in a lake: loaded, rejected and refused as they are, and the recount agrees."""

import io

import pyarrow.parquet as pq

from tests.support.lake import HEADER
from tests.support.workbooks import FILES, error_at, of_rows

ROWS = [
    HEADER.split(","),
    ["1-Jan", "Toys", "North", 12.0, 1, 3],
    ["2-Jan", "Toys", "South", 5, 1, 2],
    ["3-Jan", "Shoes", "South", "many", 1, 2],
    ["4-Jan", "Shoes", "South", 4, None, 2],
]


def test_workbooks_are_loaded(local_lake):
    book = of_rows(*ROWS, change=lambda sheet: error_at(sheet, "E5"))
    local_lake.put("companydata/sales.XLSX", book)
    local_lake.put("companydata/cut.xlsx", book[:3000])
    local_lake.put("companydata/password.xls", (FILES / "password.xls").read_bytes())
    local_lake.put("companydata/macros.xlsm", book)

    assert local_lake.command("once").returncode == 0

    loads = local_lake.loads()
    counts = {name.removeprefix("companydata/"): (row["status"], row["rows_kept"]) for name, row in loads.items()}
    assert counts == {
        "sales.XLSX": ("loaded", 2),
        "cut.xlsx": ("refused", 0),
        "password.xls": ("refused", 0),
        "macros.xlsm": ("ignored", 0),
    }
    assert local_lake.sums() == {"Toys": [2, 17, 2, 5]}
    with local_lake.store.open("rejected/companydata/sales.XLSX.parquet") as (_, stream):
        rejects = pq.read_table(io.BytesIO(stream.read())).to_pylist()
    assert [(one["line"], one["column"], one["rule"], one["value"], one["raw"]) for one in rejects] == [
        (4, "Sold", "type", "many", "3-Jan\tShoes\tSouth\tmany\t1\t2"),
        (5, "Returned", "type", "#REF!", "4-Jan\tShoes\tSouth\t4\t#REF!\t2"),
    ]
    assert rejects[1]["message"] == "the cell has the error #REF!: correct its formula, or what it reads"
    verified = local_lake.command("verify")
    assert verified.returncode == 0, verified.stdout
