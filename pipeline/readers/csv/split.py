"""Split chunks of UTF-8 into blocks of whole records, with their lines, and faults: lines that cannot be a record.

A record ends at the first line end (LF, CRLF or CR) outside quotes. Where a quote stands that may not, or where a
record does not end within its size limit or before the end of the file, its first physical line alone is a `Fault`, and
reading goes on at the next line. All of it is arithmetic on the offsets of quotes and line ends: a record's quotes open
and close in turn, so whether a quote is wrong depends on its neighbours and on its number within the record alone.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.model.dialect import Dialect
from pipeline.model.problem import VALUE_LIMIT
from pipeline.readers.csv.blocks import Block, Fault, Offsets, block_of, with_faults
from pipeline.readers.csv.plain_split import cut_by_marks
from pipeline.readers.decode import mark_last

COMMENT = "comment"  # what is no record, and breaks no rule

_LF, _CR = 10, 13


def cut(chunks: Iterable[bytes], dialect: Dialect, record_limit: int) -> Iterator[Block]:
    """Cut text into blocks of whole records, each about as large as the chunks that come in."""
    if dialect.is_rare:
        yield from map(block_of, cut_by_marks(chunks, dialect, record_limit))
        return
    cutter = _Cutter(dialect, record_limit)
    for chunk, last in mark_last(chunks):
        yield cutter.feed(chunk, last=last)


class _Cutter:
    """Splits chunk by chunk; keeps an unfinished record, or skips the rest of a line that is too long."""

    def __init__(self, dialect: Dialect, limit: int) -> None:
        self.dialect, self.limit = dialect, limit
        self.around = np.zeros(256, bool)  # what may stand before an opening quote, and after a closing one
        self.around[[ord(dialect.delimiter), ord(dialect.quoteChar), _LF, _CR]] = True
        self.rest, self.line, self.passing = b"", 1, False

    def feed(self, chunk: bytes, *, last: bool) -> Block:
        """Return the records that are whole with this chunk."""
        text = self.rest + chunk if self.rest else chunk
        if not text:
            return Block(b"", _joined([]), _joined([]), _joined([]), [])
        kept = b"" if last or not text.endswith(b"\r") else b"\r"  # it may be half of a line end
        text = text[: len(text) - len(kept)]
        marks = _Marks(text, self.dialect, self.around, last=last)
        records = _Records(marks, self.limit, self.line)
        position: int | None = 0
        if self.passing and text:
            position = records.pass_line()
        if position is not None:
            self.passing = False
            position = records.collect(position, last=last)
        self.passing = self.passing or records.passing
        end = len(text) if position is None else position
        self.line += int(np.searchsorted(marks.nexts, end, "right"))
        self.rest = text[end:] + kept
        return records.block()


class _Marks:
    """The offsets of line ends and quotes in a text, and of the misplaced quotes under either parity."""

    def __init__(self, text: bytes, dialect: Dialect, around: NDArray[np.bool_], *, last: bool) -> None:
        self.text, self.size, self.dialect = text, len(text), dialect
        quote = ord(dialect.quoteChar)
        data = np.frombuffer(text, np.uint8)
        marked = data == _LF
        marked |= data == quote
        if returns := b"\r" in text:
            marked |= data == _CR
        at = marked.nonzero()[0]  # one pass for all of them: a pass costs more than what it finds
        quotes = data.take(at) == quote
        numbers = (~quotes).nonzero()[0]  # of the line ends among them
        self.quotes, self.quotes_before = at.compress(quotes), numbers - np.arange(len(numbers))
        self.ends = at.take(numbers)
        self.nexts = self.ends + 1
        if returns:
            self._join_pairs(data.take(self.ends) == _CR)
        if last and self.size and not (len(self.nexts) and self.nexts[-1] == self.size):
            self.ends, self.nexts = np.append(self.ends, self.size), np.append(self.nexts, self.size)
            self.quotes_before = np.append(self.quotes_before, len(self.quotes))
        self._data, self._around = data, around
        self._misplaced: dict[int, Offsets] = {}

    def comments(self, first_line: int) -> list[int]:
        """Return which lines are no records by their first characters or their number, if a record may begin there."""
        dialect, lines = self.dialect, set[int]()
        if dialect.commentChar is not None:
            mark, starts = dialect.commentChar.encode(), np.insert(self.nexts, 0, 0)
            starts = starts[starts < self.size]
            likely = np.flatnonzero(self._data.take(starts) == mark[0]).tolist()
            lines |= {line for line in likely if self.text.startswith(mark, int(starts[line]))}
        for line in (*range(first_line, dialect.first_lines), *dialect.commentRows):
            if line >= first_line and dialect.is_comment_row(line):
                lines.add(line - first_line)
        return sorted(lines)

    def wrong_ends(self, lines: Offsets) -> NDArray[np.bool_] | None:
        """Mark the lines that do not end as the dialect says; None if it says nothing, or all do."""
        if (end := self.dialect.lineTerminator) is None:
            return None
        first = self._data.take(self.ends[lines], mode="clip")
        sizes = self.nexts[lines] - self.ends[lines]  # at the end of the file no line end is as good as any
        wrong = (sizes > 0) & ((sizes != len(end)) | (first != ord(end[0])))
        return wrong if wrong.any() else None

    def _join_pairs(self, returns: NDArray[np.bool_]) -> None:
        """Make one line end of a CR and its LF: the content ends at the CR, the next line starts after the LF."""
        paired = returns[:-1] & ~returns[1:] & (np.diff(self.ends) == 1)
        first, second = ~np.append(paired, False), ~np.insert(paired, 0, False)
        self.ends, self.nexts = self.ends.compress(second), self.nexts.compress(first)
        self.quotes_before = self.quotes_before.compress(second)

    def misplaced(self, parity: int) -> Offsets:
        """Return the numbers of the misplaced quotes if those with an even number (0) or an odd one (1) open."""
        if parity not in self._misplaced:
            opening, closing = self.quotes[parity::2], self.quotes[1 - parity :: 2]
            wrong = np.empty(len(self.quotes), bool)
            # Where the text begins or ends with a quote, clipping takes that itself for its neighbour, which may be.
            wrong[parity::2] = ~self._around[self._data.take(opening - 1, mode="clip")]
            wrong[1 - parity :: 2] = ~self._around[self._data.take(closing + 1, mode="clip")]
            self._misplaced[parity] = np.flatnonzero(wrong)
        return self._misplaced[parity]


class _Records:
    """Collects the records of a text, from one fault to the next."""

    def __init__(self, marks: _Marks, limit: int, line: int) -> None:
        self.marks, self.limit, self.first_line = marks, limit, line
        self.comments = marks.comments(line) if marks.dialect.has_comments else []
        self.wrong: list[int] = []
        self.starts: list[Offsets] = []
        self.stops: list[Offsets] = []
        self.lines: list[Offsets] = []
        self.spans: list[tuple[int, int]] = []
        self.faults: list[Fault] = []
        self.passing = False

    def pass_line(self) -> int | None:
        """Return the start of the next line; None if it is not in this text."""
        return int(self.marks.nexts[0]) if len(self.marks.nexts) else None

    def collect(self, position: int, *, last: bool) -> int | None:
        """Collect all whole records from `position` on; return the start of the first unfinished one."""
        while position < self.marks.size:
            position, rule = self._sound(position, last=last)
            if rule is None:
                return position
            after = self._comment(position) if rule == COMMENT else self._fault(position, rule, last=last)
            if after is None:
                return None if self.passing else position
            position = after
        return position

    def _sound(self, position: int, *, last: bool) -> tuple[int, str | None]:
        """Collect the records up to the next fault or comment; return its start and the rule it breaks."""
        marks, line = self.marks, int(np.searchsorted(self.marks.nexts, position, "right"))
        first_quote = int(np.searchsorted(marks.quotes, position))
        misplaced = marks.misplaced(first_quote % 2)
        at = int(np.searchsorted(misplaced, first_quote))
        bad = int(marks.quotes[misplaced[at]]) if at < len(misplaced) else None
        line_stop = len(marks.ends) if bad is None else int(np.searchsorted(marks.ends, bad))
        comment = self._next_comment(line, line_stop, first_quote) if self.comments else None
        line_stop = line_stop if comment is None else comment
        ends = line + np.flatnonzero((marks.quotes_before[line:line_stop] - first_quote) & 1 == 0)
        starts = np.concatenate([[position], marks.nexts[ends[:-1]]]) if len(ends) else np.empty(0, np.int64)
        long = np.flatnonzero(marks.ends[ends] - starts > self.limit)
        if len(long):
            ends, starts = ends[: long[0]], starts[: long[0]]
        self._take(position, line, starts, ends)
        position = int(marks.nexts[ends[-1]]) if len(ends) else position
        if comment is not None and not len(long):
            return position, COMMENT
        if len(long) or (bad is not None and bad - position >= self.limit):
            return position, "size"
        if bad is not None:
            return position, "quote"
        if marks.size - position > self.limit:
            return position, "size"
        return position, "quote" if last and position < marks.size else None

    def _take(self, position: int, line: int, starts: Offsets, ends: Offsets) -> None:
        if not len(ends):
            return
        stops, lines = self.marks.ends[ends], np.concatenate([[line], ends[:-1] + 1])
        filled = stops > starts
        wrong = self.marks.wrong_ends(ends[filled])
        if wrong is not None:
            self.wrong += (lines[filled][wrong] + self.first_line).tolist()
        self.starts.append(starts[filled])
        self.stops.append(stops[filled])
        self.lines.append(lines[filled] + self.first_line)
        self.spans.append((position, int(self.marks.nexts[ends[-1]])))

    def _next_comment(self, line: int, line_stop: int, first_quote: int) -> int | None:
        """Return the first comment from a line on, where a record begins; None if `line_stop` comes before it."""
        for number in self.comments[bisect_left(self.comments, line) :]:
            if number > line_stop:
                return None
            if number == line or (self.marks.quotes_before[number - 1] - first_quote) & 1 == 0:
                return number
        return None

    def _comment(self, position: int) -> int | None:
        """Return the start of the line after a comment; None if it is not in this text."""
        line = int(np.searchsorted(self.marks.nexts, position, "right"))
        self.passing = line == len(self.marks.ends)
        return None if self.passing else int(self.marks.nexts[line])

    def _fault(self, position: int, rule: str, *, last: bool) -> int | None:
        """Remove the physical line at `position`; return the start of the next one, or None if it is not here yet."""
        line = int(np.searchsorted(self.marks.nexts, position, "right"))
        ended = line < len(self.marks.ends)
        if not ended and not last and self.marks.size - position <= max(self.limit, VALUE_LIMIT):
            return None
        stop = int(self.marks.ends[line]) if ended else self.marks.size
        raw = self.marks.text[position : min(stop, position + VALUE_LIMIT)]
        self.faults.append(Fault(line + self.first_line, rule, raw))
        self.passing = not ended
        return int(self.marks.nexts[line]) if ended else None

    def block(self) -> Block:
        """Return the records as one text without the faults."""
        texts, starts, stops, size = list[bytes](), list[Offsets](), list[Offsets](), 0
        for number, (start, stop) in enumerate(self.spans):
            texts.append(self.marks.text[start:stop])
            starts.append(self.starts[number] + (size - start))
            stops.append(self.stops[number] + (size - start))
            size += stop - start
        block = Block(b"".join(texts), _joined(starts), _joined(stops), _joined(self.lines), self.faults)
        if not self.wrong:
            return block
        return with_faults(block, "lineTerminator", np.isin(block.lines, self.wrong), VALUE_LIMIT)


def _joined(parts: list[Offsets]) -> Offsets:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
