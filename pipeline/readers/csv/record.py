"""Split one record into its cells in the simplest way."""

import functools
import re
from collections.abc import Callable

from pipeline.model.dialect import Dialect


def split_record(raw: bytes, dialect: Dialect) -> list[bytes]:
    """Split a record whose quotes are in order into its cells, unquoted."""
    if dialect.is_rare:
        return splitter(dialect)(raw)
    mark, between = dialect.quoteChar.encode(), dialect.delimiter.encode()
    cells, at = [], 0
    while True:
        if raw.startswith(mark, at):
            stop = at + 1
            while (stop := raw.index(mark, stop)) + 1 < len(raw) and raw.startswith(mark, stop + 1):
                stop += 2
            cells.append(raw[at + 1 : stop].replace(mark * 2, mark))
            at = stop + 1
        else:
            stop = raw.find(between, at)
            cells.append(raw[at : stop if stop >= 0 else len(raw)])
            at = stop if stop >= 0 else len(raw)
        if at >= len(raw):
            return cells
        at += 1


@functools.lru_cache(64)
def splitter(dialect: Dialect) -> Callable[[bytes], list[bytes]]:
    """Return a function that splits the records of a rare dialect."""
    delimiter, quote = (re.escape(text.encode()) for text in (dialect.delimiter, dialect.quoteChar))
    escape = re.escape(dialect.escapeChar.encode()) if dialect.escapeChar else b"(?!)"
    pair = quote * 2 if dialect.doubleQuote else b"(?!)"
    escaped = escape + rb"(?s:\r\n|.)"
    spaces = b" *" if dialect.skipInitialSpace else b""
    no_plain, no_quoted = (mark + (escape if dialect.escapeChar else b"") for mark in (delimiter, quote))
    quoted = b"[^" + no_quoted + b"]*(?:(?:" + pair + b"|" + escaped + b")[^" + no_quoted + b"]*)*"
    plain = b"[^" + no_plain + b"]*(?:" + escaped + b"[^" + no_plain + b"]*)*"
    cell = re.compile(spaces + b"(?:" + quote + b"(" + quoted + b")" + quote + b"|(" + plain + b"))")
    unquote = functools.partial(re.compile(pair + b"|" + escaped).sub, lambda match: match[0][1:])
    unescape = functools.partial(re.compile(escaped).sub, lambda match: match[0][1:])
    null = None if dialect.nullSequence is None else dialect.nullSequence.encode()

    def split(raw: bytes) -> list[bytes]:
        cells, at = list[bytes](), 0
        while at <= len(raw):
            match = cell.match(raw, at)
            assert match is not None
            inner, bare = match.groups()
            # `\N` is null where it is the nullSequence, though a backslash escapes.
            cells.append(unquote(inner) if bare is None else bare if bare == null else unescape(bare))
            at = match.end() + 1
        return cells

    return split
