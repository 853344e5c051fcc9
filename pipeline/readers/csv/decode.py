"""The bytes of an object to chunks of UTF-8: decompressed, decoded, and bounded in what they may grow to."""

import codecs
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO

from pipeline.model.problem import Problem, Refused
from pipeline.readers.base import Limits

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK_SIZE = 4 << 20  # bytes of text that are read at a time
READ_SIZE = 1 << 18  # bytes of a compressed object that are read at a time
GROWN_SIZE = 1 << 22  # bytes that come out of it at a time

_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_SKIPPABLE = b"\x2a\x4d\x18"  # from the second byte on: a frame of zstd with no data
_PADDING = b"\0\r\n"

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # it begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY = {
    b"PK\x03\x04": "an Excel workbook or another zip",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "gzip: name it .csv.gz",
    b"\x28\xb5\x2f\xfd": "zstd: name it .csv.zst",
    b"PAR1": "Parquet",
    b"\x89PNG": "a PNG picture",
    b"%PDF-": "a PDF",
}


def text_chunks(stream: BinaryIO, key: str, encoding: str, block_size: int, limits: Limits) -> Iterator[bytes]:
    """Yield the text of an object as UTF-8, without its byte order mark; `Refused` says why it is none."""
    chunks = _decompressed(stream, key, block_size, limits)
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
    decoder, seen = codecs.getincrementaldecoder(encoding)("strict"), 0
    try:
        for chunk, last in mark_last(chain([first], chunks)):
            yield decoder.decode(chunk, last).encode()
            seen += len(chunk)
    except UnicodeError as error:
        where = f"after byte {seen:,}"
        message = f"the file is not {encoding}: {getattr(error, 'reason', error)} {where}: save it as {encoding}"
        raise Refused(Problem("encoding", message)) from error


def _decompressed(stream: BinaryIO, key: str, block_size: int, limits: Limits) -> Iterator[bytes]:
    name = key.lower()
    if not name.endswith((".gz", ".zst")):
        while chunk := _read_lines(stream, block_size):
            yield chunk
        return
    codec = "gzip" if name.endswith(".gz") else "zstd"
    grown = 0
    for read, out in _members(stream, codec):
        grown += len(out)
        if grown > limits.grown and grown > limits.ratio * read:
            raise Refused(_bomb(grown, read, limits))
        if out:
            yield out


def _read_lines(stream: BinaryIO, size: int) -> bytes:
    """Read so many bytes, and on to the end of the line if that is near: to join a record that is cut copies all."""
    near = size // 64
    if not stream.seekable():
        return stream.read(size) + stream.readline(near)
    start = stream.tell()
    stream.seek(start + size)
    rest = len(stream.readline(near))
    stream.seek(start)
    return stream.read(size + rest)


def _members(stream: BinaryIO, codec: str) -> Iterator[tuple[int, bytes]]:
    """Yield how much was read so far and what came out of it, member by member.

    Zeros and line ends after a member are padding: a tape or a shell has added them.
    """
    read, decoder, ended, begin = 0, None, False, b""
    try:
        while data := stream.read(READ_SIZE):
            read += len(data)
            while data:
                if decoder is None and (data := data.lstrip(_PADDING) if ended else data):
                    decoder, begin = _DECODERS[codec](), data[:8]
                if decoder is not None:
                    for out in _outputs(decoder, data):
                        yield read, out
                    data, ended = (decoder.unused_data, True) if decoder.eof else (b"", ended)
                    decoder = None if decoder.eof else decoder
        if decoder is not None:
            raise EOFError("it ends too early")
    except (zlib.error, zstd.ZstdError, EOFError) as error:
        raise Refused(Problem("compression", _not_whole(error, codec, begin, ended=ended))) from error


def _not_whole(error: Exception, codec: str, begin: bytes, *, ended: bool) -> str:
    """Return why compressed data cannot be read; `begin` are the first bytes of the member that fails."""
    if len(begin) >= 4 and not begin.startswith(_MAGIC[codec]) and begin[1:4] != _SKIPPABLE:
        if ended:
            other = f"after the end of its {codec} data other bytes follow ({begin.hex(' ')})"
            return f"{other}: cut them off, or compress the file again"
        return (
            f"the file is not {codec} data, it begins with {begin.hex(' ')}: compress it with {codec}, or name it anew"
        )
    if "too much memory" in str(error):
        return "the zstd data needs a window of more than 128 MiB: compress the file with --long=27 or without --long"
    if "Dictionary" in str(error):
        return "the zstd data needs a dictionary, which is not in the file: compress it without one"
    return f"the file is not whole {codec} data: {error}"


def _outputs(decoder: Any, data: bytes) -> Iterator[bytes]:
    yield decoder.decompress(data, GROWN_SIZE)
    while not (decoder.eof or decoder.needs_input):
        yield decoder.decompress(b"", GROWN_SIZE)


def _bomb(grown: int, read: int, limits: Limits) -> Problem:
    message = (
        f"the first {read:,} bytes of the file grow to more than {grown:,}: expected at most {limits.grown:,} or "
        f"{limits.ratio} times as many; split the file, or raise PIPELINE_GROWN_MIB"
    )
    return Problem("size", message)


class _Gzip:
    """zlib's decompressor under the names that zstd's has."""

    def __init__(self) -> None:
        self._zlib, self.needs_input = zlib.decompressobj(wbits=31), True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, limit: int) -> bytes:
        out = self._zlib.decompress(self._zlib.unconsumed_tail + data, limit)
        self.needs_input = not self._zlib.unconsumed_tail and len(out) < limit
        return out


_DECODERS: dict[str, Callable[[], Any]] = {"gzip": _Gzip, "zstd": zstd.ZstdDecompressor}
