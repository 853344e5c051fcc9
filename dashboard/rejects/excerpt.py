"""The lines of a source around a problem, and the place of the value in them; for any content of the file."""

import codecs
import csv
import io
import json
import re
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from dashboard.shared.file_format import UNKNOWN, Format
from dashboard.shared.objects import reread
from lake.layout import WORKBOOKS
from lake.stores.base import ObjectInfo, ObjectStore

CONTEXT = 2  # lines before and after the record
MAX_CHARACTERS = 50_000_000  # that are read to reach a line: a second or two
MAX_LINE = 2000  # characters of each line that are shown
CODECS = {"gz": "gzip", "zst": "zstd"}
BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, with which it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_JSON_LINES = re.compile(r"\.(jsonl|ndjson)(\.gz|\.zst)?\Z", re.IGNORECASE)
HEADER = 0  # the number of the header here, wherever it stands


@dataclass(frozen=True)
class Excerpt:
    """Lines of a file by number, its header, and the etag of the version that was read."""

    lines: dict[int, str]
    header: str
    etag: str


def is_json_lines(key: str) -> bool:
    """Return whether each line of a file is an object in JSON, by the file's name."""
    return bool(_JSON_LINES.search(key))


def has_lines(key: str) -> bool:
    """Return whether the lines around a problem can be shown: a workbook has none."""
    return not key.lower().endswith(WORKBOOKS)


def is_table(key: str) -> bool:
    """Return whether a file has rows and no lines: a workbook or Parquet."""
    return not has_lines(key) or key.lower().endswith(".parquet")


def cells_of(raw: str) -> list[str]:
    """Return the cells of a workbook's row, which a problem has with tabs between them."""
    return next(csv.reader([raw], "excel-tab"), [])


def read_excerpt(store: ObjectStore, key: str, line: int | None, lines: int = 1, format_: Format = UNKNOWN) -> Excerpt:
    """Read `lines` lines from `line` on and some around them; for a problem of the whole file (None), its first lines.

    Raises:
        FileNotFoundError: the file is gone.
        ObjectChanged: the file was replaced during each read.
        ValueError: the file has no lines or no such line, or it cannot be reached; the message says why.
    """
    if key.lower().endswith(".parquet"):
        raise ValueError("a Parquet file has rows and no lines: the column “raw text” has the row, as JSON")
    first = line or 1
    wanted = range(max(1, first - CONTEXT), first + lines + CONTEXT)
    info, texts = reread(lambda: _read(store, key, wanted, format_))
    if line and line not in texts:
        raise ValueError(f"the file has no line {line}, or it stands too far from the start to be shown here")
    header = texts.pop(HEADER, "")
    return Excerpt(texts, header, info.etag)


def _read(store: ObjectStore, key: str, wanted: range, format_: Format) -> tuple[ObjectInfo, dict[int, str]]:
    with store.open(key) as (info, stream):
        try:
            text = _text(stream, key, format_.encoding)  # which closes the stream when it goes: after the block
            return info, _lines(text, wanted, format_)
        except (pa.ArrowException, OSError, UnicodeError, LookupError) as error:
            raise ValueError(f"the file cannot be read as text: {error}") from error


def _text(stream: BinaryIO, key: str, encoding: str) -> io.TextIOWrapper:
    """Open a file as text with one kind of line end; bytes that are not text become escapes."""
    codec = CODECS.get(key.lower().rpartition(".")[2])
    plain = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream), codec) if codec else stream)  # type: ignore[type-var]
    encoding = next((name for bom, name in BOMS.items() if plain.peek(4).startswith(bom)), encoding)
    end = "\n" if is_json_lines(key) else None  # a CR is white space in JSON
    return io.TextIOWrapper(plain, encoding, errors="backslashreplace", newline=end)


def _lines(text: io.TextIOWrapper, wanted: range, format_: Format) -> dict[int, str]:
    """Return the lines of the header, joined by a line feed, and the wanted lines, each cut to `MAX_LINE`."""
    lines: dict[int, str] = {}
    number, read, starts = 1, 0, True
    while number < wanted.stop and read < MAX_CHARACTERS and (piece := text.readline(MAX_LINE)):
        if number in wanted:
            lines.setdefault(number, piece.rstrip("\n"))  # the first piece of a long line
        if starts and format_.is_header(number, piece.rstrip("\n"), found=HEADER in lines):
            lines[HEADER] = "\n".join([*filter(None, [lines.get(HEADER)]), piece.rstrip("\n")])
        starts = piece.endswith("\n")
        number, read = number + starts, read + len(piece)
    return lines


def cell(line: str, header: str, column: str, format_: Format = UNKNOWN) -> tuple[int, int] | None:
    """Return start and end of the cell of a column in a line; None if they cannot be determined."""
    names, spans = format_.names(header), format_.cells(line, header)
    name, number = format_.headers.get(column, (column, 1))
    places = [place for place, header_name in enumerate(names) if header_name == name]
    place = places[number - 1] if number <= len(places) else len(spans)
    return spans[place] if place < len(spans) else None


def json_value(line: str, column: str, format_: Format = UNKNOWN) -> tuple[int, int] | None:
    """Return start and end of the value of a column in a line of JSON Lines; None if they cannot be determined."""
    name, _ = format_.headers.get(column, (column, 1))
    match = re.search(rf'{re.escape(json.dumps(name, ensure_ascii=False))}\s*:\s*("(?:[^"\\]|\\.)*"|[^\s,}}]+)', line)
    return match.span(1) if match else None
