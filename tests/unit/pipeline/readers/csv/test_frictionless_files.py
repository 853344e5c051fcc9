"""The standard's own implementation judges how files are cut: the same rows, but for the differences listed here."""

import io
import json
import re

import frictionless
import pytest

from pipeline.readers.csv.read import read_csv
from tests.support.generated_csv import contract_of
from tests.support.project import ROOT

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


def test_the_documents_list_the_same():
    text = (ROOT / "docs/datasets.md").read_text().partition("### Files as a whole")[2]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    cells = [[part.strip() for part in line.split("|")[1:-1]] for line in lines]
    assert [(why, *(re.sub(r"^`|`$", "", cell) for cell in rest)) for why, *rest in cells] == DIFFERENCES
