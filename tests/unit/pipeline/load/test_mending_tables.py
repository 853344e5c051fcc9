"""Rejected rows of Parquet files and workbooks from export to load: put back as they are, and corrected."""

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.workbook.archive import Bounds
from common.workbook.cells import Cell, CellError, unpack
from common.workbook.process import open_sheet
from lake.mending import version_of
from lake.rejects import CannotExport, read_rejected_records
from pipeline.dataset.dataset import Dataset
from tests.support.loads import Loads
from tests.support.workbooks import FILES, NOON, SHEET, books, edited, of_rows, saved

PARQUET = "raw/numbers/a.parquet"


def as_parquet(table: pa.Table, **settings: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **settings)
    return out.getvalue()


def faults(loads: Loads, key: str) -> list[tuple]:
    """Return column and rule of each problem, record by record."""
    return [(row["column"], row["rule"]) for row in loads.rejected(key)]


def marks(loads: Loads, key: str, *lines: int) -> list[str]:
    version = version_of(key, loads.store.stat(key).etag)
    return [f"{line}@{version}" for line in lines]


def all_are_mended(loads: Loads, dataset: Dataset, key: str) -> bool:
    with pytest.raises(CannotExport, match="are mended: nothing is left to correct"):
        loads.export(dataset.contract, key)
    return True


FRAME = pd.DataFrame({"name": ["a", None, "c", "d", None], "n": [1, 2, -3, 4, 5], "x": [0.5, 1.5, None, 3.5, 4.5]})


def test_rows_of_parquet_come_with_their_types_and_go_back(loads, write_dataset):
    """From several row groups; a person corrects one in pandas, which writes the file anew, then the others."""
    dataset = write_dataset()
    loads(dataset, as_parquet(pa.Table.from_pandas(FRAME), row_group_size=2), PARQUET)
    proposed, content = loads.export(dataset.contract, PARQUET)
    assert proposed == "raw/numbers/a.fixed-1.parquet"
    frame = pd.read_parquet(io.BytesIO(content))
    assert frame.pop("_mends").to_list() == marks(loads, PARQUET, 2, 3, 5)
    pd.testing.assert_frame_equal(frame, FRAME.iloc[[1, 2, 4]].reset_index(drop=True))

    loads(dataset, content, proposed)  # as it is
    assert faults(loads, proposed) == faults(loads, PARQUET)
    corrected = pd.read_parquet(io.BytesIO(content))
    corrected.loc[0, "name"] = "b"
    loads(dataset, as_parquet(pa.Table.from_pandas(corrected)), proposed)
    assert loads.clean(proposed).select(["name", "n", "_line"]).to_pylist() == [{"name": "b", "n": 2, "_line": 1}]
    assert list(read_rejected_records(loads.store, PARQUET).open) == [3, 5]

    second, content = loads.export(dataset.contract, proposed)
    corrected = pd.read_parquet(io.BytesIO(content))
    assert corrected["_mends"].to_list() == marks(loads, PARQUET, 3, 5)
    corrected["n"], corrected["name"] = [3, 5], ["c", "e"]
    loads(dataset, as_parquet(pa.Table.from_pandas(corrected[["_mends", "name", "n", "x"]])), second)
    assert all_are_mended(loads, dataset, PARQUET)


NEGATIVE = {"fields": [{"name": "n", "type": "integer", "constraints": {"minimum": 0}}], "fieldsMatch": "subset"}
TYPED = pa.table(
    {
        "n": pa.array([-1, -2], pa.int64()),
        "name": pa.array(["a", "b"]).dictionary_encode(),
        "x": pa.array([1.5, None]),
        "money": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
        "day": pa.array([date(2026, 1, 31), None]),
        "at": pa.array([datetime(2026, 1, 31, 12, tzinfo=UTC), None], pa.timestamp("ns", "UTC")),
        "clock": pa.array([time(7, 30), None], pa.time64("us")),
        "bytes": pa.array([b"\xff\x00", None]),
        "tags": pa.array([["x", None], None], pa.list_(pa.string())),
        "shape": pa.array([{"a": 1}, None]),
        "none": pa.nulls(2),
        "view": pa.array(["v", None], pa.string_view()),
        "_mends": pa.array(["not ours", None]),
    }
).replace_schema_metadata({"writer": "a"})


def test_all_types_of_parquet_stay(loads, write_dataset):
    dataset = write_dataset(schema=NEGATIVE, summary={})
    loads(dataset, as_parquet(TYPED), PARQUET)
    written = pq.read_table(io.BytesIO(loads.export(dataset.contract, PARQUET)[1]))
    columns = TYPED.column_names[:-1]
    assert written.schema.metadata == {b"writer": b"a"}
    assert written.select(columns).equals(TYPED.select(columns))
    assert written["_mends"].to_pylist() == marks(loads, PARQUET, 1, 2)


def test_columns_of_one_name_stay_and_names_that_differ_in_case_cannot(loads, write_dataset):
    dataset = write_dataset(schema=NEGATIVE, summary={})
    names = ["n", "z", "z"]
    loads(dataset, as_parquet(pa.Table.from_arrays([pa.array([-1]), pa.array(["a"]), pa.array(["b"])], names)), PARQUET)
    written = pq.ParquetFile(io.BytesIO(loads.export(dataset.contract, PARQUET)[1])).read()
    assert written.column_names == [*names, "_mends"]
    assert [column.to_pylist() for column in written.columns[1:3]] == [["a"], ["b"]]
    loads(dataset, as_parquet(pa.table({"n": [-1], "z": [1], "Z": [2]})), PARQUET)
    with pytest.raises(CannotExport, match="differ in case alone: rename them"):
        loads.export(dataset.contract, PARQUET)


def test_memory_is_bounded_where_values_are_stored_once(loads, write_dataset):
    """The rows have 4,096 times as much text as the file."""
    item = pa.array([["x" * (1 << 16)]] * 128)
    table = pa.table({"n": pa.chunked_array([pa.array([-1] * 128)] * 32), "texts": pa.chunked_array([item] * 32)})
    dataset = write_dataset(schema=NEGATIVE, summary={})
    loads(dataset, as_parquet(table), PARQUET)
    del table
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(pool)
    try:
        loads.export(dataset.contract, PARQUET)
    finally:
        pa.set_memory_pool(before)
    assert 0 < pool.max_memory() < 160 << 20
    with pytest.raises(CannotExport, match="too large for a page"):
        loads.export(dataset.contract, PARQUET, most=64 << 20)


@pytest.mark.parametrize("match", ["exact", "subset", "superset", "partial"])
def test_contracts_that_take_other_columns_take_the_marks(loads, write_dataset, match):
    """The mark is no surplus column: it is not in `_more`, and no clean column."""
    fields = [{"name": "n", "type": "integer", "constraints": {"minimum": 0}}, {"name": "name"}]
    keeps_more = match in ("subset", "partial")
    dataset = write_dataset(schema={"fields": fields, "fieldsMatch": match}, summary={}, more=keeps_more)
    name, more = {} if match == "superset" else {"name": ["a"]}, {"z": ["more"]} if keeps_more else {}
    loads(dataset, as_parquet(pa.table({"n": [-1], **name, **more})), PARQUET)
    proposed, content = loads.export(dataset.contract, PARQUET)
    table = pq.read_table(io.BytesIO(content)).set_column(0, "n", pa.array([7]))
    loads(dataset, as_parquet(table.select(["_mends", *table.column_names[:-1]])), proposed)
    [row] = loads.clean(proposed).to_pylist()
    assert row["n"] == 7
    assert row.get("_more") == ('{"z": "more"}' if keeps_more else None)
    assert "_mends" not in row
    assert all_are_mended(loads, dataset, PARQUET)


SHEET_FIELDS = {"fields": [{"name": "n", "type": "integer", "constraints": {"minimum": 0}}, {"name": "cell"}],
                "fieldsMatch": "subset"}  # fmt: skip


def cells_of(content: bytes) -> tuple[str, list[list[Cell]]]:
    """Return the name of the first sheet, and its rows."""
    name, blocks = open_sheet(io.BytesIO(content), None, None, Bounds(1 << 28, 200))
    return name, [list(row) for *_, columns in blocks for row in zip(*map(unpack, columns), strict=True)]


CELLS = ["=1+1", "#N/A", "'x", "  sp ", " ", "\u3000", "a\r\nb\tc", "_x0041_", "é😀<&>", "0012", 0.1 + 0.2, 1e300, 12,
         True, False, date(2026, 1, 31), NOON, NOON.replace(microsecond=123000), date(1900, 1, 1), time(7, 30), time(0),
         timedelta(hours=30), timedelta(hours=-1), timedelta(0), "x" * 32_767]  # fmt: skip


def test_cells_of_every_type_come_as_they_are(loads, write_dataset):
    def typed(sheet):
        for row in range(2, len(CELLS) + 2):
            if isinstance(sheet.cell(row, 2).value, str):
                sheet.cell(row, 2).data_type = "s"
        sheet["B99"] = "#DIV/0!"
        sheet["A99"], sheet["B99"].data_type = -1, "e"

    dataset, key = write_dataset(schema=SHEET_FIELDS, summary={}), "raw/numbers/a.xlsx"
    content = of_rows(["n", "cell"], *([-1, cell] for cell in CELLS), change=typed)
    content = edited(content, SHEET, lambda xml: xml.replace(b"<v>0.3</v>", b"<v>0.30000000000000004</v>"))
    loads(dataset, content, key)
    proposed, exported = loads.export(dataset.contract, key)
    [_, *rows], [header, *written] = cells_of(content)[1], cells_of(exported)[1]
    assert header == ["n", "cell", "_mends"]
    assert 0.1 + 0.2 in [row[1] for row in written]
    assert [row[:2] for row in written] == [row for row in rows if row[0] != ""]
    assert written[-1][1] == CellError("#DIV/0!")
    assert [row[2] for row in written] == marks(loads, key, *range(2, len(CELLS) + 2), 99)
    loads(dataset, exported, proposed)
    assert faults(loads, proposed) == faults(loads, key)


OFFICE = {"id": "integer", "day": "date", "at": "datetime", "ok": "boolean", "price": "number", "note": "string"}


@pytest.mark.parametrize("kind", ["xlsx", "xls", "ods"])
def test_workbooks_of_each_kind_go_back_as_xlsx(loads, write_dataset, kind):
    """Put back as it is, the same is rejected; corrected in the spreadsheet, all is mended."""
    schema = {"fields": [{"name": name, "type": type_} for name, type_ in OFFICE.items()]}
    dataset, key = write_dataset(schema=schema, summary={}), f"raw/numbers/table.{kind}"
    loads(dataset, (FILES / f"table.{kind}").read_bytes(), key)
    proposed, content = loads.export(dataset.contract, key)
    assert proposed == "raw/numbers/table.fixed-1.xlsx"
    loads(dataset, content, proposed)
    assert faults(loads, proposed) == faults(loads, key)

    book = openpyxl.load_workbook(io.BytesIO(content))
    for row in book.active.iter_rows(min_row=book.active.max_row - 2, max_col=len(OFFICE)):
        for cell, value in zip(row, (7, date(2026, 1, 31), NOON, True, 2.5, "note"), strict=True):
            cell.value = value
    loads(dataset, saved(book), proposed)
    assert loads.clean(proposed)["id"].to_pylist() == [7, 7, 7]
    assert all_are_mended(loads, dataset, key)


FIELDS = {"fields": [{"name": "a", "type": "integer"}, {"name": "b", "type": "string"}]}
REQUIRED = {"fields": [{"name": "a", "type": "integer", "constraints": {"required": True}}, {"name": "b"}]}
JOINED = {"fields": [{"name": "x a", "type": "integer"}, {"name": "x b"}]}
TABS = books(("notes", "hidden", [["x"]]), ("one", "visible", [["y"]]), ("two", "visible", [["a", "b"], ["x", 1]]))
SHEETS = {
    "further down and right": ({}, FIELDS, of_rows(["a", "b"], [1, "x"], ["x", "y"], first="C4"),
                               {"C4": "a", "E4": "_mends", "C5": "x", "D5": "y"}),
    "a title, comments and a total": (
        {"headerRows": [3], "commentChar": "#", "commentRows": [5], "footerRows": 1}, FIELDS,
        of_rows(["Sales", None, None, 2026], [], ["a", "b"], ["# no"], ["kg", "kg"], ["x", "y"], ["all", "z"]),
        {"A1": "Sales", "D1": 2026, "A3": "a", "C3": "_mends", "A4": "x"}),
    "comments by their number above the header": (
        {"commentRows": [1, 3]}, FIELDS, of_rows(["Sales"], [], ["2026"], ["a", "b"], ["x", "y"]),
        {"A1": "Sales", "A3": None, "A4": "a", "C4": "_mends", "A5": "x"}),
    "a header of two rows": ({"headerRows": [1, 2]}, JOINED, of_rows(["x"], ["a", "b"], [1, 2], ["y", 2]),
                             {"A1": "x", "B1": None, "C2": "_mends", "A3": "y"}),
    "the rows of a header have other widths": (
        {"headerRows": [1, 2], "headerJoin": ""}, {"fields": [{"name": "xa", "type": "integer"}, {"name": "ya"}]},
        of_rows(["x", "y"], ["a"], ["z", 2]), {"B1": "y", "B2": "a", "C2": "_mends", "A3": "z"}),
    "no header": ({"header": False, "commentRows": [1]}, REQUIRED, of_rows(["t"], [1, "x"], [None, "y"], ["z"]),
                  {"A1": "", "B1": "y", "A2": "z", "B2": None}),
    "a sheet by its number": ({"sheetNumber": 2}, FIELDS, TABS, {"A2": "x", "B2": 1}),
    "a sheet by its name": ({"sheetName": "two"}, FIELDS, TABS, {"A2": "x", "B2": 1}),
    "a value beyond the header": ({}, FIELDS, of_rows(["a", "b"], [1, "x", None, "y"]),
                                  {"A2": 1, "B2": "x", "D2": None, "E2": "y"}),
}  # fmt: skip


@pytest.mark.parametrize(("dialect", "schema", "content", "expected"), SHEETS.values(), ids=SHEETS)
def test_the_same_contract_reads_the_exported_sheet(loads, write_dataset, dialect, schema, content, expected):
    """Rows above the header stay where the dialect looks for them; what is as it was is rejected by the same rule."""
    dataset, key = write_dataset(dialect=dialect, schema=schema, summary={}), "raw/numbers/a.xlsx"
    loads(dataset, content, key)
    proposed, exported = loads.export(dataset.contract, key)
    book = openpyxl.load_workbook(io.BytesIO(exported))
    assert {place: book.active[place].value for place in expected} == expected
    assert book.sheetnames == ["two" if content is TABS else "Sheet"]
    loads(dataset, exported, proposed)
    assert faults(loads, proposed) == faults(loads, key)

    for row in book.active.iter_rows():
        if any("@" in str(cell.value) for cell in row):
            first = next(cell for cell in row if cell.column == (3 if "C5" in expected else 1))
            first.value = 7
            for cell in row[4:] if dialect == {} and "E2" in expected else ():
                cell.value = None
    loads(dataset, saved(book), proposed)
    assert set(loads.clean(proposed).column(0).to_pylist()) == {7}
    assert all_are_mended(loads, dataset, key)


def test_a_sheet_whose_name_no_xlsx_can_have(loads, write_dataset):
    mark, book = b'table:name="', (FILES / "table.ods").read_bytes()
    content = edited(book, "content.xml", lambda data: data.replace(mark, mark + b"a:b "))
    name, _ = cells_of(content)
    schema = {"fields": [{"name": name, "type": type_} for name, type_ in OFFICE.items()]}
    dataset, key = write_dataset(schema=schema, summary={}), "raw/numbers/table.ods"
    loads(dataset, content, key)
    assert cells_of(loads.export(dataset.contract, key)[1])[0] == name.replace(":", "_")
    dataset = write_dataset(schema=schema, summary={}, dialect={"sheetName": name})
    with pytest.raises(CannotExport, match=r"no sheet of an \.xlsx file may have the name 'a:b"):
        loads.export(dataset.contract, key)


@pytest.mark.parametrize(
    ("key", "content"),
    [
        (PARQUET, as_parquet(pa.table({"a": [None], "b": ["x"]}))),
        ("raw/numbers/a.xlsx", of_rows(["a", "b"], ["x", "y"])),
    ],
    ids=["parquet", "workbook"],
)
def test_why_no_table_can_be_exported(loads, write_dataset, key, content):
    """Too large for a page, or changed after it was loaded."""
    dataset = write_dataset(schema=REQUIRED, summary={})
    loads(dataset, content, key)
    with pytest.raises(CannotExport, match=f"too large for a page: run `python -m pipeline rejects export {key}`"):
        loads.export(dataset.contract, key, most=12)
    loads.store.put(key, content + b" ")
    with pytest.raises(CannotExport, match="was changed after it was loaded"):
        loads.export(dataset.contract, key)
