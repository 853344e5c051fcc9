"""One file of an exam with its expected outcome. Both are built together; no CSV is parsed here."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from simulator.datasets import COMPANYDATA, DATASETS, ORDERS

Row = dict[str, str]  # one record's cells by name, in the header's order
Number = int | float
Problem = tuple[int, str | None, str]  # line, column, rule
Verdict = tuple[str | None, str]  # column and rule: a problem before it has a line

ROWS = 24  # of an ordinary file


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a dataset that an exam compares: its texts, and the numbers that a summary adds up by group."""

    header: Sequence[str]
    group: str
    texts: Sequence[str]
    sums: Sequence[str]
    rows: str = "companydata"  # the data set of the simulator that has its rows


STOCK = ("article", "store", "supplier", "units")
PAYMENTS = (
    *("payment", "payee", "bill", "day paid", "time paid", "amount", "open", "year", "month"),
    *("term", "marks", "parts", "more", "place", "units"),
)
ORDINARY = ("companydata", "orders")  # datasets that any kind of fault may be put into

SHAPES = {
    "companydata": Shape(COMPANYDATA, "Dept", ("Month", "Dept", "Store"), ("Sold", "Returned", "Ordered")),
    "payments": Shape(PAYMENTS, "month", PAYMENTS[:-1], ("units",)),
    "stock": Shape(STOCK, "store", ("article", "store"), ("units",)),
    "orders": Shape(
        ORDERS, "country", ("order_id", "customer", "email", "country", "product"), ("quantity", "total"), "orders"
    ),
}
SHAPES |= dict.fromkeys(("exports", "headless"), SHAPES["companydata"])


@dataclass(frozen=True, slots=True)
class Kept:
    """Expected row: the line of its record, its group, a digest of its texts, and its numbers."""

    line: int
    group: str
    texts: str
    sums: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The expected outcome of a file."""

    status: Literal["loaded", "refused", "ignored"]
    rule: str = ""
    kept: Sequence[Kept] = ()
    rejected: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class File:
    """The versions of a file in the order of delivery, and the expected outcome of the last."""

    dataset: str
    name: str
    versions: Sequence[bytes]
    answer: Answer


@dataclass(frozen=True, slots=True)
class Draw:
    """The material of a file: good rows, a random generator, and the share of records that get a fault."""

    dataset: str
    rows: Sequence[Row]
    chance: Random
    share: float

    def picked(self) -> set[int]:
        """Draw the numbers of the rows that get a fault: at least one."""
        sure = self.chance.randrange(len(self.rows))
        return {number for number in range(len(self.rows)) if number == sure or self.chance.random() < self.share}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of case: the function that makes a file of it, and the datasets that have such files."""

    make: Callable[[Draw], File]
    datasets: Sequence[str] = ORDINARY


@dataclass
class Sheet:
    """Writes a file record by record, and records the expected outcome of each."""

    draw: Draw
    ends: Sequence[str] = ("\n",)
    data: bytearray = field(default_factory=bytearray)
    line: int = 1
    kept: list[Kept] = field(default_factory=list)
    rejected: list[Problem] = field(default_factory=list)

    def write(self, raw: str | bytes) -> None:
        """Write a line without an outcome, such as the header, and its line end."""
        text = raw.encode() if isinstance(raw, str) else raw
        self.data += text + self.draw.chance.choice(self.ends).encode()
        self.line += len(re.findall(rb"\r\n|\r|\n", text)) + 1

    def keep(self, row: Row, raw: str | None = None) -> None:
        """Write a record that must be kept; its text is `raw`, if given."""
        shape = SHAPES[self.draw.dataset]
        sums = tuple(float(row[name]) if "." in row[name] else int(row[name]) for name in shape.sums)
        texts = digest([row[name] or None for name in shape.texts])
        self.kept.append(Kept(self.line, row[shape.group], texts, sums))
        self.write(record(cells(row)) if raw is None else raw)

    def reject(self, raw: str | bytes, *problems: Verdict) -> None:
        """Write a record, or a physical line, that must be rejected."""
        self.rejected += [(self.line, column, rule) for column, rule in problems]
        self.write(raw)

    def file(self, name: str = ".csv", data: bytes | None = None) -> File:
        """Return the finished file; its bytes are `data`, if given (compressed, or in another encoding)."""
        answer = Answer("loaded", kept=self.kept, rejected=self.rejected)
        return File(self.draw.dataset, name, [bytes(self.data) if data is None else data], answer)


def good_rows(dataset: str, seed: int, number: int, rows: int = ROWS) -> list[Row]:
    """Return the rows of one good file."""
    if dataset == "stock":
        return _stock(Random(f"{seed}/{number}"), rows)
    data = DATASETS[SHAPES[dataset].rows](seed, rows, number)
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def _stock(chance: Random, rows: int) -> list[Row]:
    articles = [f"A-{number:04}" for number in chance.sample(range(10_000), rows)]
    return [
        {"article": article, "store": chance.choice("NS"), "supplier": "", "units": str(chance.randrange(500))}
        for article in articles
    ]


def sheet(draw: Draw, ends: Sequence[str] = ("\n",)) -> Sheet:
    """Start a file with the header of its contract."""
    begun = Sheet(draw, ends)
    begun.write(record(SHAPES[draw.dataset].header))
    return begun


def good(draw: Draw, ends: Sequence[str] = ("\n",)) -> Sheet:
    """Write a file without a fault."""
    whole = sheet(draw, ends)
    for row in draw.rows:
        whole.keep(row)
    return whole


def cells(row: Row) -> Row:
    """Return a row's cells as CSV text, quoted where necessary."""
    return {name: quoted(text) if re.search(r'[",\r\n]', text) else text for name, text in row.items()}


def quoted(text: str) -> str:
    """Put a cell in quotes."""
    return '"' + text.replace('"', '""') + '"'


def record(written: Row | Iterable[str]) -> str:
    """Join cells to a record."""
    return ",".join(written.values() if isinstance(written, dict) else written)


def digest(texts: Sequence[object]) -> str:
    """Return a short hash of texts, where None is a missing value."""
    return hashlib.sha256(json.dumps(texts, default=str).encode()).hexdigest()[:16]
