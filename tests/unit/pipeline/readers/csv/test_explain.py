"""One cell: what is taken, what is not, and that the fast way judges as the plain one does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.field import Constraints, FieldSpec
from pipeline.readers.cells.parse import parse
from pipeline.readers.csv.explain import explain
from tests.support.judges import MISSING, judge


def field(type_: str, **constraints: object) -> FieldSpec:
    return FieldSpec(name="f", type=type_, constraints=Constraints(**constraints))


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("integer", "12", 12),
        ("integer", "+5", 5),
        ("integer", "-0", 0),
        ("integer", "007", 7),
        ("integer", " \t42\t ", 42),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("integer", "-9223372036854775808", -(2**63)),
        ("number", "1.", 1.0),
        ("number", ".5", 0.5),
        ("number", "+1e3", 1000.0),
        ("number", " -2.5E-1 ", -0.25),
        ("boolean", "true", True),
        ("boolean", "0", False),
        ("date", "2024-02-29", "2024-02-29"),
        ("datetime", "2026-01-31T12:00:00Z", "2026-01-31 12:00:00+00:00"),
        ("datetime", "2026-01-31 12:00", "2026-01-31 12:00:00+00:00"),
        ("datetime", "2026-01-31T12:00:00.25+02:00", "2026-01-31 10:00:00.250000+00:00"),
        ("string", "  kept as it is ", "  kept as it is "),
    ],
)
def test_taken(type_, text, value):
    values, bad = judge([text], field(type_))
    assert bad == [False]
    assert (str(values[0]) if isinstance(value, str) else values[0]) == value
    assert explain(text, field(type_), MISSING) == []


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("integer", text)
        for text in [
            "0x1F",
            "0x15",
            "1_000",
            "1.0",
            "1e3",
            "abc",
            "١٢",
            "9223372036854775808",
            "--1",
            "+",
            "1 2",
            "12\xa0",
        ]
    ]
    + [("number", text) for text in ["inf", "nan", "-Infinity", "1e400", "1_000", "0x1p3", ".", "e5", "1,5", "१.५"]]
    + [("boolean", text) for text in ["yes", "t", "tRuE", "2", "01"]]
    + [
        ("date", text)
        for text in ["2026-02-30", "2026-2-3", "20260203", "2026-13-01", "0000-01-01", "2026-02-03T00:00"]
    ]
    + [
        ("datetime", text)
        for text in [
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00",
            "2026-01-01",
            "2026-01-01T1:00:00",
            "12:00",
            "0001-01-01T00:00:00+02:00",
        ]
    ],
)
def test_not_taken(type_, text):
    assert judge([text, ""], field(type_)) == ([None, None], [True, False])
    [(rule, message)] = explain(text, field(type_), MISSING)
    assert rule == "type"
    assert repr(text) in message


@pytest.mark.parametrize(
    ("spec", "text", "rule"),
    [
        (field("string", required=True), "", "required"),
        (field("integer", required=True), "  ", "required"),
        (field("integer", minimum=0), "-1", "minimum"),
        (field("integer", maximum="10"), "11", "maximum"),
        (field("number", minimum=0.5), "0.4", "minimum"),
        (field("date", minimum="2026-01-01"), "2025-12-31", "minimum"),
        (field("string", minLength=3), "éé", "minLength"),
        (field("string", maxLength=3), "éééé", "maxLength"),
        (field("string", pattern="[A-Z]{2}"), "DEU", "pattern"),
        (field("string", pattern="a|b"), "ab", "pattern"),
        (field("string", pattern="a"), "a\n", "pattern"),
        (field("string", enum=["a", "b"]), "c", "enum"),
        (field("integer", enum=[1, "2"]), "3", "enum"),
    ],
    ids=str,
)
def test_constraints(spec, text, rule):
    assert judge([text], spec)[1] == [True]
    [(broken, message)] = explain(text, spec, MISSING)
    assert broken == rule
    assert "expected" in message or "required" in message


CELLS = st.one_of(
    st.text(st.sampled_from("0123456789+-.eE _xXtrufalsnTZ:/é\t"), max_size=24),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(["", " ", "NA", "true", "FALSE", "1", "2026-02-30", "2026-12-31T23:59:60Z"]),
)
SPECS = st.one_of(
    st.sampled_from(["string", "integer", "number", "boolean", "date", "datetime"]).map(field),
    st.builds(lambda low, high: field("integer", minimum=low, maximum=high), st.integers(-9, 9), st.integers(-9, 9)),
    st.builds(lambda low: field("number", minimum=low, required=True), st.floats(-9, 9)),
    st.builds(lambda low, high: field("string", minLength=low, maxLength=high), st.integers(0, 5), st.integers(0, 5)),
    st.sampled_from([field("string", pattern=r"[0-9]+|a.c"), field("string", enum=["", "1", "x"], required=True)]),
    st.sampled_from([field("date", maximum="2026-01-01"), field("datetime", minimum="2026-01-01T00:00:00Z")]),
)


@given(st.lists(CELLS, max_size=12), SPECS, st.sampled_from([MISSING, frozenset(), frozenset({"NA", "1"})]))
def test_the_fast_way_is_the_plain_way(cells, spec, missing):
    values, bad = judge(cells, spec, missing)
    assert bad == [bool(explain(cell, spec, missing)) for cell in cells]
    for cell, value, wrong in zip(cells, values, bad, strict=True):
        assert wrong or value == parse(cell, spec, missing)


DAY = st.builds("{:04}-{:02}-{:02}".format, st.integers(0, 2200), st.integers(0, 13), st.integers(0, 32))
CLOCK = st.builds("T{:02}:{:02}:{:02}".format, st.integers(0, 24), st.integers(0, 60), st.integers(0, 60))
PLAIN = {
    "integer": st.integers(-(2**65), 2**65).map(str),
    "number": st.one_of(st.floats().map(str), st.text("0123456789-.eE+", min_size=1, max_size=8)),
    "boolean": st.sampled_from(["true", "false"]),
    "date": DAY,
    "datetime": st.tuples(DAY, CLOCK, st.sampled_from(["Z", "", ".5Z", "+01:00", "+10:99"])).map("".join),
}

ODD = st.sampled_from(
    ["0x1F", "0x15", "inf", "1e400", "+5", "-", " 7 ", "0000-01-01", "2026-02-29", "2026-01-01T24:00:00Z"]
)


@settings(max_examples=200)
@given(st.data(), st.sampled_from(sorted(PLAIN)))
def test_one_odd_cell_among_plain_ones(data, type_):
    """The cells of a column mostly look alike, and are then cast at once: what is different is judged by itself."""
    plain = data.draw(st.lists(PLAIN[type_], min_size=1, max_size=3)) * 20
    at = data.draw(st.integers(0, len(plain)))
    odd = data.draw(st.lists(st.one_of(CELLS, PLAIN[type_], ODD), max_size=2))
    cells = [*plain[:at], *odd, *plain[at:]]
    missing = data.draw(st.sampled_from([MISSING, frozenset(), frozenset({plain[0], " x"})]))
    values, bad = judge(cells, field(type_), missing)
    assert bad == [bool(explain(cell, field(type_), missing)) for cell in cells]
    for cell, value, wrong in zip(cells, values, bad, strict=True):
        assert wrong or value == parse(cell, field(type_), missing)
