"""The standard's own implementation judges how files are cut: the same rows, but for the differences listed here."""

import io
import json
import re
from typing import Any

import frictionless
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.problem import Refused
from pipeline.readers.csv.read import read_csv
from pipeline.readers.unique.stage import unique_batches
from tests.support.generated_csv import contract_of
from tests.support.project import ROOT

V2 = "https://datapackage.org/profiles/2.0/tableschema.json"

# Why, dialect, file (with Python's escapes), our rows, those of frictionless.
DIFFERENCES = [
    ("a value in quotes is data, whatever it begins with", '{"commentChar": "#"}', r'a,b\n"#1",2\n', "#1,2", "no rows"),
    (
        "rows are counted as an editor counts lines, not by records",
        '{"commentRows": [4]}',
        r'a,b\n"1\n1",2\n3,4\n',
        r"1\n1,2",
        r"1\n1,2; 3,4",
    ),
    (
        "a row of the header that is short goes on with its last cell",
        '{"headerRows": [1, 2]}',
        r"a\n1,2\n3,4\n",
        "a 1,a 2: 3,4",
        "a 1,2: 3,4",
    ),
    (
        "an empty cell of the header is left out",
        '{"headerRows": [1, 2]}',
        r"a,\n1,2\n3,4\n",
        "a 1,2: 3,4",
        "a 1, 2: 3,4",
    ),
    (
        "a cell of the header that is there twice is joined too",
        '{"headerRows": [1, 2]}',
        r"a,b\na,c\n3,4\n",
        "a a,b c: 3,4",
        "a,b c: 3,4",
    ),
    ("without `doubleQuote` two quotes are no quote", '{"doubleQuote": false}', r'a,b\n"1""",2\n', "rejected", '1",2'),
    ("", r'{"escapeChar": "\\", "doubleQuote": false}', r'a,b\n"1""",2\n', "rejected", r'1"",2'),
    ("`nullSequence` is null", '{"nullSequence": "-"}', r"a,b\n-,2\n", "null,2", "-,2"),
    ("", r'{"escapeChar": "\\", "nullSequence": "\\N"}', r"a,b\n\\N,2\n", "null,2", "N,2"),
    ("`lineTerminator` is checked", r'{"lineTerminator": "\n"}', r"a,b\n1,2\r\n3,4\n", "rejected; 3,4", "1,2; 3,4"),
    ("`footerRows` is ours", '{"footerRows": 1}', r"a,b\n1,2\nTotal,2\n", "1,2", "1,2; Total,2"),
]

ALIKE = [
    ({"header": False}, b"1,2\n3,4\n"),
    ({"headerRows": [3]}, b'A "title"\n\na,b\n1,2\n'),
    ({"headerRows": [1, 2]}, b"x,y\na,b\n1,2\n"),
    ({"headerRows": [1, 3], "headerJoin": "-"}, b"x,y\n--\na,b\n1,2\n"),
    ({"commentChar": "#"}, b"#top\na,b\n#x,y\n1,2\n# z\n3,4\n"),
    ({"commentChar": "//"}, b"a,b\n//x\n/1,2\n"),
    ({"commentRows": [1, 4]}, b"t\na,b\n1,2\n--\n3,4\n"),
    ({"skipInitialSpace": True}, b'a, b\n 1, "x, ""y"\n2,\t3\n'),
    ({"escapeChar": "|"}, b"a,b\n1|,2,x\n"),
    ({"escapeChar": "\\"}, b'a,b\n"x \\"y\\"",\\\\\n"a""b",\\n\nx\\\ny,z\n'),
    ({"escapeChar": "\\", "doubleQuote": False}, b'a,b\n"x \\"y",z\n'),
    ({"doubleQuote": False}, b'a,b\n"x,y",z\n'),
    ({"delimiter": "\t", "quoteChar": "'", "lineTerminator": "\r\n"}, b"a\tb\r\n'x\t'\ty\r\n"),
]


def plain(text: str) -> str:
    return text.encode().decode("unicode_escape")


def row_text(values) -> str:
    return ",".join("null" if value is None else str(value) for value in values)


def ours(tmp_path, dialect: dict, content: bytes, names: list[str]) -> list[str]:
    contract = contract_of(tmp_path, schema={"fields": [{"name": name} for name in names]}, dialect=dialect)
    lines = []
    for batch in read_csv(io.BytesIO(content), "a.csv", contract):
        lines += [(row.pop("_line"), row_text(row.values())) for row in batch.rows.to_pylist()]
        lines += [(problem.line, "rejected") for problem in batch.problems]
    return [text for _, text in sorted(lines)]


def theirs(tmp_path, dialect: dict, content: bytes, names: list[str]) -> list[str]:
    (tmp_path / "a.csv").write_bytes(content)
    schema = {"fields": [{"name": name, "type": "string"} for name in names]}
    described = {"name": "a", "path": "a.csv", "dialect": dialect, "schema": schema, "encoding": "utf-8"}
    with frictionless.Resource.from_descriptor(described, basepath=str(tmp_path)) as resource:
        assert resource.labels in ([], names)
        return [row_text(row.to_dict().values()) for row in resource.row_stream]


@pytest.mark.parametrize(("dialect", "content"), ALIKE, ids=str)
def test_the_same_rows(tmp_path, dialect, content):
    join = dialect.get("headerJoin", " ")
    names = [f"x{join}a", f"y{join}b"] if len(dialect.get("headerRows", [1])) > 1 else ["a", "b"]
    rows = ours(tmp_path, dialect, content, names)
    assert rows == theirs(tmp_path, dialect, content, names)
    assert rows


@pytest.mark.parametrize(("dialect", "file", "here", "there"), [row[1:] for row in DIFFERENCES])
def test_each_difference_is_one(tmp_path, dialect, file, here, there):
    content = plain(file).encode()
    for read, expected in ((ours, here), (theirs, there)):
        header, colon, rows = expected.partition(": ")
        names = header.split(",") if colon else ["a", "b"]
        found = read(tmp_path, json.loads(dialect), content, names)
        assert found == ([] if expected == "no rows" else plain(rows if colon else header).split("; "))
    assert here != there


KEYS = st.sampled_from([{"primaryKey": ["a", "b"]}, {"primaryKey": "a"}, {"unique": True}])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=8), KEYS)
def test_the_same_duplicates(tmp_path_factory, rows, key):
    """Of records that are sound; which ones are the first of a key otherwise is told in words."""
    folder = tmp_path_factory.getbasetemp()
    fields: list[dict] = [{"name": "a", "type": "integer"}, {"name": "b", "type": "integer"}]
    fields[1] |= {"constraints": key} if "unique" in key else {}
    schema = {"fields": fields, **({} if "unique" in key else key)}
    content = "\n".join(["a,b", *(f"{a},{b}" for a, b in rows)])
    contract = contract_of(folder, schema=schema)
    batches = unique_batches(read_csv(io.BytesIO(content.encode()), "a.csv", contract), contract, None)
    kept = [line for batch in batches for line in batch.rows["_line"].to_pylist()]
    (folder / "a.csv").write_text(content)
    described = {"name": "a", "path": "a.csv", "schema": schema}
    with frictionless.Resource.from_descriptor(described, basepath=str(folder)) as resource:
        assert kept == [row.row_number for row in resource.row_stream if not row.errors]


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("match", ["exact", "equal", "subset", "superset", "partial"])
def test_the_same_headers_fit(tmp_path, match, required):
    fields = [{"name": "a", "type": "string", "constraints": {"required": required}}, {"name": "b", "type": "string"}]
    schema = {"$schema": V2, "fields": fields, "fieldsMatch": match}
    contract, found = contract_of(tmp_path, schema=schema), []
    for names in ("ab", "ba", "a", "b", "cab", "cb", "c", "abc"):
        content = f"{','.join(names)}\n{','.join(f'{name}1' for name in names)}\n"
        (tmp_path / "a.csv").write_text(content)
        described: Any = frictionless.Resource.from_descriptor(
            {"name": "a", "path": "a.csv", "schema": schema}, basepath=str(tmp_path)
        )
        try:
            [batch] = read_csv(io.BytesIO(content.encode()), "a.csv", contract)
        except Refused:
            assert not described.validate().valid, names
            continue
        assert described.validate().valid, names
        with described:
            [row] = described.row_stream
        values = row.to_dict()
        [here] = batch.rows.drop_columns("_line").to_pylist()
        assert here == {"a": values.get("a"), "b": values.get("b")}
        found.append(names)
    assert found[:1] == ["ab"]


def test_the_documents_list_the_same():
    text = (ROOT / "docs/datasets.md").read_text().partition("### Files as a whole")[2]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    cells = [[part.strip() for part in line.split("|")[1:-1]] for line in lines]
    assert [(why, *(re.sub(r"^`|`$", "", cell) for cell in rest)) for why, *rest in cells] == DIFFERENCES
