"""Odd files, made by seed; what must come of each is known by how it is made, never by reading it.

Most are of companydata, the others of datasets with a contract of their own (see `contracts.py`).
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tests.support.contracts import DIALECTS, MATCHES, Kind, typed

COLUMNS = ("Month", "Dept", "Store", "Sold", "Returned", "Ordered")

HEADER = ",".join(COLUMNS).encode()

BLOCK, RECORD_LIMIT = 4 << 20, 1 << 20

BIG = 2**63 - 1

Row = tuple  # the line, then the columns

Reject = tuple[int | None, str | None, str]  # line, column, rule


@dataclass(frozen=True)
class Odd:
    """File, the rows that are kept of it, and what is rejected; `refused` is the rule if it is not loaded at all."""

    family: str
    name: str
    content: bytes
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    refused: str | None = None
    dataset: str = "companydata"
    columns: tuple[str, ...] = COLUMNS

    def __str__(self) -> str:
        return self.name


class Page:
    """File that is written record by record, and knows what must come of each."""

    def __init__(self, end: bytes = b"\n", header: bytes = HEADER) -> None:
        self.end, self.parts, self.size, self.line = end, [header + end], len(header + end), 2
        self.rows: list[Row] = []
        self.rejects: list[Reject] = []

    def raw(self, text: bytes, end: bytes | None = None) -> None:
        """Write a record or an empty line; the line ends inside of it count."""
        end = self.end if end is None else end
        self.parts.append(text + end)
        self.size += len(text + end)
        self.line += len(re.findall(rb"\r\n|\r|\n", text)) + 1

    def good(self, row: tuple, text: bytes | None = None, end: bytes | None = None) -> None:
        """Write a record that is kept, in a form of its own if given."""
        self.rows.append((self.line, *row))
        self.raw(plain(row) if text is None else text, end)

    def bad(self, text: bytes, *problems: tuple[str | None, str]) -> None:
        """Write a record that is rejected, or a line that is none."""
        self.rejects += [(self.line, column, rule) for column, rule in problems]
        self.raw(text)

    def odd(self, family: str, name: str, content: bytes | None = None) -> Odd:
        return Odd(family, name, self.content if content is None else content, self.rows, self.rejects)

    @property
    def content(self) -> bytes:
        return b"".join(self.parts)


def plain(row: tuple) -> bytes:
    return ",".join(map(str, row)).encode()


def quoted(row: tuple) -> bytes:
    return ",".join('"' + str(value).replace('"', '""') + '"' for value in row).encode()


def a_row(chance: random.Random, **changes: object) -> tuple:
    row = {
        "Month": f"{chance.randint(1, 28)}-Jan",
        "Dept": f"Dept {chance.randint(0, 9)}",
        "Store": chance.choice(["North", "South"]),
        **{name: chance.randint(0, 999) for name in COLUMNS[3:]},
    }
    return tuple((row | changes).values())


def some(page: Page, chance: random.Random, most: int = 4) -> Page:
    for _ in range(chance.randint(1, most)):
        page.good(a_row(chance))
    return page


def with_cell(chance: random.Random, column: str, cell: bytes) -> bytes:
    cells = plain(a_row(chance)).split(b",")
    cells[COLUMNS.index(column)] = cell
    return b",".join(cells)


def around(chance: random.Random, write: Callable[[Page], None], **settings: bytes) -> Page:
    """Return a page with something between sound records."""
    page = some(Page(**settings), chance)
    write(page)
    return some(page, chance)


LETTERS = ["é", "Straße", "日本語", "😀", "\u2028", "\x85", "\x0b\x0c", "\x1c\x1d", "e\u0301", "\u200f", "\ufeff", "#"]

NOT_UTF8 = [b"\xff", b"caf\xe9", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\x80", b"a\xfe\xffb"]


def encoding(chance: random.Random) -> Iterator[Odd]:
    for number, letters in enumerate(LETTERS):
        row = a_row(chance, Month=letters, Store=letters)
        yield around(chance, lambda page, row=row: page.good(row)).odd("encoding", f"letters {number}.csv")
    for number, wrong in enumerate([*NOT_UTF8, b"\0", b"a\0"]):
        column = chance.choice(COLUMNS)
        text = with_cell(chance, column, wrong)
        page = around(chance, lambda page, text=text, column=column: page.bad(text, (column, "encoding")))
        yield page.odd("encoding", f"bytes {number}.csv")
    for name in ("utf-8-sig", "utf-16", "utf-16-be"):
        page = some(Page(b"\r\n"), chance)
        page.good(a_row(chance, Dept="Ünï 日本"))
        whole = ("\ufeff" if name == "utf-16-be" else "") + page.content.decode()
        yield page.odd("encoding", f"{name}.csv", whole.encode(name))
        if name != "utf-8-sig":
            yield Odd("encoding", f"{name} cut.csv", whole.encode(name)[:-1], refused="encoding")
    lone = HEADER.decode().encode("utf-16") + b"\n\0\x00\xd8,\0"
    yield Odd("encoding", "lone surrogate.csv", lone, refused="encoding")
    yield Odd("encoding", "header.csv", b"Mon\xff" + HEADER, refused="encoding")
    yield Odd("encoding", "bom alone.csv", b"\xef\xbb\xbf", refused="header")


ENDS = [b"\n", b"\r\n", b"\r"]


def line_ends(chance: random.Random) -> Iterator[Odd]:
    for number, end in enumerate(ENDS):
        yield some(Page(end), chance).odd("line ends", f"one {number}.csv")
        page = some(Page(end), chance)
        page.good(a_row(chance), end=b"")
        yield page.odd("line ends", f"last one open {number}.csv")
        page = around(chance, lambda page: [page.raw(b"") for _ in range(3)], end=end)
        yield page.odd("line ends", f"empty lines {number}.csv")
        for text in (b" ", b"\t", b'""'):
            page = around(chance, lambda page, text=text: page.bad(text, (None, "fields")), end=end)
            yield page.odd("line ends", f"nearly empty {number} {len(text)}{text[0]}.csv")
        page = some(Page(end), chance)
        page.parts.insert(0, end * 2)
        page.rows = [(line + 2, *row) for line, *row in page.rows]
        yield page.odd("line ends", f"before the header {number}.csv")
    for number in range(12):
        page = Page(chance.choice(ENDS))
        for _ in range(chance.randint(5, 40)):
            row = a_row(chance, Dept="x" + chance.choice(["\n", "\r\n", "\r"]) + "y")
            page.good(row, quoted(row), chance.choice(ENDS))
            if page.parts[-1].endswith(b"\r"):
                page.raw(b'"a",b', b"\r\n")  # begins with no LF, so that the CR stays a line end of its own
                page.rejects.append((page.line - 1, None, "fields"))
        yield page.odd("line ends", f"mixed {number}.csv")


def quotes(chance: random.Random) -> Iterator[Odd]:
    kept = ['say "hi"', "a,b", "two\nlines", "\r\n\r\n", '"', '""', ",", "", " x ", "\n", '",\n"', "'"]
    for number, text in enumerate(filter(None, kept)):
        row = a_row(chance, Dept=text)
        yield around(chance, lambda page, row=row: page.good(row, quoted(row))).odd("quotes", f"kept {number}.csv")
    for number, cell in enumerate([b'5"pipe', b'"a"b', b'x"', b'"a" ', b' "a"', b'a""b', b'"a"""b', b'x""']):
        for column in ("Month", "Store", "Ordered"):
            text = with_cell(chance, column, cell)
            page = around(chance, lambda page, text=text: page.bad(text, (None, "quote")))
            yield page.odd("quotes", f"stray {number} {column}.csv")
    for column in COLUMNS:
        text = with_cell(chance, column, b'""')
        page = around(chance, lambda page, text=text, column=column: page.bad(text, (column, "required")))
        yield page.odd("quotes", f"quoted nothing {column}.csv")
        text = with_cell(chance, column, b'"never closed')
        page = around(chance, lambda page, text=text: page.bad(text, (None, "quote")))
        yield page.odd("quotes", f"open to the end {column}.csv")
        row = a_row(chance)
        page = around(chance, lambda page, text=text: page.bad(text, (None, "quote")))
        page.good(row, b",".join(b'"%s"' % cell for cell in plain(row).split(b",")))
        yield page.odd("quotes", f"open until a quote {column}.csv")


def field_counts(chance: random.Random) -> Iterator[Odd]:
    for count in (1, 2, 3, 4, 5, 7, 8, 12, 500):
        cells = (plain(a_row(chance)).split(b",") * 100)[:count]
        for name, text in {"plain": b",".join(cells), "quoted": b",".join(b'"%s"' % cell for cell in cells)}.items():
            page = around(chance, lambda page, text=text: page.bad(text, (None, "fields")))
            yield page.odd("field counts", f"{count} {name}.csv")
    nothing = [(column, "required") for column in COLUMNS]
    yield around(chance, lambda page: page.bad(b",,,,,", *nothing)).odd("field counts", "nothing.csv")
    yield around(chance, lambda page: page.bad(b",,,,,,", (None, "fields"))).odd("field counts", "trailing.csv")
    yield around(chance, lambda page: page.bad(b"1-Jan;A;B;1;2;3", (None, "fields"))).odd("field counts", "other.csv")


def headers(chance: random.Random) -> Iterator[Odd]:
    for number in range(10):
        order = chance.sample(range(6), 6)
        names = [COLUMNS[place].encode() for place in order]
        page = Page(header=b",".join(b'"%s"' % name if number % 2 else name for name in names))
        for _ in range(5):
            row = a_row(chance)
            page.good(row, plain(tuple(row[place] for place in order)))
        yield page.odd("headers", f"order {number}.csv")
    yield Page().odd("headers", "alone.csv")
    yield Page().odd("headers", "alone and open.csv", HEADER)
    wrong = {
        "lacks one": HEADER.removesuffix(b",Ordered"),
        "one more": HEADER + b",Net",
        "twice": HEADER + b",Month",
        "lower": HEADER.lower(),
        "spaces": HEADER.replace(b",", b", "),
        "semicolons": HEADER.replace(b",", b";"),
        "trailing": HEADER + b",",
        "none": plain(a_row(chance)),
        "open": b'"' + HEADER,
        "stray": HEADER.replace(b"Dept", b'De"pt'),
        "two boms": b"\xef\xbb\xbf" * 2 + HEADER,
    }
    for name, header in wrong.items():
        yield Odd("headers", f"{name}.csv", header + b"\n" + plain(a_row(chance)) + b"\n", refused="header")
    for number, content in enumerate([b"", b"\n", b"\r\n\r\n", b"\r\r\r"]):
        yield Odd("headers", f"empty {number}.csv", content, refused="header")
    for number, content in enumerate(
        [b"\x89PNG\r\n\x1a\n", b"PK\x03\x04xyz", HEADER.replace(b"D", b"\0"), b"%PDF-1.7\n"]
    ):
        yield Odd("headers", f"binary {number}.csv", content, refused="binary")


TAKEN = {b"+5": 5, b"-0": 0, b"007": 7, b" 42\t": 42, b'"12"': 12, b'" 12 "': 12, b"0" * 5000 + b"7": 7}

TAKEN |= {str(BIG).encode(): BIG}

NOT_TAKEN = [b"0x1F", b"1_000", b"1.0", b"1e3", b"1e400", b"inf", b"nan", b"many", b"--1", b"+", b"1 2", b'"1,000"']

NOT_TAKEN += [b"9223372036854775808", b"-9223372036854775809", b"9" * 5000, "١٢".encode(), "12\xa0".encode(), b"true"]

NOT_TAKEN += ["\uff15".encode(), b"1-", b"0b1", b"NULL", b"NA", b"2026-02-30", "\u22121".encode(), b"1\x0b", b'"1\n"']

BROKEN = {b"": "required", b"  \t": "required", b"-1": "minimum", b"-9223372036854775808": "minimum"}


def values(chance: random.Random) -> Iterator[Odd]:
    for number, (cell, value) in enumerate(TAKEN.items()):
        column = chance.choice(COLUMNS[3:])
        row = a_row(chance, Dept=f"Alone {number}", **{column: value})  # a sum with others could leave 64 bits
        cells = plain(row).split(b",")
        cells[COLUMNS.index(column)] = cell
        text = b",".join(cells)
        page = around(chance, lambda page, row=row, text=text: page.good(row, text))
        yield page.odd("values", f"taken {number}.csv")
    for number, cell in enumerate([*NOT_TAKEN, *BROKEN]):
        column, rule = chance.choice(COLUMNS[3:]), BROKEN.get(cell, "type")
        text = with_cell(chance, column, cell)
        page = around(chance, lambda page, text=text, column=column, rule=rule: page.bad(text, (column, rule)))
        yield page.odd("values", f"{rule} {number}.csv")
    for number in range(10):
        page = Page()
        for _ in range(200):
            some(page, chance, 2)
            wrong = sorted(chance.sample(range(6), chance.randint(1, 6)))
            cells = plain(a_row(chance)).split(b",")
            problems = []
            for place in wrong:
                cells[place], rule = chance.choice([(b"", "required"), (b"\xff", "encoding")])
                problems.append((COLUMNS[place], rule))
            page.bad(b",".join(cells), *problems)
        yield page.odd("values", f"many problems {number}.csv")


def sizes(chance: random.Random) -> Iterator[Odd]:
    for count in (1, 1000, 20_000):
        page = Page()
        for _ in range(count):
            page.good(a_row(chance))
        yield page.odd("sizes", f"{count} rows.csv")
    for length in (100_000, RECORD_LIMIT - 1, RECORD_LIMIT):
        row = a_row(chance, Dept="")
        row = (row[0], "x" * (length - len(plain(row))), *row[2:])
        yield around(chance, lambda page, row=row: page.good(row)).odd("sizes", f"record of {length}.csv")
    for name, cell in {"plain": b"x" * RECORD_LIMIT, "quoted": b'"' + b"x" * RECORD_LIMIT + b'"'}.items():
        text = with_cell(chance, "Dept", cell)
        page = around(chance, lambda page, text=text: page.bad(text, (None, "size")))
        yield page.odd("sizes", f"too long {name}.csv")
    page = some(Page(), chance)
    page.bad(b'1-Jan,"' + b"x" * 600_000, (None, "size"))
    page.bad(b"y" * 600_000, (None, "fields"))
    page.bad(b'z",North,1,1,1', (None, "quote"))
    yield some(page, chance).odd("sizes", "falls apart.csv")
    page = some(Page(), chance)
    page.bad(b'"open,Toys,North,1,1,1', (None, "size"))
    while page.size < 2 * RECORD_LIMIT:
        page.good(a_row(chance, Dept="x" * 500))
    yield page.odd("sizes", "open for long.csv")
    for number in range(6):
        yield borders(chance, number)


def borders(chance: random.Random, number: int) -> Odd:
    """Return a file of over two blocks, with quoted line ends and stray quotes around the border of each."""
    page, border = Page(chance.choice(ENDS)), BLOCK
    filler = "f" * 900
    while page.size < 2 * BLOCK + 3000:
        if border - 4000 < page.size < border + 2000:
            near(page, chance)
        else:
            border += BLOCK if page.size > border else 0
            page.good(a_row(chance, Dept=filler))
    return page.odd("sizes", f"borders {number}.csv")


BREAKS = ["\r\n", "\n", "\r", '"', 'a"\r\n"b', "\r\r\n\n", ""]


def near(page: Page, chance: random.Random) -> None:
    """Write what a border could spoil; a quoted record comes last, where every open quote before it ends."""
    cell, rule = chance.choice([b'5"', b'"a"b', b'"', b'"open']), (None, "quote")
    if chance.random() < 0.3:
        cell, rule = chance.choice([b"\xff", b"\0"]), ("Month", "encoding")
    page.bad(with_cell(chance, "Month", cell), rule)
    page.raw(b"")
    row = a_row(chance, Dept=chance.choice(BREAKS) * chance.randint(1, 9) + "é")
    page.good(row, quoted(row))


KEYS = [
    "a b.csv",
    "a+b.csv",
    "a%20b.csv",
    "%.csv",
    "é.csv",
    "日本/語.csv",
    "😀.csv",
    "_x/y.csv",
    ".hidden.csv",
    "x=1/y&z.csv",
]

KEYS += [
    "q?.csv",
    "#1.csv",
    "a;b,c.csv",
    "it's.csv",
    "(a) [b] {c}.csv",
    "1/2/3/4/5/6/7/8.csv",
    "A.CSV",
    "a.Csv",
    "a..b.csv",
]

KEYS += ["x.csv.csv", "a.parquet.csv", "~$.csv", "@:!.csv", "x" * 240 + ".csv", ".csv", "e\u0301.csv"]


def keys(chance: random.Random) -> Iterator[Odd]:
    for name in KEYS:
        yield some(Page(), chance).odd("keys", name)


def of_kinds(family: str, kinds: Iterable[tuple[str, Kind]], dataset: str = "") -> Iterator[Odd]:
    """Yield the files of datasets with a contract of their own: each its own, unless `dataset` is that of all."""
    for name, kind in kinds:
        of, columns = dataset or name, tuple(kind.columns)
        yield Odd(family, f"{name} {kind.name}", kind.content, kind.rows, kind.rejects, kind.refused, of, columns)


def dialects(_: random.Random) -> Iterator[Odd]:
    yield from of_kinds("dialects", DIALECTS.items())


def matches(_: random.Random) -> Iterator[Odd]:
    yield from of_kinds("matches", MATCHES.items())


def cells(chance: random.Random) -> Iterator[Odd]:
    yield from of_kinds("cells", typed(chance), "cells")


FAMILIES = (encoding, line_ends, quotes, field_counts, headers, values, sizes, keys, dialects, matches, cells)


def corpus(seed: int = 1) -> list[Odd]:
    """Return all files; the same for the same seed."""
    return [odd for number, family in enumerate(FAMILIES) for odd in family(random.Random(seed * 100 + number))]


FILES = corpus()
