"""The standard's own implementation judges ours: the same values, but for the differences that are listed here.

docs/datasets.md shows the same table to the user.
"""

import base64
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import frictionless
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.field import FALSE, TRUE, Constraints, FieldSpec
from tests.support.judges import judge
from tests.support.project import ROOT

REJECTED = "rejected"
V2 = "https://datapackage.org/profiles/2.0/tableschema.json"
TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)

# Field, cell (with Python's escapes), what we make of it, what frictionless makes of it.
DIFFERENCES = {
    "spaces and tabs around a typed value are ignored; other white space is not": [
        ("boolean", " true ", "true", REJECTED),
        ("date", " 2026-01-31", "2026-01-31", REJECTED),
        ("integer", " ", "null", REJECTED),
        (r"integer", r"42\xa0", REJECTED, "42"),
    ],
    "an integer has 64 bits": [("integer", "9223372036854775808", REJECTED, "9223372036854775808")],
    "a number is a float64, and finite": [
        ("number", "0.12345678901234567890", "0.12345678901234568", "0.12345678901234567890"),
        ("number", "nan", REJECTED, "NaN"),
        ("number", "-inf", REJECTED, "-Infinity"),
        ("number", "1e400", REJECTED, "1E+400"),
    ],
    "digits are ASCII, and nothing stands between them but the groupChar, once": [
        ("integer", "1_000", REJECTED, "1000"),
        ("number", "1_000.5", REJECTED, "1000.5"),
        ("integer", r"\u0661\u0662", REJECTED, "12"),
        ('{"type": "number", "groupChar": ","}', "1,,2", REJECTED, "12"),
        ('{"type": "number", "decimalChar": ",", "groupChar": "."}', "1,234.5", REJECTED, "1.2345"),
        ('{"type": "integer", "groupChar": ","}', "1,234", "1234", REJECTED),
    ],
    "of a number that is not bare, nothing is taken away that may be a sign, a point or another number": [
        ('{"type": "number", "bareNumber": false}', "(5)", REJECTED, "5"),
        ('{"type": "number", "bareNumber": false}', "5-", REJECTED, "5"),
        ('{"type": "number", "bareNumber": false}', r"\u22125", REJECTED, "5"),
        ('{"type": "number", "bareNumber": false}', "-$5", "-5.0", REJECTED),
        ('{"type": "number", "bareNumber": false}', "$.50", "0.5", "50"),
        ('{"type": "number", "bareNumber": false}', r"5\xbd", REJECTED, "5"),
    ],
    "the parts of a date or time have all their digits": [
        ("date", "2026-2-3", REJECTED, "2026-02-03"),
        ('{"type": "date", "format": "%d.%m.%Y"}', "1.2.2026", REJECTED, "2026-02-01"),
        ("datetime", "2026-01-31T12:00:00+0200", REJECTED, "2026-01-31 12:00:00+02:00"),
        ("datetime", "2026-01-31T24:00:00Z", REJECTED, "2026-02-01 00:00:00+00:00"),
        ("datetime", "2026-01-31t12:00:00z", REJECTED, "2026-01-31 12:00:00+00:00"),
        ("datetime", "2026-01-31T12:00:00.1234567Z", REJECTED, "2026-01-31 12:00:00.123456+00:00"),
        ('{"type": "date", "format": "%-d.%-m.%y"}', "1.2.26", "2026-02-01", REJECTED),
    ],
    "a time may lack its seconds, without a zone it is UTC, and in UTC it has a year from 1 to 9999": [
        ("datetime", "2026-01-31T12:00Z", "2026-01-31 12:00:00+00:00", REJECTED),
        ("datetime", "2026-01-31T12:00:00", "2026-01-31 12:00:00+00:00", "2026-01-31 12:00:00"),
        ("datetime", "0001-01-01T00:00:00+02:00", REJECTED, "0001-01-01 00:00:00+02:00"),
    ],
    "a time of day has no zone, and may lack its seconds": [
        ("time", "12:00:00Z", REJECTED, "12:00:00+00:00"),
        ("time", "12:00", "12:00:00", REJECTED),
        ("time", "24:00:00", REJECTED, "00:00:00"),
    ],
    "a year has four digits and a month two; there is no year 0": [
        ("year", "0000", REJECTED, "0"),
        ("year", "+123", REJECTED, "123"),
        ("yearmonth", "2026-1", REJECTED, "yearmonth(year=2026, month=1)"),
    ],
    "a duration is one of XML Schema, or weeks, and stays as it is written": [
        ("duration", "P1.5D", REJECTED, "1 day, 12:00:00"),
        ("duration", "+P1D", REJECTED, "1 day, 0:00:00"),
        ("duration", "PT", REJECTED, "0:00:00"),
        ("duration", "P99999999999D", "P99999999999D", REJECTED),
    ],
    "JSON has no NaN, and at most 200 levels; the numbers of a point are no text": [
        ("array", "[NaN]", REJECTED, "[nan]"),
        ('{"type": "geopoint", "format": "array"}', '["1", "2"]', REJECTED, "[1.0, 2.0]"),
    ],
    "an address, a URI and base64 have ASCII letters alone, in a URI where RFC 3986 has them": [
        ('{"type": "string", "format": "uri"}', r"http://x.org/\xe9", REJECTED, r"http://x.org/\xe9"),
        ('{"type": "string", "format": "uri"}', "x:[", REJECTED, "x:["),
        ('{"type": "string", "format": "email"}', r"\xe9@example.org", REJECTED, r"\xe9@example.org"),
        ('{"type": "string", "format": "binary"}', "YW-Jj", REJECTED, "YW-Jj"),
    ],
    "a pattern matches all of the value; its language is RE2": [
        ('{"type": "string", "constraints": {"pattern": "a|b"}}', "ab", REJECTED, "ab"),
        ('{"type": "string", "constraints": {"pattern": "[A-Z]+"}}', r"DE\n", REJECTED, r"DE\n"),
        ('{"type": "string", "constraints": {"pattern": "\\\\d"}}', r"\u0661", REJECTED, r"\u0661"),
    ],
}
ROWS = [(why, *row) for why, rows in DIFFERENCES.items() for row in rows]


def spec_of(shown: str) -> dict[str, Any]:
    return json.loads(shown) if shown.startswith("{") else {"type": shown}


def ours(spec: dict[str, Any], cell: str, missing: tuple[str, ...] = ("",)) -> Any:
    checks = Constraints(**spec.get("constraints", {}))
    [value], [bad] = judge([cell], FieldSpec(name="f", **{**spec, "constraints": checks}), frozenset(missing))
    return REJECTED if bad else value


def theirs(spec: dict[str, Any], cell: str, missing: tuple[str, ...] = ("",)) -> Any:
    fields = {"$schema": V2, "fields": [{"name": "f", **spec}], "missingValues": list(missing)}
    schema = frictionless.Schema.from_descriptor(fields)
    [value], [notes] = schema.read_cells([cell])
    return REJECTED if notes else value


def shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value).replace("\n", r"\n") if str(value).isascii() else ascii(value)[1:-1]


def plain(cell: str) -> str:
    return cell.encode().decode("unicode_escape")


@pytest.mark.parametrize(("field", "cell", "here", "there"), [row[1:] for row in ROWS])
def test_each_difference_is_one(field, cell, here, there):
    assert shown(ours(spec_of(field), plain(cell))) == here
    assert shown(theirs(spec_of(field), plain(cell))) == there


def test_the_documents_list_the_same():
    text = (ROOT / "docs/datasets.md").read_text().partition("## Where it differs from frictionless")[2]
    text = text.partition("### ")[0]
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| ")][1:]
    found, why = [], ""
    for line in lines:
        reason, *cells = [part.strip().replace(r"\|", "|") for part in line]
        why = reason or why
        found.append((why, *(re.sub(r"^`|`$", "", cell) for cell in cells)))
    assert found == ROWS


# What the reasons above say, as a condition: where none holds, both must agree.
REASONS: list[Callable[[str, str], bool]] = [
    lambda type_, cell: type_ != "string" and cell != cell.strip(),
    lambda type_, cell: type_ == "integer" and len(cell) > 18,
    lambda type_, cell: type_ in ("integer", "number") and ("_" in cell or not cell.isascii()),
    lambda type_, cell: type_ == "number" and not _finite(cell),
    lambda type_, cell: type_ == "date" and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", cell),
    lambda type_, cell: type_ == "datetime" and not re.fullmatch(TIME, cell),
    lambda type_, cell: type_ == "datetime" and cell[:4] in ("0001", "9999"),
]


def _finite(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return True


def same(value: Any) -> Any:
    """Return a value of frictionless as ours is held: a float64, a time in UTC."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return value


DIGITS = st.text(st.sampled_from("0123456789+-.eE_ xNainfT:/,٣\t\xa0"), max_size=14)
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
CELLS: dict[str, st.SearchStrategy[str]] = {
    "string": st.text(max_size=12),
    "integer": st.one_of(st.integers(-(10**17), 10**17).map(str), DIGITS),
    "number": st.one_of(
        st.floats(allow_nan=False).map(str),
        st.decimals(allow_nan=False, places=3).map(str),
        st.integers().map(str),
        DIGITS,
    ),
    "boolean": st.sampled_from([*TRUE, *FALSE, "yes", "no", "t", "f", "2", "tRUE", "on", "00", "+1", ""]),
    "date": st.one_of(
        st.dates().map(date.isoformat), st.builds("{:04}-{:02}-{:02}".format, *[st.integers(0, 99)] * 3), DIGITS
    ),
    "datetime": st.one_of(
        st.builds(
            lambda time, end: time.isoformat() + end, TIMES, st.sampled_from(["", "Z", "+02:00", "-11:30", "+0200"])
        ),
        st.builds(
            "2026-01-{:02}{}{:02}:{:02}:{:02}Z".format,
            *[st.integers(0, 70), st.sampled_from("T t"), *[st.integers(0, 70)] * 3],
        ),
    ),
}
CELL = st.sampled_from(sorted(CELLS)).flatmap(lambda type_: st.tuples(st.just(type_), CELLS[type_]))


@settings(max_examples=1500, deadline=None)
@given(CELL, st.sampled_from([("",), ("", "NA", "0"), ("-",)]))
def test_generated_values_are_the_same(cell, missing):
    type_, text = cell
    here, there = ours({"type": type_}, text, missing), same(theirs({"type": type_}, text, missing))
    assert here == there or any(reason(type_, text) for reason in REASONS)


AMOUNTS = st.integers(-(10**9), 10**9).map(lambda value: f"{value / 100:_.2f}".translate({46: 44, 95: 46}))


def written(format_: str) -> st.SearchStrategy[str]:
    """Generate times as Python writes them, and now and then with another letter."""
    times = st.datetimes(datetime(1969, 1, 1), datetime(2068, 12, 31), timezones=st.just(UTC))
    texts = times.map(lambda time: time.strftime(format_))
    return st.one_of(
        texts, texts.map(str.lower), st.builds(lambda text, at: text[:at] + "x" + text[at + 1 :], texts, INDEX)
    )


WORD = st.text("ab1", min_size=1, max_size=3)
ENDS = st.sampled_from(["org", "de"])
INDEX = st.integers(0, 20)
CHECKED = [
    (
        {"type": "integer", "constraints": {"required": True, "minimum": -5, "maximum": "7"}},
        st.integers(-9, 9).map(str),
    ),
    (
        {"type": "number", "constraints": {"minimum": 0.5, "enum": ["0.5", 1, 2.25]}},
        st.sampled_from(["0.4", "0.5", ".50", "1", "1.0", "2.25", "3"]),
    ),
    ({"type": "string", "constraints": {"minLength": 2, "maxLength": 3}}, st.text(max_size=5)),
    ({"type": "string", "constraints": {"pattern": "[a-c]{2}", "required": True}}, st.text("abcd", max_size=3)),
    ({"type": "string", "constraints": {"enum": ["a", "b"]}}, st.text("abc", max_size=2)),
    ({"type": "integer", "constraints": {"exclusiveMinimum": 2, "exclusiveMaximum": 5}}, st.integers(0, 7).map(str)),
    ({"type": "boolean", "constraints": {"required": True}}, st.sampled_from(["", "true", "0", "x"])),
    (
        {"type": "date", "constraints": {"minimum": "2026-01-02", "maximum": "2026-01-05"}},
        st.integers(1, 9).map("2026-01-0{}".format),
    ),
    ({"type": "date", "format": "%d.%m.%Y"}, st.dates(date(1000, 1, 1)).map(lambda day: day.strftime("%d.%m.%Y"))),
    (
        {"type": "datetime", "format": "%Y/%m/%d %H:%M"},
        st.datetimes(datetime(1000, 1, 1)).map(lambda day: day.strftime("%Y/%m/%d %H:%M")),
    ),
    (
        {"type": "number", "decimalChar": ",", "groupChar": "."},
        st.floats(-1e9, 1e9).map(lambda value: f"{value:_.3f}".translate({46: 44, 95: 46})),
    ),
    (
        {"type": "boolean", "trueValues": ["ja", "1"], "falseValues": ["nein", "0"]},
        st.sampled_from(["ja", "nein", "1", "0", "", "true", "JA", "x"]),
    ),
    (
        {"type": "number", "bareNumber": False, "decimalChar": ",", "groupChar": "."},
        st.builds(
            "{}{}{}".format, st.sampled_from(["", "€", "EUR ", "ca. "]), AMOUNTS, st.sampled_from(["", " %", "€"])
        ),
    ),
    (
        {"type": "integer", "bareNumber": False},
        st.builds(
            "{}{}{}".format, st.sampled_from(["", "No. ", "$"]), st.integers(-999, 999), st.sampled_from(["", " kg"])
        ),
    ),
    *[({"type": "date", "format": form}, written(form)) for form in ("%d/%m/%y", "%d %b %Y", "%B %d, %Y", "%b-%d-%y")],
    *[
        ({"type": "datetime", "format": form}, written(form))
        for form in ("%d/%m/%y %I:%M %p", "%d/%m/%Y %H:%M:%S.%f", "%Y%m%d %H%M%S%z", "%b %d %Y %I:%M:%S%p")
    ],
]


def texts(*pieces: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=6).map("".join).map(str.strip)


DIGIT = ("1", "2", "07", "12", "2026", "-", ":", ".")
LIKE: list[tuple[dict[str, Any], st.SearchStrategy[str]]] = [
    (
        {"type": "time"},
        st.one_of(st.times().map(str), texts(*DIGIT), st.just("12:60:00")).filter(lambda one: len(one) > 5),
    ),
    ({"type": "time", "format": "%I:%M:%S %p"}, st.times().map(lambda time: time.strftime("%I:%M:%S %p"))),
    ({"type": "year", "constraints": {"minimum": 2000}}, st.integers(1, 12_000).map(str)),
    ({"type": "yearmonth"}, st.builds("{:04}-{:02}".format, st.integers(1, 9999), st.integers(0, 20))),
    (
        {"type": "duration"},
        texts("P", "T", "1Y", "2M", "4D", "5H", "6.7S", "-").filter(lambda cell: cell[-1:] != "T"),
    ),
    ({"type": "array"}, texts("[", "]", "1", ",", '"a"', " ", "null", "{}")),
    ({"type": "object"}, texts("{", "}", '"a":', "1", ",", " ", "[]", "true")),
    ({"type": "list", "itemType": "integer"}, texts("1", ",", "-2", "x")),
    ({"type": "list", "delimiter": ";", "constraints": {"minLength": 2}}, texts("a", ";", "b")),
    ({"type": "geopoint"}, st.builds("{},{}".format, st.integers(-200, 200), st.floats(-100, 100))),
    ({"type": "geopoint", "format": "array"}, texts("[", "1.5", ",", " 90", "]", "-91")),
    ({"type": "geopoint", "format": "object"}, texts("{", '"lon": 1', ",", '"lat": 2', "}", '"lat": 91')),
    ({"type": "any"}, st.text(max_size=5)),
    ({"type": "string", "format": "uuid"}, st.one_of(st.uuids().map(str), st.text("0a-", max_size=36))),
    (
        {"type": "string", "format": "uri"},
        texts("http", ":", "//", "x.org", "/a", "?b=c", "%20").map(lambda cell: cell + "#d"),
    ),
    (
        {"type": "string", "format": "email"},
        st.builds("{}@{}.{}".format, WORD, WORD, ENDS),
    ),
    ({"type": "string", "format": "binary"}, st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode())),
]


@pytest.mark.parametrize(("spec", "cells"), LIKE, ids=str)
def test_other_types_take_the_same_cells(spec, cells):
    """The values are text here, and objects there."""

    @settings(max_examples=120, deadline=None)
    @given(cells)
    def check(cell):
        here, there = ours(spec, cell), theirs(spec, cell)
        assert (here is REJECTED, here is None) == (there is REJECTED, there is None)

    check()


@pytest.mark.parametrize(("spec", "cells"), CHECKED, ids=str)
def test_constraints_and_formats_are_the_same(spec, cells):
    @settings(max_examples=60, deadline=None)
    @given(cells)
    def check(cell):
        assert ours(spec, cell) == same(theirs(spec, cell))

    check()
