"""Decompress gzip and zstd, member by member, bounded in how far an object may grow.

The standard library's file objects do not do: they refuse line ends after the data, and zstd's also zeros, and they do
not tell where the member begins that cannot be read.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from pipeline.model.problem import Problem, Refused
from pipeline.readers.base import Limits

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

READ_SIZE = 1 << 18  # bytes of a compressed object that are read at a time
GROWN_SIZE = 1 << 22  # bytes that come out of it at a time

_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_SKIPPABLE = b"\x2a\x4d\x18"  # from the second byte on: a frame of zstd with no data
_PADDING = b"\0\r\n"


def decompress(stream: BinaryIO, codec: str, limits: Limits) -> Iterator[bytes]:
    """Yield the content of an object; `codec` is gzip or zstd. `Refused` if it is broken, or grows too far."""
    grown = 0
    for read, out in _members(stream, codec):
        grown += len(out)
        if grown > limits.grown and grown > limits.ratio * read:
            raise Refused(_bomb(grown, read, limits))
        if out:
            yield out


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
