"""Faults of whole files and of their delivery: refused, ignored, delivered twice, replaced."""

import dataclasses
from collections.abc import Callable
from functools import partial
from random import Random

from simulator.exam.bad_records import SPOILS, spoiled
from simulator.exam.case import Answer, Draw, File, Kind, good, record
from simulator.exam.file_encodings import Form, gzipped, zstandard

IGNORED = Answer("ignored")
BOMB_PARTS = 1025  # of 1 MiB each

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
BINARIES = [PNG, b"PK\x03\x04\x14\0\x06\0", b"PAR1\x15\x04\x15\0", b"\x7fELF\x02\x01\x01\0"]

NAMES = (
    "two words.csv", "1+1=2.csv", "100%25.csv", "%2e%2e%2f.csv", "é à ü.csv", "_leading.csv", ".hidden.csv",
    "湖/水.csv", "deep/er/and/deep/er.csv", "SHOUTED.CSV", "a&b;c,d'e.csv", "quo\"te.csv", "x.csv.csv",
    "year=2026/m=1.csv", "~tilde#hash?.csv", "[x]{y}(z).csv", ".csv", "-rf *.csv", "a.parquet.csv", "null.csv",
)  # fmt: skip


def _refused(rule: str, change: Form, draw: Draw, name: str = ".csv") -> File:
    data = change(bytes(good(draw).data), draw.chance)
    return File(draw.dataset, name, [data], Answer("refused", rule))


def _new_header(change: Callable[[list[str], Random], list[str]], draw: Draw) -> File:
    def replaced(data: bytes, chance: Random) -> bytes:
        header, end, rest = data.partition(b"\n")
        return record(change(header.decode().split(","), chance)).encode() + end + rest

    return _refused("header", replaced, draw)


def _without_one(names: list[str], chance: Random) -> list[str]:
    lost = chance.choice(names)
    return [name for name in names if name != lost]


def _renamed(names: list[str], chance: Random) -> list[str]:
    at = chance.randrange(len(names))
    other = chance.choice([names[at].swapcase(), f" {names[at]}", f"{names[at]} ", "Umsatz", "", f'"{names[at]}."'])
    return [*names[:at], other, *names[at + 1 :]]


def _repeated(names: list[str], chance: Random) -> list[str]:
    return [*names, chance.choice(names)] if chance.random() < 0.5 else [names[0], names[0], *names[2:]]


HEADERS: dict[str, Callable[[list[str], Random], list[str]]] = {
    "header lacks a name": _without_one,
    "header has one more": lambda names, _: [*names, "Remark"],
    "header renamed": _renamed,
    "header repeats a name": _repeated,
    "no header": lambda names, _: [str(number) for number in range(len(names))],
    "header with a stray quote": lambda names, _: [f'"{names[0]}', *names[1:]],
}


def _cut_short(pack: Form, data: bytes, chance: Random) -> bytes:
    packed = pack(data, chance)
    return packed[: chance.choice([len(packed) - 1, chance.randrange(12, len(packed))])]


def _followed(pack: Form, data: bytes, chance: Random) -> bytes:
    return pack(data, chance) + chance.choice([b"rubbish", b"\0\0\0x", data[:20]])


def _lone_surrogate(data: bytes, _: Random) -> bytes:
    return f"\ufeff{data.decode()}".encode("utf-16-le") + b"\x00\xd8,\x00"


def _no_contract(draw: Draw) -> File:
    data = bytes(good(draw).data)
    return File(f"{draw.dataset}-of-nobody", ".csv", [data], Answer("refused", "contract"))


def _no_csv(draw: Draw) -> File:
    suffix = draw.chance.choice([".txt", ".json", ".csv.bz2", ".csv.tmp", ".xlsm", ".csvx", "", ".csv~", ".gz"])
    return File(draw.dataset, suffix, [bytes(good(draw).data)], IGNORED)


def _awkward_name(draw: Draw) -> File:
    return dataclasses.replace(good(draw).file(), name="/" + draw.chance.choice(NAMES))


def _out_of_order(draw: Draw) -> File:
    """Name the file as one of a numbered series; an exam delivers its files in a random order."""
    return dataclasses.replace(good(draw).file(), name=f"/part-{draw.chance.randrange(1000):03d}.csv")


def _twice(draw: Draw) -> File:
    file = good(draw).file()
    return dataclasses.replace(file, versions=[*file.versions, *file.versions])


def _dirty(draw: Draw) -> File:
    return spoiled(SPOILS["several problems"], draw)


def _broken(draw: Draw) -> File:
    return _new_header(_without_one, draw)


def _replaced(first: Callable[[Draw], File], last: Callable[[Draw], File], draw: Draw) -> File:
    """Deliver a version and then another under the same name: the last one counts."""
    before = first(dataclasses.replace(draw, rows=draw.rows[: draw.chance.randrange(2, len(draw.rows))]))
    file = last(draw)
    return dataclasses.replace(file, versions=[*before.versions, *file.versions])


def _good(draw: Draw) -> File:
    return good(draw).file()


def bomb(draw: Draw) -> File:
    """Write a small file that decompresses beyond every limit: one part, repeated."""
    packed = gzipped(bytes(good(draw).data), draw.chance) + gzipped(b"x" * (1 << 20), draw.chance) * BOMB_PARTS
    return File(draw.dataset, ".csv.gz", [packed], Answer("refused", "size"))


WHOLES: dict[str, Kind] = {
    "nothing wrong": Kind(_good),
    **{kind: Kind(partial(_new_header, change)) for kind, change in HEADERS.items()},
    "empty file": Kind(partial(_refused, "header", lambda _, chance: chance.choice([b"", b"\n\r\n", b"\xef\xbb\xbf"]))),
    "binary data": Kind(partial(_refused, "binary", lambda data, chance: chance.choice(BINARIES) + data)),
    "gzip under a plain name": Kind(partial(_refused, "binary", gzipped)),
    "NUL byte in the header": Kind(partial(_refused, "binary", lambda data, _: data.replace(b",", b"\0,", 1))),
    "UTF-16 that is broken": Kind(partial(_refused, "encoding", _lone_surrogate)),
    "gzip cut short": Kind(partial(_refused, "compression", partial(_cut_short, gzipped), name=".csv.gz")),
    "zstd cut short": Kind(partial(_refused, "compression", partial(_cut_short, zstandard), name=".csv.zst")),
    "rubbish after gzip": Kind(partial(_refused, "compression", partial(_followed, gzipped), name=".csv.gz")),
    "rubbish after zstd": Kind(partial(_refused, "compression", partial(_followed, zstandard), name=".csv.zst")),
    "text under a gzip name": Kind(partial(_refused, "compression", lambda data, _: data, name=".csv.gz")),
    "text under a zstd name": Kind(partial(_refused, "compression", lambda data, _: data, name=".csv.zst")),
    "no contract": Kind(_no_contract),
    "no CSV file": Kind(_no_csv),
    "awkward name": Kind(_awkward_name),
    "out of order": Kind(_out_of_order),
    "delivered twice": Kind(_twice),
    "overwritten": Kind(partial(_replaced, _good, _good)),
    "corrected": Kind(partial(_replaced, _dirty, _good)),
    "correction that is dirty": Kind(partial(_replaced, _good, _dirty)),
    "overwritten by a broken one": Kind(partial(_replaced, _dirty, _broken)),
    "mended": Kind(partial(_replaced, _broken, _good)),
}  # fmt: skip
