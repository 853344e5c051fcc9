"""Drafted contract is one that we and the standard take, and that the file it was drafted from fits."""

import codecs
import gzip
import io
import json
import re
import subprocess
import sys
from decimal import Decimal

import duckdb
import frictionless
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from common.errors import SettingError
from pipeline.dataset import survey, survey_file
from pipeline.dataset.dataset import read_dataset
from pipeline.dataset.draft import dataset_name, draft, to_text
from pipeline.model.read_contract import read_contract
from pipeline.readers.base import Limits
from pipeline.readers.csv.read import read_csv
from pipeline.readers.formats import reader_of
from tests.support.project import DATASETS


def drafted(content: bytes, tmp_path, file: str = "my.csv"):
    """Draft, write, and read with what was drafted; give the fields by name, the contract, the notes and the rows."""
    made, notes = draft(io.BytesIO(content), file, "my")
    assert frictionless.Resource.validate_descriptor(json.loads(to_text(made))).valid
    path = tmp_path / "my.json"
    path.write_text(to_text(made))
    dataset = read_dataset(path)
    batches = list(read_csv(io.BytesIO(content), file, dataset.contract))
    assert [one for batch in batches for one in batch.problems] == []
    fields = {one["name"]: {key: one[key] for key in one if key != "name"} for one in made["schema"]["fields"]}
    return fields, made, notes, [row for batch in batches for row in batch.rows.to_pylist()]


REQUIRED = {"constraints": {"required": True}}


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        (["1", "-2", " +3 "], {"type": "integer", **REQUIRED}),
        (["1", "NA", "3"], {"type": "integer"}),
        (["00123", "12"], {"type": "string", **REQUIRED}),
        (["9223372036854775808", "1"], {"type": "string", **REQUIRED}),
        (["1.5", "2", "1e3"], {"type": "number", **REQUIRED}),
        (["1.234,5", "2,5"], {"type": "number", "decimalChar": ",", "groupChar": ".", **REQUIRED}),
        (["1,234.5", "2.5"], {"type": "number", "groupChar": ",", **REQUIRED}),
        (["1 234,5", "2"], {"type": "number", "decimalChar": ",", "groupChar": " ", **REQUIRED}),
        (["1,5", "2"], {"type": "number", "decimalChar": ",", **REQUIRED}),
        (["1,2,3", "2"], {"type": "string", **REQUIRED}),
        (["true", "FALSE"], {"type": "boolean", **REQUIRED}),
        (["yes", "no"], {"type": "string", **REQUIRED}),
        (["2026-01-31", "-"], {"type": "date"}),
        (["2026-02-30", "2026-02-03"], {"type": "string", **REQUIRED}),
        (["31/12/2025", "01/02/2026"], {"type": "date", "format": "%d/%m/%Y", **REQUIRED}),
        (["12/31/2025", "01/02/2026"], {"type": "date", "format": "%m/%d/%Y", **REQUIRED}),
        (["31.12.2025"], {"type": "date", "format": "%d.%m.%Y", **REQUIRED}),
        (["2026-01-31T10:00:00Z", "2026-01-31 10:00"], {"type": "datetime", **REQUIRED}),
        (["31.12.2025 23:59"], {"type": "datetime", "format": "%d.%m.%Y %H:%M", **REQUIRED}),
        (["12/31/2025 23:59:59"], {"type": "datetime", "format": "%m/%d/%Y %H:%M:%S", **REQUIRED}),
        (["inf", "1.0"], {"type": "string", **REQUIRED}),
        (["", ""], {"type": "string"}),
        (["a", ""], {"type": "string"}),
    ],
    ids=str,
)
def test_types(tmp_path, cells, field):
    lines = "".join(f'"{cell}",{number}\n' for number, cell in enumerate(cells))
    fields, _, _, rows = drafted(f"x,n\n{lines}".encode(), tmp_path)
    assert fields == {"x": field, "n": {"type": "integer", **REQUIRED}}
    assert len(rows) == len(cells)


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (["01/02/2026", "03/04/2026"], "column x: 01/02/2026 may be day or month first; taken: %d/%m/%Y"),
        (["0", "1"], "column x: 0 and 1 alone: integer, or boolean?"),
        (["00123"], "column x: 00123 begins with a zero, as codes do: string"),
        (["1,234"], "column x: is 1,234 a fraction, or thousands? Taken: decimalChar '.'"),
        (["1.234"], "column x: is 1.234 a fraction, or thousands? Taken: decimalChar '.'"),
        (["20260131"], 'column x: integer, or dates like 20260131 (type "date", format "%Y%m%d")?'),
        (["2026-01-31T10:00:00"], "column x: its times have no zone: read as UTC"),
        (
            [*map(str, range(20)), "many"],
            "column x: 1 of 21 different values are no integer ('many'): string; where that is the file's mistake, "
            'write "type": "integer"',
        ),
        (
            ["1", "2", "3", "many", "n/a"],
            "column x: 1 of 4 different values are no integer ('many'): string; where that is the file's mistake, "
            'write "type": "integer", and \'n/a\' into missingValues',
        ),
        (
            ["31.12.2025", "30.02.2026", "13.01.2026", "14.01.2026"],
            "column x: 1 of 4 different values are no date ('30.02.2026'): string; where that is the file's mistake, "
            'write "type": "date", "format": "%d.%m.%Y"',
        ),
        (
            ["1.250,00", "19,90", "5,00", "5.00"],
            "column x: 1 of 4 different values are no number ('5.00'): string; where that is the file's mistake, "
            'write "type": "number", "decimalChar": ",", "groupChar": "."',
        ),
        ([""], "column x: it has no value: string"),
    ],
)
def test_what_it_is_not_sure_of_is_said(tmp_path, cells, note):
    content = "x,t\n" + "".join(f'"{cell}",z\n' for cell in cells)
    assert note in drafted(content.encode(), tmp_path)[2]


def test_words_for_null_hold_for_every_column(tmp_path):
    _, made, notes, rows = drafted(b"country,n\nNA,1\nDE,NA\nFR,-\n", tmp_path)
    assert made["schema"]["missingValues"] == ["", "NA", "-"]
    assert "column country: NA is null here too, as in every column" in notes
    assert [(row["country"], row["n"]) for row in rows] == [(None, 1), ("DE", None), ("FR", None)]


SHOP = 'name{0}preis{0}tag\nMüller{0}1234,5{0}31.12.2025\n"a{0}b"{0}2,5{0}01.01.2026\n'


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_dialects_and_encodings(tmp_path, delimiter, encoding):
    fields, made, notes, rows = drafted(SHOP.format(delimiter).encode(encoding), tmp_path)
    assert made["dialect"] == {"delimiter": delimiter}
    assert codecs.lookup(made["encoding"]).name == codecs.lookup(encoding.removesuffix("-sig")).name
    assert any("cp1252" in note for note in notes) == (encoding == "cp1252")
    assert fields["preis"]["decimalChar"] == ","
    assert [(row["name"], row["preis"], str(row["tag"])) for row in rows] == [
        ("Müller", 1234.5, "2025-12-31"),
        (f"a{delimiter}b", 2.5, "2026-01-01"),
    ]


def test_compressed_and_quoted_otherwise(tmp_path):
    content = b"a,b\n'x,y',1\n'two\nlines',2\n"
    _, made, notes, rows = drafted(gzip.compress(content), tmp_path, "my.csv.gz")
    assert made["dialect"] == {"delimiter": ",", "quoteChar": "'"}
    assert any("quoteChar" in note for note in notes)
    assert [row["a"] for row in rows] == ["x,y", "two\nlines"]


def test_bad_records_are_noted_and_left_out():
    made, notes = draft(io.BytesIO(b'a,b\n1,2\n3\n"x"y,4\n5,6\n'), "my.csv", "my")
    assert [field["type"] for field in made["schema"]["fields"]] == ["integer", "integer"]
    assert "1 of 3 records do not have the header's 2 fields: they will be rejected" in notes
    assert "line 4: its quotes are not in order: it will be rejected" in notes


TITLES = [
    (b"Sales,,\nyear,n,m\n2026,1,2\n", [2], ["year", "n", "m"]),
    (b"Sales in 2026\nday,n,m\n1,2,3\n4,5,6\n", [2], ["day", "n", "m"]),
    (b"Account;DE12\nFrom;1.1.2026\n\nday;to;what;n\n1;a;b;2\n2;c;d;3\n3;a;a;4\n", [4], ["day", "to_", "what", "n"]),
    (b"Sales,,\nas of May,,\n,,\nEUR,,\nday,n,m\n1,2,3\n", [5], ["day", "n", "m"]),
    (b"Sales,\nshop,units\nUlm,2\nBonn,3\n", [2], ["shop", "units"]),
    (b'"Exported, on Monday"\n\n"a","b"\n1,2\n', [3], ["a", "b"]),
    (b"sep=;\na;b\n1;2\n3;4\n", [2], ["a", "b"]),
    (b"day,rain,wind\n,mm,m/s\n1,0.5,3\n2,1.5,4\n3,0,5\n", [1, 2], ["day", "rain_mm", "wind_m_s"]),
]


@pytest.mark.parametrize(("content", "rows", "names"), TITLES, ids=range(8))
def test_titles_above_the_header_and_units_below_it(tmp_path, content, rows, names):
    fields, made, notes, _ = drafted(content, tmp_path)
    assert (made["dialect"]["headerRows"], list(fields)) == (rows, names)
    assert any(note.startswith("headerRows: ") for note in notes)


def test_a_note_below_the_total_may_have_a_quote_in_it(tmp_path):
    records = b"".join(b"%d,%d,%d\n" % (number, number + 3, number * 2) for number in range(30))
    fields, made, _, rows = drafted(b"id,n,m\n" + records + b'Total,99,\n* see "notes"\n', tmp_path)
    assert (made["dialect"]["footerRows"], fields["id"]["type"], len(rows)) == (2, "integer", 30)
    cut, notes = draft(io.BytesIO(b"id,n,m\n" + records + b'30,"33\n'), "my.csv", "my")
    assert "footerRows" not in cut["dialect"]
    assert any("line 32: its quotes are not in order" in note for note in notes)


LATE = [
    (b"1", b"x", {"type": "string"}, "1 of 30,001 different values are no integer ('x')"),
    (b"1", b"", {"type": "integer"}, None),
    (b"1", b"NA", {"type": "integer"}, "'NA' is read as null"),
    (b"1", b"007", {"type": "string"}, "007 begins with a zero"),
    (b"1", b"+4930123456", {"type": "string"}, "looks like a telephone number"),
    (b"1", b"2.5", {"type": "number"}, None),
    (b"a", b"-", {"type": "string"}, "'-' is text here"),
]


@pytest.mark.parametrize(("first", "last", "field", "said"), LATE, ids=str)
def test_the_whole_file_is_read(tmp_path, first, last, field, said):
    """Later records count as well: by the first ones alone a field was required, and a later null was rejected."""
    lines = [b"%s%d,z\n" % (first, number) for number in range(30_000)]
    content = b"x,n\n" + b"".join(lines) + last + b",z\n"
    fields, _, notes, rows = drafted(content, tmp_path)
    expected = field if last in (b"", b"NA") else {**field, **REQUIRED}
    assert fields["x"] == expected
    assert len(rows) == 30_001
    if said:
        assert any(said.replace("30,001 ", "") in note.replace("10,001 ", "").replace("30,001 ", "") for note in notes)


def test_what_was_not_read_is_not_claimed(monkeypatch):
    monkeypatch.setattr(survey, "WHOLE", 1 << 20)
    monkeypatch.setattr(survey_file, "BLOCK", 1 << 18)
    content = b"x,n\n" + b"1,2\n" * 1_000_000
    made, notes = draft(io.BytesIO(content), "my.csv", "my")
    assert [one["type"] for one in made["schema"]["fields"]] == ["integer", "integer"]
    assert all("constraints" not in one for one in made["schema"]["fields"])
    assert any(note.startswith("only the first 1 MiB") and "no field is required" in note for note in notes)


def workbook(*rows: list[object]) -> bytes:
    book, sink = Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(sink)
    return sink.getvalue()


def parquet(*columns: pa.Array) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table([*columns], ["a"] * len(columns)), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content", "file", "fields"),
    [
        (b"a,b,c\n1,2,3\n" + b'4,"' + b"y" * 5000 + b'"\n5,6,7\n', "my.csv", ["integer"] * 3),
        (workbook(["a", "b"], [1, 2], [3, 4, "beside"], [5, 6]), "my.xlsx", ["integer"] * 2),
        (parquet(pa.array([b"text", b"\xff"])), "my.parquet", ["string"]),
        (parquet(pa.array([Decimal("1.5")], pa.decimal256(50, 2))), "my.parquet", ["number"]),
    ],
    ids=["the text of a reject is cut in quotes", "a row longer than the header", "bytes", "too many digits"],
)
def test_a_file_that_is_read_has_a_draft(tmp_path, content, file, fields):
    made, notes = draft(io.BytesIO(content), file, "my")
    contract = read_contract(tmp_path / "my.json", to_text(made).encode())
    assert [field.type for field in contract.fields] == fields
    batches = [*reader_of(file).read(io.BytesIO(content), file, contract, limits=Limits())]
    rejected = sum(batch.rejected for batch in batches)
    assert any(batch.rows.num_rows for batch in batches)
    assert bool(rejected) == ("rejected" in str(notes))


def test_utf8_with_a_wrong_byte_is_not_another_encoding():
    made, notes = draft(io.BytesIO("a,b\né,1\nü,2\n".encode() + b"\xe9,3\n"), "my.csv", "my")
    assert made["encoding"] == "utf-8"
    assert notes == ["encoding: it is UTF-8, but not in 1 records: they will be rejected"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"\x89PNG", "not text"),
        (b'"a,b\n1,2\n', "line 1: the header is no record"),
        (b"a,\xff\xe9\n\xc3\xa9\xc3\xa9,\xc3\xa9\n", "the header is not UTF-8"),
        (b"a,b,c\n1,2,3,4\n5,6,7,8\n", "line 2 and all others: expected 3 fields as in the header"),
    ],
    ids=range(6),
)
def test_no_contract_fits(content, said):
    with pytest.raises(SettingError, match=said):
        draft(io.BytesIO(content), "my.csv", "my")


def test_a_file_that_no_load_takes_has_no_draft():
    with pytest.raises(SettingError, match="columns have the same name, 'a'"):
        draft(io.BytesIO(parquet(pa.array([1]), pa.array(["x"]))), "my.parquet", "my")
    with pytest.raises(SettingError, match="sheet is empty"):
        draft(io.BytesIO(workbook()), "my.xlsx", "my")
    with pytest.raises(SettingError, match="no column"):
        draft(io.BytesIO(parquet()), "my.parquet", "my")


@pytest.mark.parametrize(
    ("file", "name"), [("My Sales.csv.gz", "my-sales"), ("a_b.CSV", "a_b"), ("é.csv", "dataset"), ("x.txt", "x")]
)
def test_names(file, name):
    assert dataset_name(file) == name


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
ODD = st.sampled_from(
    ["NA", "-", "", " ", "0", "1", "007", "1.5", "1,5", "1.234,5", "true", "01/02/2026", "2026-01-31"]
)
CELLS = st.one_of(PLAIN, ODD, st.integers().map(str), st.floats().map(str), st.dates().map(str))
TABLE = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))


def cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


NAMES = st.one_of(st.sampled_from(["", "a", "A", "a_2", "select", "_line", "column_1", "É", "a b", "x,y", "1"]), PLAIN)


@settings(max_examples=80, deadline=None)
@given(TABLE, st.lists(NAMES, min_size=4, max_size=4), st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_drafted_contract_fits_its_file(tmp_path_factory, table, names, delimiter, end):
    """Whatever its columns are called: each has a name of its own that needs no quotes."""
    header = names[: len(table[0]) if table else 2]
    content = "".join(delimiter.join(map(cell, record)) + end for record in [header, *table]).encode()
    fields, made, _, rows = drafted(content, tmp_path_factory.getbasetemp())
    above = made["dialect"].get("headerRows", [1])
    assume(above[0] == 1)  # else the header looks like a title
    assert len(rows) == len(table) - made["dialect"].get("footerRows", 0) - (len(above) - 1)  # and these like units
    assume(len(above) == 1)
    assert len({name.casefold() for name in fields}) == len(header)
    for name, text in zip(fields, header, strict=True):
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name)
        duckdb.sql(f"SELECT t.{name}, count({name}) FROM (VALUES (1)) AS t ({name}) GROUP BY {name}")
        called = fields[name].get("header", name)
        assert (called if isinstance(called, str) else called[0]) == text


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "contract", *arguments], capture_output=True, text=True, timeout=120
    )


def test_the_folder_of_contracts_is_a_setting(tmp_path, monkeypatch):
    assert run("check").stdout.splitlines() == [f"{path}: ok" for path in sorted(DATASETS.glob("*.json"))]
    assert run("check", "--datasets", str(tmp_path)).stdout == ""
    monkeypatch.setenv("PIPELINE_DATASETS", str(tmp_path / "gone"))
    wrong = run("check")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert all(word in wrong.stderr for word in ("PIPELINE_DATASETS", "gone"))  # as every setting is named


def test_the_commands(tmp_path):
    (tmp_path / "My Sales.csv").write_text("a;b\n1;2,5\n")
    made = run("draft", str(tmp_path / "My Sales.csv"))
    assert made.returncode == 0
    assert json.loads(made.stdout)["name"] == "my-sales"
    good, bad, gone = (tmp_path / name for name in ("my-sales.json", "other.json", "gone.json"))
    good.write_text(made.stdout)
    bad.write_text(made.stdout)
    checked = run("check", str(good), str(bad), str(gone))
    assert checked.returncode == 1
    first, second, third = checked.stdout.splitlines()
    assert first == f"{good}: ok"
    assert "expected 'other'" in second
    assert third.startswith(f"{gone}: ")
    unnamed = run("draft", str(tmp_path / "My Sales.csv"), "--name", "My Sales")
    assert (unnamed.returncode, unnamed.stdout) == (2, "")
    assert "'My Sales'" in unnamed.stderr
    missing = run("draft", str(gone))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert str(gone) in missing.stderr
