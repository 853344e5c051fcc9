"""Split chunks of UTF-8 into records in the plain way: one mark after the other, a quote or a line end."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.model.dialect import Dialect
from pipeline.model.problem import VALUE_LIMIT
from pipeline.readers.decode import mark_last

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """The text and first line of a record; with a `fault`, of a line that is not a record: the rule that it breaks."""

    line: int
    text: bytes
    fault: str | None = None


def cut_plainly(chunks: Iterable[bytes], dialect: Dialect, record_limit: int) -> Iterator[list[Piece]]:
    """Yield for each chunk the records that are whole with it, and the lines that are not records; no empty lines."""
    cutter = _Cutter(dialect, record_limit)
    for chunk, last in mark_last(chunks):
        yield cutter.feed(chunk, last=last)


class _Cutter:
    """Splits chunk by chunk; keeps an unfinished record, or skips the rest of a line that is too long."""

    def __init__(self, dialect: Dialect, limit: int) -> None:
        self.dialect, self.limit = dialect, limit
        self.delimiter, self.quote = dialect.delimiter.encode(), dialect.quoteChar.encode()
        given = (dialect.escapeChar, dialect.commentChar, dialect.lineTerminator)
        self.escape, self.comment, self.end = (None if text is None else text.encode() for text in given)
        self.behind = (b"", self.delimiter, b"\r", b"\n")  # a closing quote
        self.mark = re.compile(b"[\r\n" + re.escape(self.quote + (self.escape or b"")) + b"]")
        self.text, self.line, self.passing, self.last = b"", 1, False, False

    def feed(self, chunk: bytes, *, last: bool) -> list[Piece]:
        """Return the pieces that are whole with this chunk."""
        text = self.text + chunk
        held = b"\r" if text.endswith(b"\r") and not last else b""  # it may be half of a line end
        self.text, self.last = text.removesuffix(held), last
        pieces, start = list[Piece](), self._pass_line(0) if self.passing else 0
        while start < len(self.text):
            if self._is_comment(start):
                start = self._pass_line(start)
                continue
            stop, fault = self._record(start)
            if fault:
                stop = self._first_line(start)
            if stop is None:
                break
            if fault or stop > start:  # empty lines are skipped
                pieces.append(Piece(self.line, self.text[start:stop], fault or self._wrong_end(stop)))
            start = self._next_line(start, stop)
        self.text = self.text[start:] + held
        return pieces

    def _is_comment(self, start: int) -> bool:
        """Return whether the line at `start`, where a record may begin, is none: by its number or first characters."""
        marked = self.comment is not None and self.text.startswith(self.comment, start)
        return marked or self.dialect.is_comment_row(self.line)

    def _record(self, start: int) -> tuple[int | None, str | None]:
        """Return where a record ends, or the first rule that it breaks; neither if the next chunk decides."""
        quoted, at, escaped = False, start, start
        while mark := self.mark.search(self.text, at):
            at = mark.start()
            if mark[0] not in (self.quote, self.escape) and not quoted:
                return at, "size" if at - start > self.limit else None
            if at - start >= self.limit:
                return None, "size"
            if mark[0] == self.escape:
                if at + 1 == len(self.text):
                    quoted = True  # unfinished: the character that is escaped is not here yet
                    break
                at += 3 if self.text.startswith(b"\r\n", at + 1) else 2
                escaped = at
                continue
            if mark[0] == self.quote:
                after = self.text[at + 1 : at + 2]
                if quoted and after == self.quote and self.dialect.doubleQuote:
                    at += 1
                elif (after not in self.behind) if quoted else not self._begins_cell(start, at, escaped):
                    return None, "quote"
                else:
                    quoted = not quoted
            at += 1
        if len(self.text) - start > self.limit:
            return None, "size"
        return (len(self.text), "quote" if quoted else None) if self.last else (None, None)

    def _begins_cell(self, start: int, at: int, escaped: int) -> bool:
        """Return whether a cell may begin with the quote at `at`; what ends at `escaped` is an escaped character."""
        while self.dialect.skipInitialSpace and at > escaped and self.text[at - 1 : at] == b" ":
            at -= 1
        return at == start or (at > escaped and self.text[at - 1 : at] == self.delimiter)

    def _wrong_end(self, stop: int) -> str | None:
        """Return the rule that the line end at `stop` breaks; the end of the file breaks none."""
        end = _LINE_END.match(self.text, stop)
        return "lineTerminator" if self.end and end and end[0] != self.end else None

    def _first_line(self, start: int) -> int | None:
        """Return where the physical line at `start` ends; the rest of a line beyond the limit is skipped."""
        if end := _LINE_END.search(self.text, start):
            return end.start()
        self.passing = not self.last and len(self.text) - start > max(self.limit, VALUE_LIMIT)
        return len(self.text) if self.last or self.passing else None

    def _pass_line(self, start: int) -> int:
        """Return the start of the line after that at `start`; the rest of a line that does not end here is skipped."""
        end = _LINE_END.search(self.text, start)
        self.passing = end is None and not self.last
        return self._next_line(start, end.start() if end else len(self.text))

    def _next_line(self, start: int, stop: int) -> int:
        """Return the start of the line after `stop`, and count the lines up to there."""
        end = _LINE_END.match(self.text, stop)
        after = end.end() if end else stop
        self.line += len(_LINE_END.findall(self.text, start, after))
        return after
