"""Split chunks of UTF-8 into records in the plain way: one record after the other."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from pipeline.model.dialect import Dialect
from pipeline.model.problem import VALUE_LIMIT
from pipeline.readers.csv.marks import Marks
from pipeline.readers.csv.plain_record import find_plain_end
from pipeline.readers.decode import mark_last

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """The text and first line of a record; with a `fault`, of a line that is not a record: the rule that it breaks."""

    line: int
    text: bytes
    fault: str | None = None


# From a text, the start of a record and `last` to its end, or the first rule that it breaks; neither if what follows
# the text decides.
FindEnd = Callable[..., tuple[int | None, str | None]]


def cut_plainly(chunks: Iterable[bytes], dialect: Dialect, record_limit: int) -> Iterator[list[Piece]]:
    """Yield for each chunk the records that are whole with it, and the lines that are not records; no empty lines.

    Records of a rare dialect are read character by character, for the fast way goes by their marks.
    """
    if not dialect.is_rare:
        return cut_by_marks(chunks, dialect, record_limit)
    return _cut(chunks, _Cutter(dialect, record_limit, partial(find_plain_end, dialect=dialect, limit=record_limit)))


def cut_by_marks(chunks: Iterable[bytes], dialect: Dialect, record_limit: int) -> Iterator[list[Piece]]:
    """Do as `cut_plainly`, from one mark to the next: the fast way of the rare dialects."""
    return _cut(chunks, _Cutter(dialect, record_limit, Marks(dialect, record_limit).find_end))


def _cut(chunks: Iterable[bytes], cutter: "_Cutter") -> Iterator[list[Piece]]:
    for chunk, last in mark_last(chunks):
        yield cutter.feed(chunk, last=last)


class _Cutter:
    """Splits chunk by chunk; keeps an unfinished record, or skips the rest of a line that is too long."""

    def __init__(self, dialect: Dialect, limit: int, find_end: FindEnd) -> None:
        self.dialect, self.limit, self.find_end = dialect, limit, find_end
        given = (dialect.commentChar, dialect.lineTerminator)
        self.comment, self.end = (None if text is None else text.encode() for text in given)
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
            stop, fault = self.find_end(self.text, start, last=last)
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
