"""The first records of a file, and how it is written: encoding, delimiter, quote."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

from pipeline.reader.blocks import cut
from pipeline.reader.explain import split_record
from pipeline.reader.source import Limits, text_chunks
from pipeline.reader.values import NUMBER
from storage.console import SettingError

RECORDS = 10_000  # that are looked at
HEAD = 1 << 20  # bytes that are looked at for the dialect
SAMPLE = 1 << 26  # bytes of records at most

_DELIMITERS = ",;\t|"
_RESERVED = ("_line", "_source_key")


@dataclass
class Sample:
    """The first records of a file as text, how they are written, and what there is to say about that."""

    dialect: dict[str, str]
    encoding: str = "utf-8"
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_sample(stream: BinaryIO, file: str) -> Sample:
    """Read a file's first records, having found out how it is written; `Refused` if it is no text."""
    sample = Sample({"delimiter": ","}, _encoding(stream))
    sample.dialect = _dialect(_head(stream, file, sample.encoding), sample.notes)
    records = _decodable(_records(stream, file, sample), stream, file, sample)
    texts = [[cell.decode() for cell in record] for record in records]
    sample.header = texts[0] if texts else []
    sample.rows = [row for row in texts[1:] if len(row) == len(sample.header)]
    if odd := len(texts) - 1 - len(sample.rows):
        fields = f"{len(sample.header)} fields, as the header"
        sample.notes.append(f"{odd:,} of {len(texts) - 1:,} records have not {fields}: they will be rejected")
    if len(texts) > RECORDS:
        sample.notes.append(f"only the first {RECORDS:,} records were looked at: check that the others are like them")
    return sample


def _decodable(records: list[list[bytes]], stream: BinaryIO, file: str, sample: Sample) -> list[list[bytes]]:
    """Tell a file in UTF-8 with some wrong bytes from one in an older encoding, which is read again in that."""
    good = [record for record in records if _decodes(record, "utf-8")]
    if len(good) == len(records):
        return records
    bad, foreign = len(records) - len(good), sum(not b"".join(record).isascii() for record in good)
    if foreign > bad:
        sample.notes.append(f"encoding: it is UTF-8, but not in {bad:,} records: they will be rejected")
        return good
    sample.encoding = _single_byte(stream, file)
    sample.notes.append(f"encoding: it is not UTF-8; read as {sample.encoding}: do all letters look right?")
    return _records(stream, file, sample)


def _encoding(stream: BinaryIO) -> str:
    stream.seek(0)
    return "utf-16" if stream.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8"


def _single_byte(stream: BinaryIO, file: str) -> str:
    """Tell cp1252 from what it does not have: five bytes that only latin-1 has, as control characters."""
    chunks = _texts(stream, file, "utf-8")
    return "cp1252" if all(_decodes([chunk], "cp1252") for chunk in islice(chunks, SAMPLE // HEAD)) else "latin-1"


def _decodes(cells: list[bytes], encoding: str) -> bool:
    try:
        for cell in cells:
            cell.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _texts(stream: BinaryIO, file: str, encoding: str) -> Iterator[bytes]:
    stream.seek(0)
    return text_chunks(stream, file, encoding, HEAD, Limits())


def _head(stream: BinaryIO, file: str, encoding: str) -> bytes:
    """Give the first lines, whole ones if the file goes on."""
    head = b""
    for chunk in _texts(stream, file, encoding):
        head += chunk
        if len(head) >= HEAD:
            return head[: head.rfind(b"\n") + 1] or head
    return head


def _records(stream: BinaryIO, file: str, sample: Sample) -> list[list[bytes]]:
    """Cut the first records as the reader does; what it would reject for its quotes is noted."""
    delimiter, quote = sample.dialect["delimiter"], sample.dialect.get("quoteChar", '"')
    found: list[list[bytes]] = []
    size = 0
    for block in cut(_texts(stream, file, sample.encoding), delimiter, quote, Limits().record):
        for fault in block.faults[:1]:
            sample.notes.append(f"line {fault.line}: its quotes are not in order: it will be rejected")
        spans = islice(zip(block.starts, block.stops, strict=True), RECORDS + 1 - len(found))
        found += [split_record(block.data[start:stop], delimiter, quote) for start, stop in spans]
        size += len(block.data)
        if len(found) > RECORDS or size > SAMPLE:
            break
    return found


def _dialect(head: bytes, notes: list[str]) -> dict[str, str]:
    quote = '"'
    if b'"' not in head and re.search(rb"(?:^|[,;\t|])'[^'\r\n]*'(?:[,;\t|\r\n]|\Z)", head, re.MULTILINE):
        quote = "'"
        notes.append("quoteChar: values stand in '…', so ' is taken for the quote: is it part of them?")
    scores = {delimiter: _evenness(head, delimiter, quote) for delimiter in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda delimiter: scores[delimiter])
    even = [delimiter for delimiter in _DELIMITERS if delimiter != best and scores[delimiter][0] > 0.9]
    notes += [f"delimiter: {other!r} cuts the lines evenly too; taken: {best!r}" for other in even]
    return {"delimiter": best} | ({"quoteChar": quote} if quote != '"' else {})


def _evenness(head: bytes, delimiter: str, quote: str) -> tuple[float, int]:
    """Give the share of records with as many fields as the header has, and how many those are."""
    counts: list[int] = []
    for block in cut([head], delimiter, quote, Limits().record):
        spans = islice(zip(block.starts, block.stops, strict=True), 200 - len(counts))
        counts += [len(split_record(block.data[start:stop], delimiter, quote)) for start, stop in spans]
    if not counts or counts[0] == 1:
        return (0, 1)
    return (counts.count(counts[0]) / len(counts), counts[0])


def check_header(sample: Sample, file: str) -> None:
    """Note what is odd about the header; `SettingError` where no contract can name its columns."""
    names = sample.header
    if not names:
        raise SettingError(f"{file}: it is empty: expected a header and some records")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingError(f"{file}: the header has {', '.join(map(repr, twice))} more than once: rename the others")
    if "" in names:
        raise SettingError(f"{file}: column {names.index('') + 1} has no name in the header: give it one")
    sample.notes += [
        f"column {name}: every load adds one of this name: rename it" for name in names if name in _RESERVED
    ]
    if all(re.fullmatch(NUMBER, name.strip(" \t")) for name in names):
        sample.notes.append("header: the first line looks like data, but the pipeline takes it for the names")
