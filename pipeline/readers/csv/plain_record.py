"""Read one record character by character, by the grammar of RFC 4180 with what the Table Dialect adds to it.

It is the judge of the other ways, so it shares nothing with them: a record is cells with delimiters between them, and a
cell is quoted or plain.
"""

from pipeline.model.dialect import Dialect


class _UnfinishedError(Exception):
    """The text ends inside of the record."""


class _FaultError(Exception):
    """The record breaks the rule that is the argument."""


def find_plain_end(
    text: bytes, start: int, dialect: Dialect, limit: int, *, last: bool
) -> tuple[int | None, str | None]:
    """Return where a record ends, or the first rule that it breaks; neither if what follows the text decides."""
    record = _Record(text, dialect, start, limit)
    try:
        record.cells()
    except _FaultError as error:
        return None, str(error)
    except _UnfinishedError:
        return (len(text), "quote") if last else (None, None)
    return (record.at, None) if record.at < len(text) or last else (None, None)


def split_plainly(text: bytes, dialect: Dialect) -> list[bytes]:
    """Split a record whose quotes are in order into its cells, unquoted."""
    return _Record(text, dialect, 0, len(text)).cells()


class _Record:
    def __init__(self, text: bytes, dialect: Dialect, start: int, limit: int) -> None:
        self.text, self.dialect, self.start, self.at, self.limit = text, dialect, start, start, limit
        self.delimiter, self.quote = dialect.delimiter.encode(), dialect.quoteChar.encode()
        given = (dialect.escapeChar, dialect.nullSequence)
        self.escape, self.null = (None if mark is None else mark.encode() for mark in given)

    def cells(self) -> list[bytes]:
        cells = [self.cell()]
        while self.next() == self.delimiter:
            self.take()
            cells.append(self.cell())
        return cells

    def cell(self) -> bytes:
        while self.dialect.skipInitialSpace and self.next() == b" ":
            self.take()
        return self.quoted() if self.next() == self.quote else self.plain()

    def quoted(self) -> bytes:
        value = bytearray()
        self.take()
        while True:
            character = self.take()
            if character != self.quote:
                value += self.unescaped(character)
            elif self.dialect.doubleQuote and self.next() == self.quote:
                value += self.take()
            elif self.ends_cell():
                return bytes(value)
            else:
                raise _FaultError("quote")

    def plain(self) -> bytes:
        value, start = bytearray(), self.at
        while not self.ends_cell():
            character = self.take()
            if character == self.quote:
                raise _FaultError("quote")
            value += self.unescaped(character)
        raw = self.text[start : self.at]
        return raw if raw == self.null else bytes(value)  # `\N` is null, though a backslash escapes

    def unescaped(self, character: bytes) -> bytes:
        if character != self.escape:
            return character
        escaped = self.take()
        return escaped + self.take() if escaped == b"\r" and self.next() == b"\n" else escaped

    def ends_cell(self) -> bool:
        return self.next() in (b"", self.delimiter, b"\r", b"\n")

    def next(self) -> bytes:
        return self.text[self.at : self.at + 1]

    def take(self) -> bytes:
        character = self.next()
        if not character:
            raise _UnfinishedError
        if self.at - self.start >= self.limit:
            raise _FaultError("size")
        self.at += 1
        return character
