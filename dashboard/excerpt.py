"""The lines of a source file around a problem, and where in them the value stands; whatever is in the file."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from storage import ObjectStore

CONTEXT = 2  # lines before and after the record
MAX_CHARACTERS = 50_000_000  # that are read to come to a line: a second or two
MAX_LINE = 2000  # characters of a line that are shown
CODECS = {"gz": "gzip", "zst": "zstd"}
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Excerpt:
    """Some lines of a file by number, its first line, and the version (etag) that they were read from."""

    lines: dict[int, str]
    header: str
    etag: str


def read_excerpt(store: ObjectStore, key: str, line: int | None, lines: int = 1) -> Excerpt:
    """Read the `lines` from `line` on and some around them; of a problem of the whole file (None) its first lines.

    Raises:
        FileNotFoundError: the file is gone.
        ValueError: it has no such line, or none that can be come to; the message says why.
    """
    first = line or 1
    wanted = range(first - CONTEXT, first + lines + CONTEXT)
    with store.open(key) as (info, stream):
        try:
            text = _text(stream, key)  # which closes the stream when it goes: after the block
            found = _lines(text, wanted)
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise ValueError(f"the file cannot be read as text: {error}") from error
    if line and line not in found:
        raise ValueError(f"the file has no line {line}, or it stands too far from the start to be shown here")
    return Excerpt({number: found[number] for number in wanted if number in found}, found.get(1, ""), info.etag)


def _text(stream: BinaryIO, key: str) -> io.TextIOWrapper:
    """Give a file as text, a line end of any kind as one; bytes that are no text become escapes."""
    codec = CODECS.get(key.lower().rpartition(".")[2])
    plain = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream), codec) if codec else stream)  # type: ignore[type-var]
    encoding = next((name for bom, name in BOMS.items() if plain.peek(4).startswith(bom)), "utf-8")
    return io.TextIOWrapper(plain, encoding, errors="backslashreplace")


def _lines(text: io.TextIOWrapper, wanted: range) -> dict[int, str]:
    """Give the first line and the wanted ones, each cut to what is shown."""
    lines: dict[int, str] = {}
    number, read = 1, 0
    while number < wanted.stop and read < MAX_CHARACTERS and (piece := text.readline(MAX_LINE)):
        if number == 1 or number in wanted:
            lines.setdefault(number, piece.rstrip("\n"))  # of a long line the first piece
        number, read = number + piece.endswith("\n"), read + len(piece)
    return lines


def cell(line: str, header: str, column: str) -> tuple[int, int] | None:
    """Give where the cell of a column begins and ends in a line, if both can be told."""
    delimiter = max(",;\t|", key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    cells = re.finditer(rf'((?:"(?:[^"]|"")*"|[^{re.escape(delimiter)}"])*)(?:{re.escape(delimiter)}|$)', line)
    spans = [found.span(1) for found in cells]
    if not line.endswith(delimiter):
        spans.pop()  # the empty one that matches after the last
    place = names.index(column) if column in names else len(spans)
    return spans[place] if place < len(spans) else None
