"""Beginnings and ends of records, against a reader that goes from character to character."""

import csv
import io
import re
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.dialect import Dialect, dialect_problems
from pipeline.readers.csv import plain_split as plainly
from pipeline.readers.csv import split
from pipeline.readers.csv.marks import Marks
from pipeline.readers.csv.plain_record import find_plain_end, split_plainly
from pipeline.readers.csv.record import split_record

ORDINARY = Dialect()
RAW_LIMIT = 8  # small, so that generated lines reach it


Found = tuple[list[tuple[int, bytes]], list[tuple[int, str, bytes]]]  # records, and lines that are none


def chunks(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def plain(text: bytes, limit: int, size: int, dialect: Dialect = ORDINARY) -> list[Found]:
    """Return what is found with each chunk, in the plain way."""
    with mock.patch.object(plainly, "VALUE_LIMIT", RAW_LIMIT):
        cut = list(plainly.cut_plainly(chunks(text, size), dialect, limit))
    return [
        (
            [(piece.line, piece.text) for piece in pieces if not piece.fault],
            [(piece.line, piece.fault, piece.text[:RAW_LIMIT]) for piece in pieces if piece.fault],
        )
        for pieces in cut
    ]


def fast_by_chunk(text: bytes, limit: int, size: int, dialect: Dialect = ORDINARY) -> list[Found]:
    found = []
    for block in split.cut(chunks(text, size), dialect, limit):
        spans = zip(block.lines, block.starts, block.stops, strict=True)
        records = [(int(line), block.data[start:stop]) for line, start, stop in spans]
        found.append((records, [(fault.line, fault.rule, fault.raw) for fault in block.faults]))
    return found


def joined(found: list[Found]) -> Found:
    return [one for records, _ in found for one in records], [one for _, faults in found for one in faults]


def fast(text: bytes, limit: int, size: int) -> Found:
    return joined(fast_by_chunk(text, limit, size))


@settings(max_examples=1500, deadline=None)
@given(st.text('a",\n\r" é', max_size=60).map(str.encode), st.integers(1, 70), st.integers(1, 70))
def test_the_fast_way_is_the_plain_way(text, limit, size):
    """With every chunk the same, and the whole as from one chunk: so a load and its `verify` have the same batches."""
    with mock.patch.object(split, "VALUE_LIMIT", RAW_LIMIT):
        found = fast_by_chunk(text, limit, size)
    assert found == plain(text, limit, size)
    assert joined(found) == joined(plain(text, limit, len(text) or 1))


NULL = st.sampled_from([None, "\\N", "a"])
RARE = st.builds(
    Dialect,
    delimiter=st.sampled_from([",", ";", " "]),
    escapeChar=st.sampled_from([None, "\\", "a"]),
    doubleQuote=st.booleans(),
    skipInitialSpace=st.booleans(),
).filter(lambda dialect: not [*dialect_problems(dialect)])
WITH_NULL = st.builds(lambda dialect, null: dialect.model_copy(update={"nullSequence": null}), RARE, NULL)
MARKED = st.text('a",;N\n\r\\ é', max_size=40).map(str.encode)


@settings(max_examples=1000, deadline=None)
@given(MARKED, st.integers(1, 45), WITH_NULL, st.booleans())
def test_by_marks_it_is_as_character_by_character(text, limit, dialect, last):
    """Of every dialect: where a record ends, the rule that it breaks, and its cells."""
    stop, fault = Marks(dialect, limit).find_end(text, 0, last=last)
    plain_stop, plain_fault = find_plain_end(text, 0, dialect, limit, last=last)
    assert fault == plain_fault
    if fault is None:
        assert stop == plain_stop
    if fault is None and stop is not None:
        assert split_record(text[:stop], dialect) == split_plainly(text[:stop], dialect)


@settings(max_examples=600, deadline=None)
@given(MARKED, RARE.filter(lambda dialect: dialect.delimiter != " "))
def test_a_sound_record_has_the_cells_that_python_reads(text, dialect):
    """Python's reader takes more, such as a quote inside of a plain value, so it judges what is sound alone."""
    stop, fault = find_plain_end(text, 0, dialect, len(text), last=True)
    if fault or not stop or re.search(rb"[\\a][\r\n]", text[:stop]):
        return  # an escaped CRLF is one line end here, and there a CR; the last one may be an end there
    reader = csv.reader(
        io.StringIO(text[:stop].decode(), newline=""),
        delimiter=dialect.delimiter,
        escapechar=dialect.escapeChar,
        doublequote=dialect.doubleQuote,
        skipinitialspace=dialect.skipInitialSpace,
        strict=True,
    )
    assert [[cell.decode() for cell in split_plainly(text[:stop], dialect)]] == [*reader]


def test_a_stray_quote_costs_its_line_alone():
    text = b'a,b\n5"pipe,1\nx,2\n"open,3\ny,4\n"two\nlines",5\n'
    records, faults = fast(text, 1 << 20, 1 << 20)
    assert [line for line, _ in records] == [1, 3, 5, 6]
    assert [(line, rule) for line, rule, _ in faults] == [(2, "quote"), (4, "quote")]


def test_every_block_border_of_a_quoted_line_end():
    text = b'"x\r\ny","z""\n"\r\n' * 50
    whole = fast(text, 1 << 20, len(text))
    assert len(whole[0]) == 50
    for size in range(1, 60):
        assert fast(text, 1 << 20, size) == whole


def test_a_line_without_end_costs_no_memory():
    """The gigabyte on one line is passed over chunk by chunk, and what follows is read."""
    dialect, limit = Dialect(), 10_000
    fast = split._Cutter(dialect, limit)
    plain = plainly._Cutter(dialect, limit, Marks(dialect, limit).find_end)
    largest, records, faults, pieces = 0, [], [], []
    for chunk in [b"x" * 1000] * 5000 + [b"\nfine,1\n"]:
        block = fast.feed(chunk, last=False)
        pieces += plain.feed(chunk, last=False)
        largest = max(largest, len(fast.rest), len(plain.text))
        records += list(block.lines)
        faults += block.faults
    assert (records, [(fault.line, fault.rule) for fault in faults]) == ([2], [(1, "size")])
    assert [(piece.line, piece.fault) for piece in pieces] == [(1, "size"), (2, None)]
    assert largest < 20_000
