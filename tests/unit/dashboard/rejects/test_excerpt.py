import gzip
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dashboard.rejects import excerpt
from dashboard.rejects.excerpt import cell, cells_of, has_lines, json_value, read_excerpt
from dashboard.rejects.remedies import REMEDIES, UNKNOWN, remedy
from dashboard.shared.file_format import Format
from lake.stores.base import ObjectStore
from tests.support.project import ROOT

KEY = "raw/orders/a.csv"


def test_lines_are_numbered_as_an_editor_does(store: ObjectStore) -> None:
    etag = store.put(KEY, b"a,b\r\n2\n3\r4\n5\n6\n7")
    found = read_excerpt(store, KEY, 4)
    assert found.lines == {2: "2", 3: "3", 4: "4", 5: "5", 6: "6"}
    assert (found.header, found.etag) == ("a,b", etag)
    assert read_excerpt(store, KEY, 6, lines=2).lines == {4: "4", 5: "5", 6: "6", 7: "7"}
    assert read_excerpt(store, KEY, None).lines == {1: "a,b", 2: "2", 3: "3"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.CSV.GZ", gzip.compress(b"x\n") + gzip.compress("é\n".encode())),
        ("a.csv.zst", pa.compress("x\né\n".encode(), "zstd", asbytes=True)),
        ("a.csv", "x\né\n".encode("utf-16")),
        ("a.csv", b"\xef\xbb\xbfx\n\xc3\xa9\n"),
    ],
    ids=["gzip", "zstd", "UTF-16", "byte order mark"],
)
def test_what_is_packed_or_encoded_is_read(store: ObjectStore, name: str, data: bytes) -> None:
    store.put(f"raw/orders/{name}", data)
    assert read_excerpt(store, f"raw/orders/{name}", 2).lines == {1: "x", 2: "é"}


def test_a_line_of_json_lines_ends_with_a_line_feed(store: ObjectStore) -> None:
    key = "raw/orders/A.NDJSON.gz"
    store.put(key, gzip.compress(b'{"a":1,\r"b":2}\n{"a":2}'))
    assert read_excerpt(store, key, 1).lines == {1: '{"a":1,\r"b":2}', 2: '{"a":2}'}


@pytest.mark.parametrize(
    ("line", "column", "value"),
    [
        ('{"a": 1, "b":"x, \\"y\\""}', "b", '"x, \\"y\\""'),
        ('{"a": 1, "b":true}', "a", "1"),
        ('{"a": 1, "b" : -2.5}', "b", "-2.5"),
        ('{"é":null}', "named", "null"),
        ('{"a":1}', "b", None),
    ],
)
def test_the_value_of_a_column_is_found_in_a_line_of_json(line: str, column: str, value: str | None) -> None:
    place = json_value(line, column, Format(headers={"named": ("é", 1)}))
    assert (place and line[slice(*place)]) == value


def test_what_is_no_text_is_escaped(store: ObjectStore) -> None:
    store.put(KEY, b"a\nn\xffrth\n")
    assert read_excerpt(store, KEY, 2).lines[2] == r"n\xffrth"


def test_what_cannot_be_read_is_said(store: ObjectStore) -> None:
    store.put("raw/orders/a.csv.gz", b"not gzip at all")
    with pytest.raises(ValueError, match="cannot be read as text"):
        read_excerpt(store, "raw/orders/a.csv.gz", 1)
    store.put(KEY, b"a\n")
    with pytest.raises(ValueError, match="no line 9"):
        read_excerpt(store, KEY, 9)
    with pytest.raises(FileNotFoundError):
        read_excerpt(store, "raw/orders/none.csv", 1)


def test_a_parquet_file_has_no_lines(store: ObjectStore) -> None:
    store.put("raw/orders/A.PARQUET", b"PAR1")
    with pytest.raises(ValueError, match="rows and no lines"):
        read_excerpt(store, "raw/orders/A.PARQUET", 1)


def test_a_workbook_has_cells_and_no_lines() -> None:
    assert has_lines("raw/orders/a.CSV.GZ")
    assert not has_lines("raw/orders/a.XLSX")
    assert cells_of('1\t"two\nlines"\t"a ""b"""\t\tx') == ["1", "two\nlines", 'a "b"', "", "x"]


def test_reading_is_bounded(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(KEY, b"a\n" + b"x" * 100_000 + b"\nlast\n")
    found = read_excerpt(store, KEY, 3)
    assert (len(found.lines[2]), found.lines[3]) == (excerpt.MAX_LINE, "last")
    monkeypatch.setattr(excerpt, "MAX_CHARACTERS", 50_000)
    with pytest.raises(ValueError, match="too far from the start"):
        read_excerpt(store, KEY, 3)


def test_the_header_is_the_first_line_that_is_not_empty(store: ObjectStore) -> None:
    store.put(KEY, b"\n\na,b\n1,2\n")
    assert read_excerpt(store, KEY, 4).header == "a,b"


def test_a_file_is_decoded_as_its_contract_says_or_its_mark(store: ObjectStore) -> None:
    store.put(KEY, "a\nÄ€\n".encode("cp1252"))
    assert read_excerpt(store, KEY, 2, format_=Format("cp1252")).lines[2] == "Ä€"
    for marked in ("utf-8-sig", "utf-16", "utf-32"):
        store.put(KEY, "a\nÄ€\n".encode(marked))
        assert read_excerpt(store, KEY, 2, format_=Format("cp1252")).lines[2] == "Ä€"


@pytest.mark.parametrize(
    ("dialect", "content", "header"),
    [
        ({"commentChar": "#"}, b"#x\n\na,b\n1,2\n", "a,b"),
        ({"commentRows": [1]}, b"x,y\na,b\n1,2\n", "a,b"),
        ({"headerRows": [2, 4]}, b"x\nu\n--\na,b\n1,2\n", "u a,u b"),
        ({"headerRows": [1, 2], "headerJoin": "/"}, b"u,\na,b\n1,2\n", "u/a,b"),
        ({"escapeChar": "\\", "skipInitialSpace": True}, b'x\\,y, "a""b"\n1,2\n', 'x,y,a"b'),
    ],
    ids=str,
)
def test_the_header_is_where_the_dialect_has_it(
    store: ObjectStore, dialect: dict[str, Any], content: bytes, header: str
) -> None:
    store.put(KEY, content)
    format_ = Format(delimiter=",", dialect=dialect)
    found = read_excerpt(store, KEY, content.count(b"\n"), format_=format_)
    assert ",".join(format_.names(found.header)) == header


def test_a_cell_is_found_where_the_dialect_has_it() -> None:
    format_ = Format(delimiter=",", dialect={"escapeChar": "\\"}, columns=("a", "b"))
    for line in (r"x\,y,z", r'"x\"y",z', r'"x,y",z', "\0,z"):
        assert line[slice(*cell(line, "", "b", format_) or ())] == "z"
    plain = Format(delimiter=",")
    assert cell("x,y\tz", "a\tb", "b", plain.of_file("a.tsv.gz")) == (4, 5)
    assert Format(delimiter=",", dialect={"delimiter": ","}).of_file("a.tsv").delimiter == ","


def test_a_line_of_many_quotes_is_cut_at_once() -> None:
    """Were there several ways to pair them, this would take forever: a power of two by their number."""
    line = "a," + '"' * 1001 + ",b"
    assert Format(delimiter=",").cells(line, "a,b,c")[0] == (0, 1)


def test_a_cell_is_found_as_the_contract_says() -> None:
    german = Format("cp1252", ";", "'", {"amount": ("Betrag", 2)})
    line = "'a;\"b';2,5;x"
    assert line[slice(*cell(line, "Betrag;Betrag;c", "amount", german) or ())] == "2,5"
    assert line[slice(*cell(line, "Betrag;Betrag;c", "c", german) or ())] == "x"
    assert cell(line, "Betrag;c", "amount", german) is None


@pytest.mark.parametrize(
    ("line", "header", "column", "found"),
    [
        ("1,1,1", "a,b,c", "b", "1"),
        ('"x,y",,z', "a,b,c", "b", ""),
        ('"x,y",q,z', "a,b,c", "a", '"x,y"'),
        ("x;2,5", "a;b", "b", "2,5"),
        ("x,y", '"a",b', "c", None),
        ("x", "a,b", "b", None),
    ],
)
def test_a_cell_is_found_in_its_line(line: str, header: str, column: str, found: str | None) -> None:
    span = cell(line, header, column)
    assert (line[slice(*span)] if span else None) == found


def test_every_rule_of_the_pipeline_has_its_advice() -> None:
    text = "\n".join(path.read_text() for path in Path(ROOT, "pipeline").rglob("*.py"))
    cells = Path(ROOT, "pipeline/readers/cells/explain.py").read_text()
    rules = set(re.findall(r'Problem\(\s*"(\w+)"', text))
    rules |= {word for words in re.findall(r'"(\w+)": \("|\("(type|required)", ', cells) for word in words if word}
    assert {"header", "enum", "type", "transform"} <= rules
    assert rules | {"quote"} <= set(REMEDIES)
    assert remedy("another") == UNKNOWN


def test_no_advice_names_what_the_contract_decides() -> None:
    for advice in REMEDIES.values():
        assert not re.search(r"comma|semicolon|double|[0-9]{4}|digits", advice), advice
