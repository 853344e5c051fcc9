"""Values as text in a field's own form: what is written is read again as the same value."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.field import FieldSpec
from pipeline.readers.cells.parse import parse
from pipeline.readers.cells.write import as_written, number_text, write_column

NONE = frozenset[str]()
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
