"""Values as text in a field's own form: what is written is read again as the same value."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.field import FieldSpec
from pipeline.readers.cells.parse import parse
from pipeline.readers.cells.write import as_written, number_text, write_column

NONE = frozenset[str]()
DAY = date(2026, 2, 1)
TYPES = {
    **{type_: FieldSpec(name="f", type=type_) for type_ in (
        "string", "integer", "number", "boolean", "date", "datetime", "time", "year", "yearmonth", "duration", "list",
        "object", "array", "geopoint", "any",
    )},
    "decimal": FieldSpec(name="f", type="number", decimal={"precision": 18, "scale": 2}),
}  # fmt: skip
TEXT, NUMBER = FieldSpec(name="t"), FieldSpec(name="n", type="number")
COMMA = FieldSpec(name="c", type="number", decimalChar=",", groupChar=".")
INTEGER = FieldSpec(name="i", type="integer")
FORMATS = ["default", "%d.%m.%Y", "%Y%m%d", "%-d %B %Y", "%b %d, %Y", "%d/%m/%y"]
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE, st.sampled_from([NUMBER, COMMA]))
def test_a_number_is_read_again(value, field):
    assert parse(as_written(value, field), field, NONE) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_is_read_again(value):
    assert parse(as_written(value, INTEGER), INTEGER, NONE) == value


@given(FINITE)
def test_the_text_of_a_number_is_exactly_it(value):
    assert float(number_text(value)) == value
    assert len(number_text(value)) <= max(len(repr(value)), 20)


@given(st.dates(min_value=date(1, 1, 1)), st.sampled_from(FORMATS))
def test_a_date_is_read_again_or_is_wrong(value, format_):
    """By no format does it become another date: not even where two digits of a year say less."""
    field = FieldSpec(name="d", type="date", format=format_)
    text = as_written(value, field)
    if "%y" not in format_:
        assert parse(text, field, NONE) == value
        return
    try:
        assert parse(text, field, NONE) == value
    except ValueError:
        assert text == value.isoformat()


@pytest.mark.parametrize(
    ("value", "field", "text"),
    [
        (time(7, 30), FieldSpec(name="t", type="time", format="%H.%M"), "07.30"),
        (time(0, 30), FieldSpec(name="t", type="time", format="%-I:%M %p"), "12:30 AM"),
        (time(7, 30, 5), FieldSpec(name="t", type="time", format="%H.%M"), "07:30:05"),
        (datetime(2026, 1, 31, 12), FieldSpec(name="d", type="datetime", format="%Y-%m-%dT%H%M%z"), "2026-01-31T1200Z"),
    ],
)
def test_a_time_has_the_format_of_its_field_if_that_can_hold_it(value, field, text):
    assert as_written(value, field) == text


@given(st.datetimes(), st.sampled_from(["default", "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %I:%M %p"]))
def test_a_datetime_is_read_again_or_is_wrong(value, format_):
    field = FieldSpec(name="d", type="datetime", format=format_)
    text = as_written(value, field)
    try:
        assert parse(text, field, NONE) == value.replace(tzinfo=UTC)
    except ValueError:
        assert format_ != "default"
        assert text == value.isoformat()
        assert value.microsecond or value.second


@given(
    st.one_of(
        st.lists(FINITE), st.lists(st.integers(-9, 9).map(float)), st.lists(st.text()),
        st.lists(st.one_of(FINITE, st.just(""), st.booleans(), st.text(max_size=3))),
    ),
    st.sampled_from([TEXT, NUMBER, COMMA, INTEGER]),
)  # fmt: skip
def test_a_column_is_written_as_its_values_are(values, field):
    """Also where all of it is written at once."""
    assert write_column(values, field).to_pylist() == [as_written(value, field) for value in values]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(hours=30), "30:00:00"),
        (timedelta(minutes=-90), "-1:30:00"),
        (timedelta(seconds=1, milliseconds=250), "0:00:01.25"),
        (2.0**53 + 2, "9007199254740994"),
        (-0.0, "0"),
        (1e22, "1e+22"),
        (float("nan"), "nan"),
        ("", None),
        (None, None),
    ],
)
def test_as_text(value, text):
    assert as_written(value, TEXT) == text


# Of each kind of cell: its text, and the types whose fields take it, with the value that they have then.
KINDS = [
    (2026.0, "2026", {"integer": 2026, "number": 2026.0, "decimal": Decimal(2026), "year": 2026}),
    (0.1 + 0.2, "0.3", {"number": 0.1 + 0.2, "decimal": Decimal("0.3")}),
    (4.35 * 100, "435", {"integer": 435, "number": 434.99999999999994, "decimal": Decimal(435)}),
    (0.125, "0.125", {"number": 0.125}),
    (1234567890123456.5, "1234567890123456.5",
     {"number": 1234567890123456.5, "decimal": Decimal("1234567890123456.5")}),
    (1.0, "1", {"integer": 1, "number": 1.0, "decimal": Decimal(1), "boolean": True}),
    (True, "TRUE", {"boolean": True}),
    (DAY, "2026-02-01", {"date": DAY, "datetime": datetime(2026, 2, 1, tzinfo=UTC), "yearmonth": "2026-02"}),
    (date(2026, 2, 2), "2026-02-02", {"date": date(2026, 2, 2), "datetime": datetime(2026, 2, 2, tzinfo=UTC)}),
    (datetime(2026, 2, 1), "2026-02-01T00:00:00",
     {"date": DAY, "datetime": datetime(2026, 2, 1, tzinfo=UTC), "yearmonth": "2026-02"}),
    (datetime(2026, 2, 1, 7), "2026-02-01T07:00:00", {"datetime": datetime(2026, 2, 1, 7, tzinfo=UTC)}),
    (time(7, 30), "07:30:00", {"time": time(7, 30), "duration": "PT7H30M"}),
    (timedelta(hours=7, seconds=5), "7:00:05", {"time": time(7, 0, 5), "duration": "PT7H5S"}),
    (timedelta(hours=26, minutes=30), "26:30:00", {"duration": "PT26H30M"}),
    (timedelta(days=1), "24:00:00", {"duration": "PT24H"}),
    (timedelta(seconds=-1, milliseconds=-500), "-0:00:01.5", {"duration": "-PT1.5S"}),
    (timedelta(), "0:00:00", {"time": time(), "duration": "PT0S"}),
]  # fmt: skip
ANY = {"string", "list", "any"}  # they take each text


@pytest.mark.parametrize(("cell", "text", "values"), KINDS, ids=lambda one: repr(one)[:30])
def test_each_kind_of_cell_in_a_field_of_each_type(cell, text, values):
    for name, field in TYPES.items():
        for written in (as_written(cell, field), *write_column([cell], field).to_pylist()):
            expected = text if name in ANY else values.get(name)
            assert value_of(written, field) == expected, name


def value_of(text: str, field: FieldSpec) -> object:
    try:
        return parse(text, field, NONE)
    except ValueError:
        return None
