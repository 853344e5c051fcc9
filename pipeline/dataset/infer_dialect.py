"""Infer how a file is written: its encoding, delimiter, quote and header."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO

from common.errors import SettingError
from pipeline.dataset.infer_rows import Record, has_units, header_place
from pipeline.model.dialect import Dialect
from pipeline.readers.base import LIMITS
from pipeline.readers.cells.patterns import NUMBER
from pipeline.readers.csv.blocks import Fault
from pipeline.readers.csv.explain import FAULTS
from pipeline.readers.csv.record import split_record
from pipeline.readers.csv.split import cut
from pipeline.readers.decode import text_chunks

HEAD = 1 << 20  # bytes, of the start of a file, to infer the dialect from
WHOLE = 256 << 20  # bytes of text that are read at most
RECORDS = 200  # of the start of a file, to infer the dialect from

_DELIMITERS = ",;\t|"
_NOT_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_DECIMAL_COMMA = re.compile(rb"[+-]?[0-9]+,[0-9]+")


@dataclass
class Sample:
    """Dialect, encoding (empty where a format has its own) and header of a file, with notes for a person."""

    dialect: dict[str, Any]
    encoding: str = "utf-8"
    header: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    types: dict[str, dict[str, Any]] = field(default_factory=dict)  # of columns whose type the file itself tells


@dataclass(frozen=True)
class _Cut:
    """The first records of a file, split at one delimiter, and which of them is the header."""

    delimiter: str
    records: list[Record]
    place: int
    fault: Fault | None  # in the first line that is not empty

    @property
    def width(self) -> int:
        """Return the most frequent number of fields above one; in a tie, that of the header."""
        counts = Counter(len(record.cells) for record in self.records if len(record.cells) > 1)
        return max(counts, key=lambda count: (counts[count], count == len(self.header.cells)), default=1)

    @property
    def share(self) -> float:
        """Return the share of the records from the header on that have this width."""
        counts = [len(record.cells) for record in self.records[self.place :]]
        return counts.count(self.width) / len(counts) if self.width > 1 else 0.0

    @property
    def is_even(self) -> bool:
        """Return whether the header has as many fields as most records, and is a record at all."""
        return self.fault is None and len(self.header.cells) == self.width and self.share > 0.5

    @property
    def header(self) -> Record:
        """The record that has the names."""
        return self.records[self.place]


def read_sample(stream: BinaryIO, file: str) -> Sample:
    """Infer how a file is written.

    Raises:
        Refused: the file is not text.
        SettingError: the pipeline cannot read such a file.
    """
    sample = Sample({}, _mark(stream))
    sample.encoding = _encoding(stream, file, sample) if sample.encoding == "utf-8" else sample.encoding
    head = _head(stream, file, sample.encoding)
    if mark := re.match(rb'"?sep=.?"?(?=[\r\n])', head, re.IGNORECASE):  # for Excel alone
        head = head[mark.end() :]
    form = _form(head, sample.notes)
    best = _best(head, form, sample.notes)
    if best.fault:
        raise SettingError(f"{file}: line {best.fault.line}: the header is no record: {FAULTS[best.fault.rule]}")
    if not head.strip():
        raise SettingError(f"{file}: it is empty: expected a header and some records")
    sample.dialect = {"delimiter": best.delimiter, **form.model_dump(exclude_unset=True)}
    add_header(sample, best.records, best.place, titled=bool(best.place or mark))
    if "\ufffd" in "".join(sample.header) and "\ufffd".encode() not in head:
        raise SettingError("the header is not UTF-8: save the file as UTF-8")
    if all(re.fullmatch(NUMBER, name.strip(" \t")) for name in sample.header):
        sample.notes.append("header: the first line looks like data, but the pipeline takes it for the names")
    return sample


def _mark(stream: BinaryIO) -> str:
    stream.seek(0)
    begin = stream.read(4)
    if begin in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    return "utf-16" if begin[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"


def _encoding(stream: BinaryIO, file: str, sample: Sample) -> str:
    """Return the encoding: UTF-8, even with some wrong bytes, or an older one."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    letters = wrong = size = 0
    only_latin1 = False
    for chunk in _texts(stream, file, "utf-8"):
        size += len(chunk)
        if not chunk.isascii():
            text = decoder.decode(chunk)
            bad = text.count("\ufffd") - chunk.count("\ufffd".encode())
            letters += sum(map(len, re.findall(r"[^\x00-\x7f]+", text))) - bad
            wrong += bad
            only_latin1 = only_latin1 or bool(_NOT_CP1252.search(chunk))
        if size > WHOLE:
            break
    if letters >= wrong:
        return "utf-8"
    encoding = "latin-1" if only_latin1 else "cp1252"  # which lacks five bytes: control characters of latin-1
    sample.notes.append(f"encoding: it is not UTF-8; read as {encoding}: do all letters look right?")
    return encoding


def _texts(stream: BinaryIO, file: str, encoding: str) -> Iterator[bytes]:
    stream.seek(0)
    return text_chunks(stream, file, encoding, HEAD, LIMITS)


def _head(stream: BinaryIO, file: str, encoding: str) -> bytes:
    """Return the first lines; the last one is complete unless the file ends there."""
    head = b""
    for chunk in _texts(stream, file, encoding):
        head += chunk
        if len(head) >= HEAD:
            return head[: head.rfind(b"\n") + 1] or head
    return head


def _form(head: bytes, notes: list[str]) -> Dialect:
    """Return the properties of a dialect that concern quotes and comments, those that are not the default."""
    form: dict[str, Any] = {}
    if _has_comments(head):
        form["commentChar"] = "#"
        notes.append('commentChar: lines that begin with "#" are taken for comments: is none of them a record?')
    if b'"' not in head and re.search(rb"(?:^|[,;\t|])'[^'\r\n]*'(?:[,;\t|\r\n]|\Z)", head, re.MULTILINE):
        form["quoteChar"] = "'"
        notes.append("quoteChar: values stand in '…', so ' is taken for the quote: is it part of them?")
    quote = form.get("quoteChar", '"').encode()
    if re.search(rb"\\" + quote + rb"(?![,;\t|\r\n]|\Z)", head):
        form |= {"escapeChar": "\\", "doubleQuote": False}
        notes.append("escapeChar: a backslash is taken for what makes a quote part of a value")
    if re.search(rb"(?:^|[,;\t|])\\N(?:[,;\t|\r\n]|\Z)", head, re.MULTILINE):
        form["nullSequence"] = "\\N"
    if re.search(rb"[,;\t|] +" + quote + rb"[^\r\n]*" + quote + rb" *[,;\t|\r\n]", head):
        form["skipInitialSpace"] = True
    return Dialect.model_validate(form)


def _has_comments(head: bytes) -> bool:
    """Return whether the lines that begin with "#" are comments: not a header `#id,name`, nor records `#1,…`."""
    lines = [line for line in head.splitlines()[:RECORDS] if line.strip()]
    marked = [line.startswith(b"#") for line in lines]
    if not any(marked) or all(marked):
        return False
    if marked.index(False) == 1 and not any(marked[1:]):  # the first line alone
        counts = [max(line.count(mark) for mark in map(str.encode, _DELIMITERS)) for line in lines[:2]]
        return counts[0] != counts[1] or not counts[0]
    return 2 * sum(marked) < len(lines) or marked.index(False) > 1


def _best(head: bytes, form: Dialect, notes: list[str]) -> _Cut:
    """Return the cut at the delimiter that cuts the records most evenly."""
    cuts = [_cut(head, delimiter, form) for delimiter in _DELIMITERS]
    # A header of the same width tells more than an even cut: a decimal comma in each record cuts evenly too.
    best = max(cuts, key=lambda one: (one.is_even and not one.place, one.is_even, one.share, one.width))
    single = next((one for one in cuts if one.width == 1), best)
    if best.width == 1 or (best.width == 2 and len(best.records[0].cells) == 1 and _all_decimal(head, best)):
        return single  # it is one column
    even = [one.delimiter for one in cuts if one is not best and one.share > 0.9 and one.place == best.place]
    notes += [f"delimiter: {other!r} cuts the lines evenly too; taken: {best.delimiter!r}" for other in even]
    return best


def _cut(head: bytes, delimiter: str, form: Dialect) -> _Cut:
    dialect = form.model_copy(update={"delimiter": delimiter})
    records = list[Record]()
    fault: Fault | None = None
    for block in cut([head], dialect, LIMITS.record):
        if not records and block.faults and not (len(block.lines) and block.lines[0] < block.faults[0].line):
            fault = fault or block.faults[0]
        for text, line in islice(zip(block.texts(), block.lines.tolist(), strict=True), RECORDS):
            records.append(Record(line, [cell.decode("utf-8", "replace") for cell in split_record(text, dialect)]))
    return _Cut(delimiter, records or [Record(1, [""])], header_place(records), fault)


def _all_decimal(head: bytes, found: _Cut) -> bool:
    """Return whether the records are one column of decimal commas, not two columns."""
    return found.delimiter == "," and all(_DECIMAL_COMMA.fullmatch(line) for line in head.split()[1:])


def add_header(sample: Sample, records: Sequence[Record], place: int, *, titled: bool) -> None:
    """Add the names of the columns, and the lines in which they stand if that is not the first record alone."""
    header = records[place]
    sample.header = list(header.cells)
    if titled:
        sample.dialect["headerRows"] = [header.line]
        sample.notes.append(f"headerRows: the header is line {header.line}; what is above it is no record")
    if has_units(records, place):
        below = records[place + 1]
        sample.dialect["headerRows"] = [header.line, below.line]
        sample.header = [" ".join(filter(None, pair)) for pair in zip(header.cells, below.cells, strict=True)]
        sample.notes.append(f"headerRows: line {below.line} has units, and is taken for a part of the header")
