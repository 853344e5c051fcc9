"""Infer how a file is written: its encoding, delimiter, quote and header."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

from common.errors import SettingError
from pipeline.model.dialect import Dialect
from pipeline.readers.base import Limits
from pipeline.readers.cells.patterns import NUMBER
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
    """Dialect, encoding and header of a file, with notes for a person."""

    dialect: dict[str, str]
    encoding: str = "utf-8"
    header: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Cut:
    """The first records of a file, split at one delimiter: the number of fields of each, and its first line."""

    delimiter: str
    counts: list[int]
    lines: list[int]

    @property
    def width(self) -> int:
        """Return the most frequent number of fields above one; in a tie, that of the header."""
        counts = Counter(count for count in self.counts if count > 1)
        return max(counts, key=lambda count: (counts[count], count == self.counts[0]), default=1)

    @property
    def share(self) -> float:
        """Return the share of the records that have this width."""
        return self.counts.count(self.width) / len(self.counts) if self.width > 1 else 0.0


def read_sample(stream: BinaryIO, file: str) -> Sample:
    """Infer how a file is written.

    Raises:
        Refused: the file is not text.
        SettingError: the pipeline cannot read such a file.
    """
    sample = Sample({"delimiter": ","}, _mark(stream))
    sample.encoding = _encoding(stream, file, sample) if sample.encoding == "utf-8" else sample.encoding
    head = _head(stream, file, sample.encoding)
    if mark := re.match(rb'"?sep=.?"?[\r\n]', head, re.IGNORECASE):
        line = mark[0].decode().strip()
        raise SettingError(f"{file}: line 1 is {line}, for Excel alone: take it out of the file; the contract says it")
    quote = _quote(head, sample.notes)
    best = _best(head, quote, file, sample.notes)
    sample.dialect = {"delimiter": best} | ({"quoteChar": quote} if quote != '"' else {})
    sample.header = _header(head, best, quote, file)
    if all(re.fullmatch(NUMBER, name.strip(" \t")) for name in sample.header):
        sample.notes.append("header: the first line looks like data, but the pipeline takes it for the names")
    if len(sample.header) > 2 and sum(map(bool, sample.header)) <= 1:
        sample.notes.append(
            "header: only one of its columns has a name: if the line is a title, take it out of the file"
        )
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
    return text_chunks(stream, file, encoding, HEAD, Limits())


def _head(stream: BinaryIO, file: str, encoding: str) -> bytes:
    """Return the first lines; the last one is complete unless the file ends there."""
    head = b""
    for chunk in _texts(stream, file, encoding):
        head += chunk
        if len(head) >= HEAD:
            return head[: head.rfind(b"\n") + 1] or head
    return head


def _quote(head: bytes, notes: list[str]) -> str:
    if b'"' in head or not re.search(rb"(?:^|[,;\t|])'[^'\r\n]*'(?:[,;\t|\r\n]|\Z)", head, re.MULTILINE):
        return '"'
    notes.append("quoteChar: values stand in '…', so ' is taken for the quote: is it part of them?")
    return "'"


def _best(head: bytes, quote: str, file: str, notes: list[str]) -> str:
    """Return the delimiter that cuts the records most evenly; `SettingError` where lines stand above the header."""
    cuts = [_cut(head, delimiter, quote) for delimiter in _DELIMITERS]
    # A header of the same width tells more than an even cut: a decimal comma in each record cuts evenly too.
    best = max(cuts, key=lambda one: (one.counts[0] == one.width and one.share > 0.5, one.share, one.width))
    if best.width == 1 or best.counts[0] == 1:
        if best.width > 1 and not (best.width == 2 and _all_decimal(head, best)):
            _check_above(best, file)
        return next((one.delimiter for one in cuts if one.width == 1), best.delimiter)  # it is one column
    _check_above(best, file)
    even = [one.delimiter for one in cuts if one is not best and one.share > 0.9 and one.counts[0] == one.width]
    notes += [f"delimiter: {other!r} cuts the lines evenly too; taken: {best.delimiter!r}" for other in even]
    return best.delimiter


def _cut(head: bytes, delimiter: str, quote: str) -> _Cut:
    dialect = Dialect(delimiter=delimiter, quoteChar=quote)
    counts, lines = list[int](), list[int]()
    for block in cut([head], dialect, Limits().record):
        spans = islice(zip(block.starts, block.stops, block.lines, strict=True), RECORDS - len(counts))
        for start, stop, line in spans:
            counts.append(len(split_record(block.data[start:stop], dialect)))
            lines.append(int(line))
    return _Cut(delimiter, counts or [1], lines or [1])


def _all_decimal(head: bytes, found: _Cut) -> bool:
    """Return whether the records are one column of decimal commas, not two columns."""
    return found.delimiter == "," and all(_DECIMAL_COMMA.fullmatch(line) for line in head.split()[1:])


def _check_above(found: _Cut, file: str) -> None:
    """Raise `SettingError` if the first record is a title above the header."""
    width = found.width
    place = found.counts.index(width)
    rest = found.counts[place:]
    if 2 * found.counts[0] <= width and len(rest) > 1 and rest.count(width) > len(rest) / 2:
        cells = f"{found.counts[0]} cell" + ("s" if found.counts[0] > 1 else "")
        header = f"line {found.lines[place]} has {width}, as most records after it"
        raise SettingError(
            f"{file}: line {found.lines[0]} has {cells} and {header}: lines above the header are not supported yet, so "
            f"take them out of the file (or, if it has fewer columns, quote the values that have a {found.delimiter!r})"
        )


def _header(head: bytes, delimiter: str, quote: str, file: str) -> list[str]:
    dialect = Dialect(delimiter=delimiter, quoteChar=quote)
    for block in cut([head], dialect, Limits().record):
        faults = [fault for fault in block.faults if not len(block.lines) or fault.line < block.lines[0]]
        if faults:
            raise SettingError(f"{file}: line {faults[0].line}: the header is no record: {FAULTS[faults[0].rule]}")
        if len(block.starts):
            cells = split_record(block.data[block.starts[0] : block.stops[0]], dialect)
            try:
                return [cell.decode() for cell in cells]
            except UnicodeDecodeError:
                raise SettingError(f"{file}: the header is not UTF-8: save the file as UTF-8") from None
    raise SettingError(f"{file}: it is empty: expected a header and some records")
