"""The standard's own implementation judges cells that have a type: of workbooks, which openpyxl reads, and JSON Lines.

The same rows, but for the differences that docs/datasets.md lists too.
"""

import io
import json
import re
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import frictionless
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.readers.formats import reader_of
from tests.support.generated_csv import contract_of
from tests.support.project import ROOT
from tests.support.workbooks import CASES, Case, of_rows

V2 = "https://datapackage.org/profiles/2.0/tableschema.json"
REJECTED = "rejected"
Lines = dict[int, Any]  # of each line its values, or that it is rejected

# Why, format, field, cell as JSON (or as Excel shows it), our value, that of frictionless.
DIFFERENCES = [
    ("for a text field a cell of any type is text", "Excel", "string", "12.0", "12", REJECTED),
    ("", "Excel", "string", "true", "TRUE", REJECTED),
    ("", "Excel", "string", "2026-01-31", "2026-01-31", REJECTED),
    ("", "JSON Lines", "string", "1.10", "1.10", REJECTED),
    ("", "JSON Lines", "string", '{"a": [1]}', '{"a": [1]}', REJECTED),
    ("", "JSON Lines", "any", "1.10", "1.10", "1.1"),
    ("", "JSON Lines", "list", "[1, 2]", "[1, 2]", REJECTED),
    ("1 and 0 are true and false, also as numbers", "Excel", "boolean", "1", "true", REJECTED),
    ("", "JSON Lines", "boolean", "0", "false", REJECTED),
    ("an integer has 64 bits, a number is finite", "Excel", "integer", "1e20", REJECTED, "100000000000000000000"),
    ("", "JSON Lines", "integer", "9223372036854775808", REJECTED, "9223372036854775808"),
    ("", "JSON Lines", "number", "1e400", REJECTED, "inf"),
    ("an integer is never a float on its way", "JSON Lines", "integer",
     "9007199254740993.0", "9007199254740993", "9007199254740992"),
    ("a year has four digits", "Excel", "year", "12", REJECTED, "12"),
    ("", "JSON Lines", "year", "true", REJECTED, "true"),
    ("a month is text, and a point as its `format` says", "JSON Lines", "yearmonth", "[1, 2]", REJECTED,
     "yearmonth(year=1, month=2)"),
    ("", "JSON Lines", "geopoint", "[1, 2]", REJECTED, "[1.0, 2.0]"),
    ("a time is a duration too, and the first of a month is the month", "Excel", "duration", "07:30:00",
     "PT7H30M", REJECTED),
    ("", "Excel", "yearmonth", "2026-01-01", "2026-01", REJECTED),
    ("an error is wrong in a field of any type", "Excel", "string", "#N/A", REJECTED, "#N/A"),
    ("a value must be as the `format` can write it", "Excel", '{"type": "date", "format": "%d.%m.%y"}',
     "1926-01-31", REJECTED, "1926-01-31"),
]  # fmt: skip

# Sheets that frictionless reads in another way, and why; all others are read alike.
SHEETS = {
    "an empty row is skipped; there it is wrong": ["empty rows", "formulas that were never computed"],
    "a table begins with the first value of its sheet; there in A1": [
        *("a table further down and right", "a frame further down", "table.xlsx"),
    ],
    "a value to the right of the header rejects its row; there it is the value of a column without a name": [
        *("a value beyond the header", "an error cell right of all others", "no header"),
    ],
    "a cell with a colour only is nothing; there it makes a column": ["blank cells with a colour"],
    "sheets that are hidden, or charts, do not count": [
        *("the second sheet that is seen", "tabs.xlsx"),
    ],
    "`footerRows` is ours, and `nullSequence` is null": [
        "a title, a header of two rows and totals",
        "comments by their rows, and a word for null",
        "more totals than rows",
    ],
    "`_x0041_` in a text is an A, as Excel shows it": ["characters by their numbers"],
}

# What a row of the first table says, as a condition: where none holds, both must agree.
REASONS: list[Callable[[str, Any], bool]] = [
    lambda type_, value: type_ in TEXT and not isinstance(value, str),
    lambda type_, value: type_ == "boolean" and isinstance(value, int | float),
    lambda type_, value: type_ == "integer" and isinstance(value, float | int) and abs(value) > 2**53,
    lambda type_, value: type_ == "year" and not isinstance(value, str),
    lambda type_, value: type_ in ("yearmonth", "geopoint") and isinstance(value, list),
    lambda type_, value: type_ == "yearmonth" and isinstance(value, date),
    lambda type_, value: type_ == "duration" and isinstance(value, time),
]
TEXT = ("string", "any", "list")


def schema_of(spec: str) -> dict[str, Any]:
    """Return a schema of a field, and of one beside it, so that no row is empty."""
    field = json.loads(spec) if spec.startswith("{") else {"type": spec}
    return {"fields": [{"name": "a", **field}, {"name": "b", "type": "integer"}]}


def ours(folder: Path, content: bytes, name: str, schema: dict[str, Any], dialect: dict[str, Any]) -> Lines:
    contract, lines = contract_of(folder, schema=schema, dialect=dialect), Lines()
    for batch in reader_of(name).read(io.BytesIO(content), name, contract):
        lines |= {row.pop("_line"): [*row.values()] for row in batch.rows.to_pylist()}
        lines |= {problem.line: REJECTED for problem in batch.problems}
    return dict(sorted(lines.items()))


def theirs(folder: Path, content: bytes, name: str, schema: dict[str, Any], dialect: dict[str, Any]) -> Lines:
    """Read a workbook; or JSON Lines, as objects that Python parses."""
    known = {key: value for key, value in dialect.items() if key not in ("sheetName", "sheetNumber", "footerRows")}
    described: dict[str, Any] = {"name": "a", "dialect": known, "schema": {"$schema": V2, **schema}}
    if name.endswith(".xlsx"):
        (folder / name).write_bytes(content)
        if sheet := dialect.get("sheetName") or dialect.get("sheetNumber"):
            described["dialect"] |= {"excel": {"sheet": sheet}}
        described |= {"path": name, "format": "xlsx"}
    else:
        described |= {"data": [*map(json.loads, content.splitlines())]}
    resource: Any = frictionless.Resource.from_descriptor(described, basepath=str(folder))
    with warnings.catch_warnings(action="ignore"), resource:
        rows = [(row.row_number, row) for row in resource.row_stream]
    first = 0 if name.endswith(".xlsx") else 1  # the first object is the header there
    names = [field["name"] for field in schema["fields"]]
    return {
        line - first: REJECTED if row.errors else same([row.to_dict().get(name) for name in names])
        for line, row in rows
    }


def same(values: list[Any]) -> list[Any]:
    """Return values of frictionless as ours are held: a float64, a time in UTC."""
    return [
        float(value)
        if isinstance(value, Decimal)
        else value.astimezone(UTC)
        if isinstance(value, datetime) and value.tzinfo
        else value.replace(tzinfo=UTC)
        if isinstance(value, datetime)
        else value
        for value in values
    ]


def written(kind: str, cells: Sequence[Any]) -> tuple[bytes, str]:
    """Return a file with a column of cells."""
    if kind == "JSON Lines":
        lines = (f'{{"a": {cell if isinstance(cell, Raw) else json.dumps(cell)}, "b": 1}}\n' for cell in cells)
        return "".join(lines).encode(), "a.jsonl"
    return of_rows(["a", "b"], *([cell, 1] for cell in cells)), "a.xlsx"


class Raw(str):
    """JSON as it is written."""


def cell_of(kind: str, text: str) -> Any:
    if kind == "JSON Lines":
        return Raw(text)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return date.fromisoformat(text)
    if re.fullmatch(r"\d\d:\d\d:\d\d", text):
        return time.fromisoformat(text)
    return text if text == "#N/A" else json.loads(text)


def shown(lines: Lines) -> str:
    [values] = lines.values()
    value = values if values == REJECTED else values[0]
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(("kind", "field", "cell", "here", "there"), [row[1:] for row in DIFFERENCES])
def test_each_difference_is_one(tmp_path, kind, field, cell, here, there):
    content, name = written(kind, [cell_of(kind, cell)])
    for read, expected in ((ours, here), (theirs, there)):
        assert shown(read(tmp_path, content, name, schema_of(field), {})) == expected
    assert here != there


def test_the_documents_list_the_same():
    text = (ROOT / "docs/datasets.md").read_text().partition("### Cells that have a type")[2].partition("\n### ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    cells = [[part.strip() for part in line.split("|")[1:-1]] for line in lines]
    assert [(why, kind, *(re.sub(r"^`|`$", "", cell) for cell in rest)) for why, kind, *rest in cells] == DIFFERENCES
    assert [line[2:].rstrip(";.") for line in text.splitlines() if line.startswith("- ")] == [*SHEETS]


MADE = [case for case in CASES if not case.refused and b"[Content_Types].xml" in case.content]
OTHERWISE = {name for names in SHEETS.values() for name in names}
BY_CELLS = {  # cases whose cells are in a table of cells
    *("whole numbers", "booleans", "dates by a format of words", "datetimes by a format of minutes"),
    *("anything as text", "error cells", "percent and currency", "formulas.xlsx"),
    *("a fraction is no group of digits", "times and durations", "sums with noise behind their 15 digits"),
}


@pytest.mark.parametrize("case", MADE, ids=lambda case: case.name)
def test_each_workbook_made_by_hand(tmp_path, case: Case):
    file = (tmp_path, case.content, "a.xlsx", case.schema, case.dialect)
    assert (ours(*file) == theirs(*file)) is (case.name not in OTHERWISE | BY_CELLS)


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-99, 99).map(float),
    st.sampled_from(["", "12", "-1.5", "1e3", "x", "true", "2026-01-31", "2026", "2026-01-31T12:00:00Z", "P1D", "[1]"]),
    st.sampled_from(["07:30:00", "2026-12", "1,2", "1, 2, 3", "{}", '{"lon": 1, "lat": 2}']),
)
NESTED = st.one_of(st.none(), st.lists(st.integers(0, 3), max_size=2), st.dictionaries(st.just("k"), st.booleans()))
TYPES = ["string", "any", "integer", "number", "boolean", "date", "datetime", "time", "year", "yearmonth", "duration"]
JSON_TYPES = [*TYPES, "list", "object", "array", "geopoint"]
DAYS = st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 30))
CELLS = SCALARS.filter(lambda one: not isinstance(one, int) or abs(one) < 2**53) | st.one_of(
    DAYS.map(datetime.date),
    DAYS.map(lambda one: one.replace(microsecond=0)),
    st.times().map(lambda one: one.replace(microsecond=0)),
)


def check(folder: Path, kind: str, type_: str, cells: list[Any]) -> None:
    content, name = written(kind, cells)
    found = [read(folder, content, name, schema_of(type_), {}) for read in (ours, theirs)]
    first = 2 if kind == "Excel" else 1
    for line, cell in enumerate(cells, first):
        here, there = (lines.get(line) for lines in found)
        if not any(reason(type_, cell) for reason in REASONS):
            assert (here == REJECTED) is (there == REJECTED), (cell, here, there)
            assert type_ not in TYPES[2:8] or here == there


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(JSON_TYPES), st.lists(SCALARS | NESTED, min_size=1, max_size=5))
def test_generated_objects(tmp_path_factory, type_, cells):
    check(tmp_path_factory.getbasetemp(), "JSON Lines", type_, cells)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(TYPES), st.lists(CELLS, min_size=1, max_size=12))
def test_generated_sheets(tmp_path_factory, type_, cells):
    check(tmp_path_factory.getbasetemp(), "Excel", type_, cells)
