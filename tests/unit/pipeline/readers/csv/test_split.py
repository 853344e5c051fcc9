"""Beginnings and ends of records, against a reader that goes from character to character."""

from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.dialect import Dialect
from pipeline.readers.csv import plain_split as plainly
from pipeline.readers.csv import split

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
    fast, plain = split._Cutter(Dialect(), 10_000), plainly._Cutter(Dialect(), 10_000)
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
