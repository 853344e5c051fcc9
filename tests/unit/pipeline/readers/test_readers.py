"""The seam between a load and the formats: a reader for each suffix that the lake lets in."""

import pytest

from lake.layout import SUFFIXES, TEXT_SUFFIXES, source
from pipeline.readers.formats import READERS, SMALL, is_small, reader_of


def test_each_suffix_of_the_lake_has_a_reader():
    assert sorted(READERS) == sorted(SUFFIXES + TEXT_SUFFIXES)
    for suffix in READERS:
        key = f"raw/d/A.b{suffix.upper()}"
        assert source(key, ["d"]).dataset == "d"
        assert reader_of(key) is READERS[suffix]


def test_no_other_suffix_has_one():
    assert source("raw/d/a.csv.bz2").ignored
    with pytest.raises(LookupError, match=r"expected a name that ends in \.csv, "):
        reader_of("raw/d/a.csv.bz2")


@pytest.mark.parametrize(
    ("name", "size", "small"),
    [("a.csv", SMALL, True), ("a.csv", SMALL + 1, False), ("a.CSV.gz", 100, False), ("a.csv.zst", 100, False)],
)
def test_a_compressed_source_is_never_small(name, size, small):
    assert is_small(f"raw/d/{name}", size) is small
