"""Find the end of a record by its marks alone: quotes, escapes and line ends."""

import re

from pipeline.model.dialect import Dialect


class Marks:
    """Finds the ends of the records of a dialect, each of `limit` bytes at most."""

    def __init__(self, dialect: Dialect, limit: int) -> None:
        self.dialect, self.limit = dialect, limit
        self.delimiter, self.quote = dialect.delimiter.encode(), dialect.quoteChar.encode()
        self.escape = None if dialect.escapeChar is None else dialect.escapeChar.encode()
        self.behind = (b"", self.delimiter, b"\r", b"\n")  # a closing quote
        self.mark = re.compile(b"[\r\n" + re.escape(self.quote + (self.escape or b"")) + b"]")

    def find_end(self, text: bytes, start: int, *, last: bool) -> tuple[int | None, str | None]:
        """Return where a record ends, or the first rule that it breaks; neither if what follows the text decides."""
        quoted, at, escaped = False, start, start
        while mark := self.mark.search(text, at):
            at = mark.start()
            if mark[0] not in (self.quote, self.escape) and not quoted:
                return at, "size" if at - start > self.limit else None
            if at - start >= self.limit:
                return None, "size"
            if mark[0] == self.escape:
                if at + 1 == len(text):
                    quoted = True  # unfinished: the character that is escaped is not here yet
                    break
                at += 3 if text.startswith(b"\r\n", at + 1) else 2
                escaped = at
                continue
            if mark[0] == self.quote:
                after = text[at + 1 : at + 2]
                if quoted and after == self.quote and self.dialect.doubleQuote:
                    at += 1
                elif (after not in self.behind) if quoted else not self._begins_cell(text, start, at, escaped):
                    return None, "quote"
                else:
                    quoted = not quoted
            at += 1
        if len(text) - start > self.limit:
            return None, "size"
        return (len(text), "quote" if quoted else None) if last else (None, None)

    def _begins_cell(self, text: bytes, start: int, at: int, escaped: int) -> bool:
        """Return whether a cell may begin with the quote at `at`; what ends at `escaped` is an escaped character."""
        while self.dialect.skipInitialSpace and at > escaped and text[at - 1 : at] == b" ":
            at -= 1
        return at == start or (at > escaped and text[at - 1 : at] == self.delimiter)
