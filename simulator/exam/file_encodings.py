"""Valid forms of a whole file: line ends, encodings, compression, the order of columns."""

import gzip
import sys
from collections.abc import Callable
from functools import partial
from random import Random

from simulator.exam.case import Draw, File, Kind, Sheet, cells, good, quoted, record, sheet

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Form = Callable[[bytes, Random], bytes]


def _blank_lines(draw: Draw) -> File:
    page = sheet(draw, [draw.chance.choice(["\n", "\r\n", "\r"])])
    for row in draw.rows:
        for _ in range(draw.chance.randrange(3)):
            page.write("")
        page.keep(row)
    return page.file()


def _reordered(draw: Draw) -> File:
    """Write the columns in another order: they are mapped by name."""
    names = draw.chance.sample(list(draw.rows[0]), len(draw.rows[0]))
    page = Sheet(draw)
    page.write(record(map(quoted, names) if draw.chance.random() < 0.5 else names))
    for row in draw.rows:
        page.keep(row, record(cells(row)[name] for name in names))
    return page.file()


def _header_alone(draw: Draw) -> File:
    page = sheet(draw)
    return page.file(data=bytes(page.data).rstrip() if draw.chance.random() < 0.5 else None)


def _form(suffix: str, change: Form, draw: Draw) -> File:
    """Write a file with one bad record, then change its form as a whole."""
    page = good(draw)
    page.reject("a line of text", (None, "fields"))
    page.keep(draw.rows[0])
    return page.file(suffix, change(bytes(page.data), draw.chance))


def gzipped(data: bytes, _: Random) -> bytes:
    """Compress as gzip does, without its clock."""
    return gzip.compress(data, mtime=0)


def zstandard(data: bytes, _: Random) -> bytes:
    """Compress as zstd does."""
    return zstd.compress(data)


def _members(pack: Form, data: bytes, chance: Random) -> bytes:
    """Compress in parts, one after the other, cut anywhere, with zero bytes at the end."""
    cuts = sorted(chance.choices(range(len(data)), k=3))
    parts = [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, None], strict=True)]
    return b"".join(pack(part, chance) for part in parts) + b"\0" * chance.choice([0, 512])


def _utf16(byte_order: str, data: bytes, _: Random) -> bytes:
    return f"\ufeff{data.decode()}".encode(byte_order)


FORMS: dict[str, tuple[str, Form]] = {
    "byte order mark": (".csv", lambda data, _: b"\xef\xbb\xbf" + data),
    "UTF-16 little end": (".csv", partial(_utf16, "utf-16-le")),
    "UTF-16 big end": (".csv", partial(_utf16, "utf-16-be")),
    "last line without end": (".csv", lambda data, _: data[:-1]),
    "gzip": (".csv.gz", gzipped),
    "gzip in parts": (".csv.gz", partial(_members, gzipped)),
    "zstd": (".csv.zst", zstandard),
    "zstd in parts": (".csv.zst", partial(_members, zstandard)),
}

FORM_KINDS: dict[str, Kind] = {
    **{kind: Kind(partial(_form, suffix, change)) for kind, (suffix, change) in FORMS.items()},
    "CRLF": Kind(lambda draw: good(draw, ["\r\n"]).file()),
    "CR": Kind(lambda draw: good(draw, ["\r"]).file()),
    "mixed line ends": Kind(lambda draw: good(draw, ["\n", "\r\n", "\r"]).file()),
    "blank lines": Kind(_blank_lines),
    "columns in another order": Kind(_reordered),
    "header alone": Kind(_header_alone),
}
