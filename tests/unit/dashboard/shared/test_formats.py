from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dashboard.shared import formats

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_numbers_have_separators() -> None:
    assert (formats.number(1234567), formats.number(0)) == ("1,234,567", "0")
    assert (formats.count(1, "file"), formats.count(1200, "file")) == ("1 file", "1,200 files")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (2.5e9, "2.5 GB"),
        (5e16, "50,000.0 TB"),
    ],
)
def test_sizes(value: float, written: str) -> None:
    assert formats.size(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(None, formats.NONE), (0.4, "0 ms"), (1234.5, "1,234 ms"), (12345, "12.3 s")]
)
def test_milliseconds(value: float | None, written: str) -> None:
    assert formats.milliseconds(value) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (-5, "0 s"),
        (1.9, "1 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7200, "2 h"),
        (172_800, "2 days"),
        (1e8, "1,157 days"),
    ],
)
def test_ages(seconds: float, written: str) -> None:
    assert formats.age(NOW - timedelta(seconds=seconds), NOW) == written


def test_times_between_moments() -> None:
    assert formats.between(NOW, NOW + timedelta(milliseconds=1500)) == "1,500 ms"
    assert formats.between(NOW, NOW - timedelta(seconds=1)) == "0 ms"
    assert (formats.between(None, NOW), formats.between(NOW, None)) == (formats.NONE, formats.NONE)


def test_a_number_has_all_its_digits() -> None:
    assert formats.exact(2**64, separated=True) == "18,446,744,073,709,551,616"
    assert (formats.exact(1e22), formats.exact(-0.0), formats.exact(Decimal("1.10"))) == ("1e+22", "-0", "1.10")


def test_a_name_of_any_length_and_content_is_one_short_line() -> None:
    assert formats.shortened("a\n\n b\t\u202ec") == "a b \N{REPLACEMENT CHARACTER}c"
    long = formats.shortened("x" * 500 + "end")
    assert (len(long), long[0], long[-3:]) == (formats.LONGEST, "x", "end")


def test_markup_is_escaped() -> None:
    assert formats.plain("*a*_b [x](y)") == r"\*a\*\_b \[x\]\(y\)"
    assert formats.plain("companydata é") == "companydata é"
