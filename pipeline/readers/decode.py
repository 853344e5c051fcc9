"""Decode an object to chunks of UTF-8."""

import codecs
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO

from pipeline.model.problem import Problem, Refused
from pipeline.readers.base import Limits
from pipeline.readers.decompress import decompress

BLOCK_SIZE = 4 << 20  # bytes of text that are read at a time

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # it begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY = {
    b"PK\x03\x04": "a workbook or another zip: name a workbook .xlsx or .ods",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: name it .xls",
    b"\x1f\x8b": "gzip: add .gz to its name",
    b"\x28\xb5\x2f\xfd": "zstd: add .zst to its name",
    b"PAR1": "Parquet",
    b"\x89PNG": "a PNG picture",
    b"%PDF-": "a PDF",
}


def text_chunks(stream: BinaryIO, key: str, encoding: str, block_size: int, limits: Limits) -> Iterator[bytes]:
    """Yield the text of an object as UTF-8, without its byte order mark; `Refused` if it is not text."""
    name = key.lower()
    if name.endswith((".gz", ".zst")):
        chunks = decompress(stream, "gzip" if name.endswith(".gz") else "zstd", limits)
    else:
        chunks = iter(partial(_read_lines, stream, block_size), b"")
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= 8:
            break
    for begin, what in _BINARY.items():
        if first.startswith(begin):
            raise Refused(Problem("binary", f"the file is not text, it begins like {what} ({first[:8].hex(' ')})"))
    for bom, name in _BOMS:
        if first.startswith(bom):
            yield from _decoded(first[len(bom) :], chunks, name)
            return
    if codecs.lookup(encoding).name == "utf-8":
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from chunks
    else:
        yield from _decoded(first, chunks, encoding)


def mark_last(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each chunk, and whether it is the last one; of no chunks, an empty one."""
    rest = iter(chunks)
    chunk = next(rest, b"")
    for following in rest:
        yield chunk, False
        chunk = following
    yield chunk, True


def _decoded(first: bytes, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder, decoded = codecs.getincrementaldecoder(encoding)("strict"), 0
    try:
        for chunk, last in mark_last(chain([first], chunks)):
            yield decoder.decode(chunk, last).encode()
            decoded += len(chunk)
    except UnicodeError as error:
        where = f"after byte {decoded:,}"
        message = f"the file is not {encoding}: {getattr(error, 'reason', error)} {where}: save it as {encoding}"
        raise Refused(Problem("encoding", message)) from error


def _read_lines(stream: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, and on to the end of the line if it is near: to join a record that is cut copies the block."""
    near = size // 64
    if not stream.seekable():
        return stream.read(size) + stream.readline(near)
    start = stream.tell()
    stream.seek(start + size)
    rest = len(stream.readline(near))
    stream.seek(start)
    return stream.read(size + rest)
