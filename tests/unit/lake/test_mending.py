"""Names of fixed files, and marks."""

import pytest

from lake import mending


@pytest.mark.parametrize(
    ("key", "fixed"),
    [
        ("raw/a/b.csv", "raw/a/b.fixed-3.csv"),
        ("raw/a/deep/b.c.CSV", "raw/a/deep/b.c.fixed-3.CSV"),
        ("raw/a/b.csv.gz", "raw/a/b.fixed-3.csv"),
        ("raw/a/b.csv.ZST", "raw/a/b.fixed-3.csv"),
        ("raw/a/b.txt.gz", "raw/a/b.fixed-3.txt"),
        ("raw/a/b.fixed-2.csv", "raw/a/b.fixed-3.csv"),
        ("raw/a/.fixed-2.csv", "raw/a/.fixed-2.fixed-3.csv"),  # the name of a source may begin like that
        ("raw/a/b.fixed-0.csv", "raw/a/b.fixed-0.fixed-3.csv"),
    ],
)
def test_a_fixed_file_has_the_name_of_its_source_and_a_number(key, fixed):
    assert mending.fixed_key(key, 3) == fixed
    assert mending.fixed_number(fixed) == 3
    assert mending.fixed_number("raw/a/b.csv") is None


def test_fixed_files_are_beside_the_source_or_right_in_the_folder_of_the_dataset():
    assert mending.fixed_prefixes("raw/a/b.csv") == ["a/b.fixed-"]
    assert mending.fixed_prefixes("raw/a/2026/b.fixed-1.csv.gz") == ["a/2026/b.fixed-", "a/b.fixed-"]


def test_a_mark_is_of_one_line_of_one_version_of_one_source():
    version = mending.version_of("raw/a/b.csv", "etag")
    assert mending.read_mark(f" {mending.mark_of(12, version)}") == (12, version)
    assert len({version, mending.version_of("raw/a/c.csv", "etag"), mending.version_of("raw/a/b.csv", "other")}) == 3
    for text in ("", None, "12", f"0@{version}", f"12@{version}0", "12@etag", f"x12@{version}"):
        assert mending.read_mark(text) is None, text
