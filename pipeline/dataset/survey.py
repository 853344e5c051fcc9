"""Collect the different values of each column of a file, block by block, in bounded memory."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from operator import attrgetter

import pyarrow as pa
import pyarrow.compute as pc

from common.messages import shortened
from pipeline.dataset.infer_dialect import WHOLE, Sample
from pipeline.dataset.infer_rows import BEFORE, LAST, Record
from pipeline.model.contract import Contract
from pipeline.model.data_resource import Match, Summary
from pipeline.model.dialect import Dialect
from pipeline.model.field import FieldSpec, headings
from pipeline.readers.base import Batch
from pipeline.readers.cells.parse import parse
from pipeline.readers.cells.validate import check_column

VALUES = 10_000  # different values that a column keeps: the first ones
ROOM = 2_000_000  # of all columns together
LATE = 100  # later values that a column keeps because they differ in type
REJECTS = 100_000  # rejected records that are counted by rule

MISSING = (
    *("", "NA", "N/A", "n/a", "na", "#N/A", "NULL", "null", "None", "none", "NaN", "nan", "-", "--", "?"),
    *map("*".__mul__, range(1, 13)),  # of weather stations, and where a value is hidden
)
_MISSING = pa.array(MISSING)
_CANONICAL = r"\A-?(?:0|[1-9][0-9]*)(?:[.,][0-9]+)?\z"

NUMBERS = [(".", None), (",", None), (",", "."), (".", ","), (",", " "), (".", " "), (".", "'"), (",", "'")]
DATES = [
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d"),
    *("%-d/%-m/%Y", "%-m/%-d/%Y", "%-d.%-m.%Y", "%-d-%-m-%Y", "%-m-%-d-%Y"),
    *("%-d/%-m/%y", "%-m/%-d/%y", "%-d.%-m.%y", "%-d-%-m-%y"),
    *("%-d %b %Y", "%-d %B %Y", "%-d-%b-%Y", "%-d-%b-%y", "%b %-d, %Y", "%B %-d, %Y"),
]
CLOCKS = ["%H:%M:%S", "%H:%M", "%-H:%M:%S", "%-H:%M", "%-I:%M:%S %p", "%-I:%M %p", "%-I:%M%p"]


def spec_of(type_: str, **properties: str | bool | None) -> FieldSpec:
    """Return a field of a type, to judge values by."""
    return FieldSpec(name="x", type=type_, **properties)  # type: ignore[arg-type]


@cache
def time_formats() -> list[str]:
    """Return the formats of a date with a time."""
    formats = [f"{day}{between}{clock}" for day in DATES for between in (" ", ", ") for clock in CLOCKS]
    return [*formats, *(f"{day}T{clock}" for day in DATES for clock in CLOCKS[:2])]


@cache
def candidates() -> list[FieldSpec]:
    """Return the types that a column may have, with their formats, from the most to the least special."""
    return [
        spec_of("integer"),
        *(spec_of("number", decimalChar=point, groupChar=group) for point, group in NUMBERS),
        *(spec_of("date", format=form) for form in ("default", *DATES)),
        *(spec_of("datetime", format=form) for form in ("default", *time_formats())),
        *(spec_of("time", format=form) for form in ("default", *CLOCKS)),
        spec_of("boolean"),
    ]


@dataclass
class Column:
    """The different values of a column without spaces around them, and the words for null among its cells.

    After `room` values, it keeps only values that do not fit the likely types, as evidence against a type.
    """

    name: str
    room: int
    values: dict[str, None] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    exact: set[str] = field(default_factory=set)  # the words for null without spaces around them
    late: int = 0
    _likely: list[FieldSpec] | None = None

    def add(self, cells: pa.Array) -> None:
        """Add the cells of a block; a null is a word for null by the dialect."""
        if cells.null_count:
            self.words.add("")
            self.exact.add("")
        different = pc.unique(cells.drop_null())
        self.exact.update(different.filter(pc.is_in(different, value_set=_MISSING)).to_pylist())
        bare = pc.unique(pc.ascii_trim(different, " \t"))
        null = pc.is_in(bare, value_set=_MISSING)
        self.words.update(bare.filter(null).to_pylist())
        values = bare.filter(pc.invert(null))
        if len(self.values) < self.room:
            for value in values.slice(0, self.room).to_pylist():
                self.values[shortened(value, 1000)] = None
            values = values.slice(self.room)
        if len(values) and self.late < LATE:
            self._add_late(values)

    def _add_late(self, values: pa.Array) -> None:
        """Keep later values that do not fit a type which most of the first values have."""
        if self._likely is None:
            known = pa.array(self.values)
            self._likely = [spec for spec in candidates() if _share_of_bad(known, spec) <= 1 / 4]
        odd = [values.filter(check_column(values, spec, frozenset())[1]) for spec in self._likely]
        if any(spec.type in ("integer", "number") for spec in self._likely):
            odd.append(values.filter(pc.invert(pc.match_substring_regex(values, pattern=_CANONICAL))))
        for some in odd:
            kept = [shortened(value, 1000) for value in some.slice(0, LATE).to_pylist()]
            self.late += sum(value not in self.values for value in kept)
            self.values.update(dict.fromkeys(kept))


def is_of(value: str, spec: FieldSpec) -> bool:
    """Return whether a value is of a type: of a few values that is known sooner than of a column."""
    try:
        return parse(value, spec, frozenset()) is not None
    except ValueError:
        return False


def mostly(values: Sequence[str], spec: FieldSpec) -> bool:
    """Return whether at least half of the first values are of a type."""
    few = values[:20]
    return 2 * sum(is_of(value, spec) for value in few) >= len(few)


def _share_of_bad(values: pa.Array, spec: FieldSpec) -> float:
    if not mostly(values.slice(0, 20).to_pylist(), spec):
        return 1.0
    return float(pc.mean(check_column(values, spec, frozenset())[1].cast(pa.int8())).as_py())


@dataclass
class Survey:
    """The columns of a file, the counts of its good and rejected records, and whether the whole file was read."""

    columns: list[Column]
    rows: int = 0
    whole: bool = True
    rejected: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)  # line, by rule
    tail: deque[Record] = field(default_factory=lambda: deque(maxlen=LAST + BEFORE))  # the last records

    def notes(self) -> Iterator[str]:
        """Yield notes on records that will be rejected, and on the part that was not read."""
        records = self.rows + self.rejected - self.by_rule["quote"] - self.by_rule["size"]
        if odd := self.by_rule["fields"]:
            width = f"{len(self.columns)} field" + ("s" if len(self.columns) > 1 else "")
            yield f"{odd:,} of {records:,} records do not have the header's {width}: they will be rejected"
        if odd := self.by_rule["encoding"]:
            yield f"encoding: it is UTF-8, but not in {odd:,} records: they will be rejected"
        if odd := self.by_rule["NUL"]:
            yield f"{odd:,} records have a NUL byte, the first in line {self.first['NUL']:,}: they will be rejected"
        for rule, what in (("quote", "its quotes are not in order"), ("size", "it does not end within 1 MiB")):
            if odd := self.by_rule[rule]:
                more = f" (and {odd - 1:,} more lines)" if odd > 1 else ""
                yield f"line {self.first[rule]}: {what}: it will be rejected{more}"
        if self.rejected > sum(self.by_rule.values()):
            yield f"of {self.rejected:,} records that will be rejected, the first {REJECTS:,} were looked at"
        if not self.whole:
            read = f"only the first {WHOLE >> 20} MiB, {self.rows:,} rows, were read"
            yield f"{read}: no field is required, and the types are those of these rows: check that the others fit"


def text_contract(sample: Sample, match: Match) -> Contract:
    """Return a contract by which every cell of a file is text."""
    fields = [FieldSpec(name=f"c{n}", header=list(heading)) for n, heading in enumerate(headings(sample.header))]  # type: ignore[arg-type]
    dialect = Dialect.model_validate(sample.dialect)
    missing = frozenset(filter(None, [dialect.nullSequence]))
    return Contract("draft", tuple(fields), match, sample.encoding, dialect, missing, Summary())


def survey(batches: Iterable[Batch], sample: Sample, split: Callable[[str], Sequence[str]] | None = None) -> Survey:
    """Collect what was read by a `text_contract`, up to `WHOLE` bytes of text.

    Args:
        batches: of the file.
        sample: of the file.
        split: returns the cells of a record that has another number of them, as its problem shows it.
    """
    room = max(100, min(VALUES, ROOM // max(1, len(sample.header))))
    found, size = Survey([Column(name, room) for name in sample.header]), 0
    for batch in batches:
        if size > WHOLE:
            found.whole = False
            break
        size += _text_size(batch.rows)
        _add(found, batch, split)
    return found


def _text_size(rows: pa.Table) -> int:
    """Estimate the bytes of rows in the file: there each cell has a delimiter, here an offset."""
    cells = rows.num_rows * (rows.num_columns - 1)
    size: int = rows.nbytes - 8 * rows.num_rows - 4 * cells + cells
    return size


def _add(found: Survey, batch: Batch, split: Callable[[str], Sequence[str]] | None) -> None:
    found.rows += batch.rows.num_rows
    if batch.rows.num_rows:
        for column, cells in zip(found.columns, batch.rows.columns, strict=False):  # the last column is `_line`
            column.add(cells.combine_chunks())
    last = _last_rows(batch)
    if batch.rejected:
        told: dict[int, str] = {}
        for problem in islice(batch.problems, max(0, REJECTS - found.rejected)):
            if split and problem.rule == "fields" and problem.raw is not None:
                last.append(Record(problem.line or 0, split(problem.raw)))
            if problem.rule in ("quote", "size"):
                last.append(Record(problem.line or 0, ()))
            rule = "NUL" if "NUL" in problem.message and problem.rule == "encoding" else problem.rule
            told.setdefault(problem.line or 0, rule)
        for line, rule in told.items():
            found.first.setdefault(rule, line)
        found.by_rule.update(told.values())
        found.rejected += batch.rejected
    found.tail.extend(sorted(last, key=attrgetter("line")))


def _last_rows(batch: Batch) -> list[Record]:
    """Return the last good records of a batch."""
    rows = batch.rows.slice(max(0, batch.rows.num_rows - LAST - BEFORE))
    *columns, lines = (column.to_pylist() for column in rows.columns)
    return [Record(line, [cell or "" for cell in cells]) for line, *cells in zip(lines, *columns, strict=True)]
