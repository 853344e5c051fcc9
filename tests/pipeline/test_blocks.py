"""Where records begin and end, against a reader that goes from character to character."""

from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.reader import blocks

RAW_LIMIT = 8  # small, so that generated lines reach it


class PlainCutter:
    """Rule 4 of the reader as it is written, one character after the other."""

    def __init__(self, text: bytes, limit: int) -> None:
        self.text, self.limit = text, limit
        self.records: list[tuple[int, bytes]] = []
        self.faults: list[tuple[int, str, bytes]] = []
        position, line = 0, 1
        while position < len(text):
            stop, rule = self.record(position)
            if rule:
                stop = self.line_end(position)
                self.faults.append((line, rule, text[position:stop][:RAW_LIMIT]))
            elif stop > position:
                self.records.append((line, text[position:stop]))
            after = self.after_line_end(stop)
            line += self.lines(position, after)
            position = after

    def line_end(self, position: int) -> int:
        while position < len(self.text) and self.text[position] not in b"\r\n":
            position += 1
        return position

    def after_line_end(self, position: int) -> int:
        return position + (2 if self.text[position : position + 2] == b"\r\n" else 1)

    def lines(self, start: int, stop: int) -> int:
        return len(self.text[start:stop].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")) - 1

    def record(self, start: int) -> tuple[int, str | None]:
        """Give where the record ends, or the rule that it breaks first."""
        text, quoted, at = self.text, False, start
        while at < len(text):
            character = text[at : at + 1]
            if not quoted and character in (b"\n", b"\r"):
                return at, None if at - start <= self.limit else "size"
            if at - start >= self.limit:
                return at, "size"
            if character == b'"' and not quoted:
                if at > start and text[at - 1 : at] != b",":
                    return at, "quote"
                quoted = True
            elif character == b'"' and text[at + 1 : at + 2] == b'"':
                at += 1
                if at - start >= self.limit:
                    return at, "size"
            elif character == b'"':
                if text[at + 1 : at + 2] not in (b",", b"\n", b"\r", b""):
                    return at, "quote"
                quoted = False
            at += 1
        return at, "quote" if quoted else None


def fast(text: bytes, limit: int, size: int) -> tuple[list[tuple[int, bytes]], list[tuple[int, str, bytes]]]:
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    records, faults = [], []
    for block in blocks.cut(chunks, ",", '"', limit):
        spans = zip(block.lines, block.starts, block.stops, strict=True)
        records += [(int(line), block.data[start:stop]) for line, start, stop in spans]
        faults += [(fault.line, fault.rule, fault.raw) for fault in block.faults]
    return records, faults


@settings(max_examples=1500)
@given(st.text('a",\n\r" é', max_size=60).map(str.encode), st.integers(1, 70), st.integers(1, 70))
def test_the_fast_way_is_the_plain_way(text, limit, size):
    plain = PlainCutter(text, limit)
    with mock.patch.object(blocks, "RAW_LIMIT", RAW_LIMIT):
        assert fast(text, limit, size) == (plain.records, plain.faults)


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
    """A gigabyte on one line is passed over chunk by chunk, and what follows is read."""
    chunks = [b"x" * 1000] * 5000 + [b"\nfine,1\n"]
    cutter = blocks._Cutter(ord(","), ord('"'), 10_000)
    largest = 0
    records, faults = [], []
    for chunk in chunks:
        block = cutter.feed(chunk, last=False)
        largest = max(largest, len(cutter.rest))
        records += list(block.lines)
        faults += block.faults
    assert (records, [(fault.line, fault.rule) for fault in faults]) == ([2], [(1, "size")])
    assert largest < 20_000
