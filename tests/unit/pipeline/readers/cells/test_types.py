"""Cells of every type and form: what is read of each, in the fast way and in the plain one."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.field import Constraints, Digits, FieldSpec
from pipeline.readers.cells.explain import explain
from pipeline.readers.cells.parse import parse
from pipeline.readers.cells.time_formats import write_time
from pipeline.readers.cells.validate import check_column

MISSING = frozenset({"", "-"})
REJECTED = "rejected"


def spec(**properties: Any) -> FieldSpec:
    parts = {"constraints": Constraints, "decimal": Digits}
    made = {name: parts[name](**value) if name in parts else value for name, value in properties.items()}
    return FieldSpec(name="f", **made)


def read(cells: list[str], field: FieldSpec) -> list[Any]:
    """Read cells in both ways, which must give the same."""
    values, wrong = check_column(pa.array(cells, pa.string()), field, MISSING)
    found = [REJECTED if bad else value for value, bad in zip(values.to_pylist(), wrong.to_pylist(), strict=True)]
    plain = [REJECTED if explain(cell, field, MISSING) else parse(cell, field, MISSING) for cell in cells]
    assert found == plain
    assert {*map(type, found)} == {*map(type, plain)}
    return found


LOOSE = {"type": "number", "bareNumber": False}
POUNDS = {**LOOSE, "groupChar": ","}
EUROS = {**LOOSE, "groupChar": ".", "decimalChar": ","}
SHORT = {"type": "date", "format": "%-d/%-m/%y"}
CLOCK = {"type": "datetime", "format": "%d/%m/%Y %-I:%M %p"}
ZONED = {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S.%f%z"}
YES = {"type": "boolean", "trueValues": ["ja", "X"], "falseValues": ["nein", "."]}
CENTS = {"type": "number", "decimal": {"precision": 5, "scale": 2}}
BOUNDED = {**CENTS, "constraints": {"exclusiveMinimum": 0.1, "enum": ["0.1", 0.11, 0.3], "maximum": "0.2"}}
WIDE = {"type": "number", "decimal": {"precision": 38, "scale": 0}}
DOWN_TO = {
    "type": "number",
    "decimal": {"precision": 38, "scale": 2},
    "constraints": {"minimum": "12345678901234567.89"},
}
MONTH = {"type": "yearmonth", "constraints": {"minimum": "2026-01"}}
FEW = {"type": "list", "delimiter": "; ", "constraints": {"minLength": 2, "maxLength": 3}}
POINT = {"type": "geopoint", "format": "object"}
BETWEEN = {"type": "integer", "constraints": {"exclusiveMinimum": 1, "exclusiveMaximum": 3}}
LONG, MANY = f"[{'9' * 5000}]", f"[{'[],' * 300}1]"
UUID = "123e4567-e89b-12d3-a456-426614174000"
KINDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (YES, {"ja": True, " X ": True, ".": False, "true": REJECTED, "-": None, "JA": REJECTED}),
    (LOOSE, {"80 %": 80.0, "$.50": 0.5, "Rs.500": 500.0, "Rs .5": 0.5, "5 m²": 5.0, "5e3": 5000.0, "EUR 95": 95.0}),
    (LOOSE, {"-£5": -5.0, "£-5": -5.0, "- 5": -5.0, "+5%": 5.0, "-£-5": REJECTED, "U.S.$ 5": 5.0, "5 (net)": 5.0}),
    (LOOSE, {"(5)": REJECTED, "5-": REJECTED, "\u22125": REJECTED, "5\u2013": REJECTED, "5½": REJECTED}),
    (LOOSE, {"10²": REJECTED, "CO2 5": REJECTED, "5 e3": REJECTED, "1,5": REJECTED, "\u0665": REJECTED, "x": REJECTED}),
    (POUNDS, {"£63,124.71": 63124.71, "1,234 kg": 1234.0, "£,5": 5.0, "1,,2": REJECTED}),
    ({**LOOSE, "decimalChar": "$"}, {"5$50": 5.5, "$5": 0.5, "x$5": 5.0}),
    (EUROS, {"54.422,92 €": 54422.92, "€,5": 0.5, "(1.234,00)": REJECTED, "5,-": REJECTED}),
    ({"type": "number", "groupChar": "\u202f", "decimalChar": ","}, {"1\u202f234,5": 1234.5, "1 234,5": REJECTED}),
    ({"type": "integer", "groupChar": "."}, {"1.234": 1234, "-1.2": -12, "1..2": REJECTED, "9" * 19: REJECTED}),
    ({"type": "integer", "bareNumber": False}, {"5 kg": 5, "5.00": REJECTED, "$.50": REJECTED, "42\xa0": 42}),
    (SHORT, {"16/5/25": date(2025, 5, 16), "1/12/69": date(1969, 12, 1), "01/01/68": date(2068, 1, 1)}),
    (SHORT, {"31/2/25": REJECTED, "016/5/25": REJECTED, "1/1/2025": REJECTED, "": None}),
    ({"type": "date", "format": "%d %b %Y"}, {"16 may 2025": date(2025, 5, 16), "16 Mai 2025": REJECTED}),
    ({"type": "date", "format": "%B %-d, %Y"}, {"MAY 6, 2025": date(2025, 5, 6), "Sept 6, 2025": REJECTED}),
    ({"type": "date", "format": "fmt:%d%%%m%%%Y"}, {"06%05%2025": date(2025, 5, 6), "06%13%2025": REJECTED}),
    (CLOCK, {"01/02/2026 3:07 PM": datetime(2026, 2, 1, 15, 7, tzinfo=UTC), "01/02/2026 13:07 PM": REJECTED}),
    (CLOCK, {"01/02/2026 12:00 am": datetime(2026, 2, 1, tzinfo=UTC), "01/02/2026 0:07 AM": REJECTED}),
    (CLOCK, {"01/02/2026 12:00 PM": datetime(2026, 2, 1, 12, tzinfo=UTC), "1/02/2026 1:00 PM": REJECTED}),
    (ZONED, {"2026-01-31 01:02:03.5-1130": datetime(2026, 1, 31, 12, 32, 3, 500_000, UTC)}),
    (ZONED, {"2026-01-31 01:02:03.000001Z": datetime(2026, 1, 31, 1, 2, 3, 1, UTC)}),
    (ZONED, {"2026-01-31 01:02:03.5+25:00": REJECTED, "2026-01-31 01:02:03.5": REJECTED}),
    (CENTS, {"1.5": Decimal("1.50"), "1.500": Decimal("1.50"), "-.5": Decimal("-0.50"), "5.": Decimal("5.00")}),
    (CENTS, {"1e2": Decimal("100.00"), "00999.99": Decimal("999.99"), "0e99": Decimal("0.00"), "+1": Decimal("1.00")}),
    (CENTS, {"1.505": REJECTED, "1000": REJECTED, "1e400": REJECTED, "1e-3": REJECTED, "nan": REJECTED, "x": REJECTED}),
    ({**CENTS, **EUROS}, {"4,92 €": Decimal("4.92"), "-1,005 €": REJECTED, "1.234,00 €": REJECTED}),
    (BOUNDED, {"0.1": REJECTED, "0.11": Decimal("0.11"), "0.3": REJECTED, "0.12": REJECTED}),
    (WIDE, {"9" * 38: Decimal("9" * 38), "1" + "0" * 38: REJECTED, "1e37": Decimal(10**37), "0.5": REJECTED}),
    (DOWN_TO, {"12345678901234567.88": REJECTED, "12345678901234567.89": Decimal("12345678901234567.89")}),
    ({"type": "time"}, {"12:30": time(12, 30), "23:59:59.5": time(23, 59, 59, 500_000), "24:00:00": REJECTED}),
    ({"type": "time"}, {"12:00:00Z": REJECTED, "1:00": REJECTED, "12:60": REJECTED, " 12:00 ": time(12)}),
    ({"type": "time", "format": "%-I:%M %p"}, {"3:07 PM": time(15, 7), "12:00 am": time(0), "13:00 PM": REJECTED}),
    ({"type": "time", "constraints": {"minimum": "12:00"}}, {"12:00": time(12), "11:59:59.9": REJECTED}),
    ({"type": "year", "constraints": {"maximum": 2026}}, {"2026": 2026, "2027": REJECTED, "999": REJECTED}),
    ({"type": "year"}, {"0001": 1, "0000": REJECTED, "+2026": REJECTED, "12026": REJECTED}),
    (MONTH, {"2026-01": "2026-01", "2025-12": REJECTED, "2026-13": REJECTED, "2026-1": REJECTED}),
    ({"type": "duration"}, {"P1Y2M3DT4H5M6.7S": "P1Y2M3DT4H5M6.7S", "PT36H": "PT36H", "P3W": "P3W", "-P1D": "-P1D"}),
    ({"type": "duration"}, {"P": REJECTED, "PT": REJECTED, "P1DT": REJECTED, "P1.5D": REJECTED, "P1D1Y": REJECTED}),
    ({"type": "list", "itemType": "integer"}, {"1, 2,3": "1, 2,3", "1,,2": REJECTED, "1,x": REJECTED}),
    (FEW, {"a; b": "a; b", "a": REJECTED, "a; b; c; d": REJECTED}),
    ({"type": "object", "constraints": {"minLength": 1}}, {'{"a": 1}': '{"a": 1}', "{}": REJECTED, "[1]": REJECTED}),
    ({"type": "object"}, {'{"a": NaN}': REJECTED, "{": REJECTED, '{"a": 1} 2': REJECTED, '{"a":"[[["}': '{"a":"[[["}'}),
    ({"type": "array"}, {" [1] ": "[1]", "[1,]": REJECTED, "[" * 201 + "]" * 201: REJECTED}),
    ({"type": "array"}, {LONG: LONG, MANY: MANY}),
    ({"type": "geopoint"}, {"90.5, 45.5": "90.5, 45.5", "181,0": REJECTED, "0,-90": "0,-90", "1": REJECTED}),
    ({"type": "geopoint", "format": "array"}, {"[90.5, 45]": "[90.5, 45]", '["1", 2]': REJECTED, "[true, 1]": REJECTED,
                                               "[1]": REJECTED}),
    (POINT, {'{"lon": 1, "lat": 2}': '{"lon": 1, "lat": 2}', '{"lon": 1}': REJECTED, '{"lat": 1, "lon": 181}': REJECTED,
             "[1, 2]": REJECTED}),
    ({"type": "any"}, {" x ": " x ", "1": "1", "-": None}),
    ({"format": "email"}, {"a.b@x.org": "a.b@x.org", "a@b": REJECTED, " a@x.org": REJECTED, "a@b@x.org": REJECTED}),
    ({"format": "uri"}, {"https://x.org/a?b=%20#c": "https://x.org/a?b=%20#c", "urn:x": "urn:x", "x.org": REJECTED}),
    ({"format": "uuid"}, {UUID: UUID, UUID[1:]: REJECTED}),
    ({"format": "binary"}, {"YWJj": "YWJj", "YWI=": "YWI=", "YW": REJECTED, "Y W J": REJECTED}),
    (BETWEEN, {"1": REJECTED, "2": 2, "3": REJECTED}),
]  # fmt: skip


@pytest.mark.parametrize(("properties", "cells"), KINDS, ids=str)
def test_cells(properties, cells):
    assert read([*cells], spec(**properties)) == [*cells.values()]


PIECES = [*"0123456789", *"+-.,:/ ()$e%", "12", "1.234,50", "€", "½", "²", "\u2212", "\u0663", "\xa0", "kg", "Rs", "x"]
PIECES += ["PT", "P", "H", "D", "[", "]", "{", "}", '"lon":', '"lat":', "@", "a", ".org", "12:30", "2026-01", ";"]
PIECES += ["16", "5", "25", "2025", "May", "march", " PM", "am", "Z", "+0200", "ja", "nein", "X", "true"]
CELL = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)
LATE = st.datetimes(datetime(1969, 1, 1), datetime(2068, 12, 31))
FORMATS = [
    ("date", "%-d/%-m/%y"),
    ("date", "%B %d, %Y"),
    ("date", "%d-%b-%y"),
    ("datetime", "%d/%m/%Y %I:%M:%S %p"),
    ("datetime", "%-m/%-d/%y %-H:%-M"),
    ("datetime", "%Y%m%dT%H%M%S.%f%z"),
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([properties for properties, _ in KINDS]), st.lists(CELL, max_size=4))
def test_both_ways_are_one(properties, cells):
    read(cells, spec(**properties))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FORMATS), LATE)
def test_a_time_is_read_as_it_is_written(form, value):
    """As far as its format goes: a format without seconds has none."""
    type_, format_ = form
    field = spec(type=type_, format=format_)
    written = write_time(value, field)
    [found] = read([written], field)
    assert write_time(found, field) == written
    assert found.timetuple()[:3] == value.timetuple()[:3]
    if "%f" in format_:
        assert found == value.replace(tzinfo=UTC)


def test_a_value_is_written_in_the_default_format():
    field = spec(type="datetime")
    assert read([write_time(datetime(2026, 1, 31, 12), field)], field) == [datetime(2026, 1, 31, 12, tzinfo=UTC)]
    assert write_time(date(2026, 1, 31), spec(type="datetime", format="%-I %p %M %d %b %Y")) == "12 AM 00 31 Jan 2026"


def test_a_point_of_very_many_digits_is_wrong_at_once():
    """Were there two ways to take a digit, this would take hours, by the number of digits squared."""
    [(rule, _)] = explain("1" * 1_000_000, spec(type="geopoint"), frozenset())
    assert rule == "type"
