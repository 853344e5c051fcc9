"""The lines of a source file around a problem, and where in them the value stands; whatever is in the file."""

import codecs
import csv
import io
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from dashboard.shared.file_format import UNKNOWN, Format
from lake.stores.base import ObjectChanged, ObjectInfo, ObjectStore

CONTEXT = 2  # lines before and after the record
MAX_CHARACTERS = 50_000_000  # that are read to come to a line: a second or two
MAX_LINE = 2000  # characters of a line that are shown
CODECS = {"gz": "gzip", "zst": "zstd"}
BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, with which it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
HEADER = 0  # its number here, wherever it stands
READS = 3  # of a file that is replaced while it is read


@dataclass(frozen=True)
class Excerpt:
    """Some lines of a file by number, its header, and the version (etag) that they were read from."""

    lines: dict[int, str]
    header: str
    etag: str


def read_excerpt(store: ObjectStore, key: str, line: int | None, lines: int = 1, encoding: str = "utf-8") -> Excerpt:
    """Read the `lines` from `line` on and some around them; of a problem of the whole file (None) its first lines.

    Raises:
        FileNotFoundError: the file is gone.
        ObjectChanged: it was replaced during each of `READS` reads.
        ValueError: it has no such line, or none that can be come to; the message says why.
    """
    first = line or 1
    wanted = range(max(1, first - CONTEXT), first + lines + CONTEXT)
    for _ in range(READS - 1):
        with suppress(ObjectChanged):
            info, found = _read(store, key, wanted, encoding)
            break
    else:
        info, found = _read(store, key, wanted, encoding)
    if line and line not in found:
        raise ValueError(f"the file has no line {line}, or it stands too far from the start to be shown here")
    return Excerpt({number: found[number] for number in wanted if number in found}, found.get(HEADER, ""), info.etag)


def _read(store: ObjectStore, key: str, wanted: range, encoding: str) -> tuple[ObjectInfo, dict[int, str]]:
    with store.open(key) as (info, stream):
        try:
            text = _text(stream, key, encoding)  # which closes the stream when it goes: after the block
            return info, _lines(text, wanted)
        except (pa.ArrowException, OSError, UnicodeError, LookupError) as error:
            raise ValueError(f"the file cannot be read as text: {error}") from error


def _text(stream: BinaryIO, key: str, encoding: str) -> io.TextIOWrapper:
    """Give a file as text, a line end of any kind as one; bytes that are no text become escapes."""
    codec = CODECS.get(key.lower().rpartition(".")[2])
    plain = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream), codec) if codec else stream)  # type: ignore[type-var]
    encoding = next((name for bom, name in BOMS.items() if plain.peek(4).startswith(bom)), encoding)
    return io.TextIOWrapper(plain, encoding, errors="backslashreplace")


def _lines(text: io.TextIOWrapper, wanted: range) -> dict[int, str]:
    """Return the header, which is the first line that is not empty, and the wanted lines, each cut to what is shown."""
    lines: dict[int, str] = {}
    number, read = 1, 0
    while number < wanted.stop and read < MAX_CHARACTERS and (piece := text.readline(MAX_LINE)):
        if number in wanted:
            lines.setdefault(number, piece.rstrip("\n"))  # of a long line the first piece
        if HEADER not in lines and piece != "\n":
            lines[HEADER] = piece.rstrip("\n")
        number, read = number + piece.endswith("\n"), read + len(piece)
    return lines


def cell(line: str, header: str, column: str, format_: Format = UNKNOWN) -> tuple[int, int] | None:
    """Return where the cell of a column begins and ends in a line, if both can be told."""
    delimiter, quote = format_.delimiter or max(",;\t|", key=header.count), format_.quote
    names = next(csv.reader([header], delimiter=delimiter, quotechar=quote), [])
    mark, between = re.escape(quote), re.escape(delimiter)
    cells = re.finditer(rf"((?:{mark}(?:[^{mark}]|{mark}{mark})*{mark}|[^{between}{mark}])*)(?:{between}|$)", line)
    spans = [found.span(1) for found in cells]
    if not line.endswith(delimiter):
        spans.pop()  # the empty one that matches after the last
    name, number = format_.headers.get(column, (column, 1))
    places = [place for place, found in enumerate(names) if found == name]
    place = places[number - 1] if number <= len(places) else len(spans)
    return spans[place] if place < len(spans) else None
