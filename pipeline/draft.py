"""A first contract from a file of the user's own: what can be told by looking at it, and notes on what cannot."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa

from pipeline.contract import FieldSpec
from pipeline.reader.blocks import cut
from pipeline.reader.explain import split_record
from pipeline.reader.masks import check_column
from pipeline.reader.problem import Refused
from pipeline.reader.source import Limits, text_chunks
from pipeline.reader.values import INTEGER
from storage.console import SettingError

NAME = r"[a-z0-9][a-z0-9_-]*"
RECORDS = 10_000  # that are looked at
HEAD = 1 << 20  # bytes that are looked at for the dialect
SAMPLE = 1 << 26  # bytes of records at most

_DELIMITERS = ",;\t|"
_MISSING = ("", "NA", "N/A", "n/a", "na", "#N/A", "NULL", "null", "None", "none", "NaN", "nan", "-", "--", "?")
_NUMBERS = [(".", None), (",", None), (",", "."), (".", ","), (",", " "), (".", " "), (".", "'"), (",", "'")]
_DATES = ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d"]
_TIMES = [f"{day}{between}{time}" for day in _DATES for between in (" ", "T") for time in ("%H:%M:%S", "%H:%M")]
_RESERVED = ("_line", "_source_key")


@dataclass
class _Sample:
    """The first records of a file as text, how they are written, and what there is to say about that."""

    dialect: dict[str, str]
    encoding: str = "utf-8"
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def draft(stream: BinaryIO, file: str, name: str) -> tuple[dict[str, Any], list[str]]:
    """Give a contract (a Data Package v2 resource) that fits the records looked at, and what was not sure.

    Args:
        stream: the file; it can seek.
        file: its name, which tells how it is compressed.
        name: what the dataset will be called.

    Raises:
        SettingError: no contract can be drafted from this file.
    """
    if not re.fullmatch(NAME, name):
        raise SettingError(f"--name: {name!r} cannot be a dataset's: expected a-z, 0-9, - and _, such as my-sales")
    try:
        sample = _read(stream, file)
    except Refused as refusal:
        raise SettingError(f"{file}: {refusal.problem}") from None
    _check_header(sample, file)
    columns = [[row[place] for row in sample.rows] for place in range(len(sample.header))]
    specs = [_describe(column, title, sample) for title, column in zip(sample.header, columns, strict=True)]
    missing = _missing(columns, specs, sample)
    for spec, column in zip(specs, columns, strict=True):
        if column and not any(_cell(text, spec) in missing for text in column):
            spec["constraints"] = {"required": True}
    schema: dict[str, Any] = {"fieldsMatch": "equal", "fields": specs}
    if missing != [""]:
        schema["missingValues"] = missing
    return _resource(file, name, sample, schema), list(dict.fromkeys(sample.notes))


def dataset_name(file: str) -> str:
    """Make a dataset's name of a file's: `My Sales.csv.gz` to `my-sales`."""
    stem = re.sub(r"\.csv(\.gz|\.zst)?\Z|\.\w+\Z", "", file, flags=re.IGNORECASE).lower()
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_") or "dataset"


def to_text(contract: dict[str, Any]) -> str:
    """Write a contract as the shipped ones are written: one line for each field."""
    fields = contract["schema"]["fields"]
    lines = ",\n".join("      " + _json(one).replace("{", "{ ", 1)[:-1] + " }" for one in fields)
    text = json.dumps({**contract, "schema": {**contract["schema"], "fields": []}}, indent=2, ensure_ascii=False)
    return text.replace('"fields": []', f'"fields": [\n{lines}\n    ]', 1)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _resource(file: str, name: str, sample: _Sample, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://datapackage.org/profiles/2.0/dataresource.json",
        "name": name,
        "path": file,
        "encoding": sample.encoding,
        "dialect": sample.dialect,
        "schema": schema,
    }


# How the file is written.


def _read(stream: BinaryIO, file: str) -> _Sample:
    sample = _Sample({"delimiter": ","}, _encoding(stream))
    sample.dialect = _dialect(_head(stream, file, sample.encoding), sample.notes)
    records = _records(stream, file, sample)
    records = _decodable(records, stream, file, sample)
    texts = [[cell.decode() for cell in record] for record in records]
    sample.header = texts[0] if texts else []
    sample.rows = [row for row in texts[1:] if len(row) == len(sample.header)]
    if odd := len(texts) - 1 - len(sample.rows):
        fields = f"{len(sample.header)} fields, as the header"
        sample.notes.append(f"{odd:,} of {len(texts) - 1:,} records have not {fields}: they will be rejected")
    if len(texts) > RECORDS:
        sample.notes.append(f"only the first {RECORDS:,} records were looked at: check that the others are like them")
    return sample


def _decodable(records: list[list[bytes]], stream: BinaryIO, file: str, sample: _Sample) -> list[list[bytes]]:
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


def _records(stream: BinaryIO, file: str, sample: _Sample) -> list[list[bytes]]:
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


def _check_header(sample: _Sample, file: str) -> None:
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
    if all(_fits([name], FieldSpec(name="", type="number")) for name in names):
        sample.notes.append("header: the first line looks like data, but the pipeline takes it for the names")


# What a column holds.


def _describe(column: list[str], name: str, sample: _Sample) -> dict[str, Any]:
    """Give a field for a column: the first type that takes all its values."""
    values = [text.strip(" \t") for text in column]
    values = list(dict.fromkeys(value for value in values if value not in _MISSING))

    def note(text: str) -> None:
        sample.notes.append(f"column {name}: {text}")

    if not values:
        note("it has no value: string")
    for guess in (_whole_number, _boolean, _number, _date, _datetime) if values else ():
        if found := guess(values, sample, note):
            return {"name": name, **found}
    _say_nearly(values, note)
    return {"name": name, "type": "string"}


_Note = Callable[[str], None]


def _fits(values: list[str], spec: FieldSpec) -> bool:
    first = check_column(pa.array(values[:1]), spec, frozenset())[1]
    return not first[0].as_py() and not any(check_column(pa.array(values), spec, frozenset())[1].to_pylist())


def _of(type_: str, **properties: Any) -> FieldSpec:
    return FieldSpec(name="", type=type_, **properties)  # type: ignore[arg-type]


def _whole_number(values: list[str], _: _Sample, note: _Note) -> dict[str, Any] | None:
    if not all(re.fullmatch(INTEGER, value) for value in values):
        return None
    if padded := next((value for value in values if re.match(r"[+-]?0[0-9]", value)), None):
        note(f"{padded} begins with a zero, as codes do: string")
        return {"type": "string"}
    if not _fits(values, _of("integer")):
        note("some numbers are beyond 64 bits: string")
        return {"type": "string"}
    if set(values) <= {"0", "1"}:
        note("0 and 1 alone: integer, or boolean?")
    elif _fits(values, _of("date", format="%Y%m%d")):
        note(f'integer, or dates like {values[0]} (type "date", format "%Y%m%d")?')
    return {"type": "integer"}


def _boolean(values: list[str], _: _Sample, note: _Note) -> dict[str, Any] | None:
    if {value.lower() for value in values} <= {"yes", "no", "y", "n"}:
        note("yes and no are text here; true and false would be boolean: string")
    return {"type": "boolean"} if _fits(values, _of("boolean")) else None


def _number(values: list[str], sample: _Sample, note: _Note) -> dict[str, Any] | None:
    able = [pair for pair in _NUMBERS if _is_number(values, *pair)]
    if not able:
        return None
    point, group = able[0]
    if (",", None) in able and (".", ",") in able:
        point, group = (",", None) if sample.dialect["delimiter"] == ";" else (".", ",")
        note(f"is {values[0]} a fraction, or thousands? Taken: decimalChar {point!r}")
    elif (point, group) == (".", None) and (",", ".") in able and any("." in value for value in values):
        note(f"is {values[0]} a fraction, or thousands? Taken: decimalChar {point!r}")
    shape = {"decimalChar": point} if point != "." else {}
    return {"type": "number", **shape, **({"groupChar": group} if group else {})}


def _is_number(values: list[str], point: str, group: str | None) -> bool:
    """Judge as the reader does, but have groups of three digits: `1,2` is no number with groups."""
    mark = re.escape(group) if group else ""
    threes = rf"[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:{re.escape(point)}[0-9]*)?"
    grouped = [value for value in values if group and group in value]
    if group and not (grouped and all(re.fullmatch(threes, value) for value in grouped)):
        return False
    return _fits(values, _of("number", decimalChar=point, groupChar=group))


def _date(values: list[str], _: _Sample, note: _Note) -> dict[str, Any] | None:
    return _dated("date", _DATES, values, note)


def _datetime(values: list[str], _: _Sample, note: _Note) -> dict[str, Any] | None:
    found = _dated("datetime", _TIMES, values, note)
    if found and not any(re.search(r"(?:Z|[+-][0-9]{2}:[0-9]{2})\Z", value) for value in values):
        note("its times have no zone: read as UTC")
    return found


def _dated(type_: str, formats: list[str], values: list[str], note: _Note) -> dict[str, Any] | None:
    if _fits(values, _of(type_)):
        return {"type": type_}
    able = [one for one in formats if _fits(values, _of(type_, format=one))]
    if len(able) > 1:
        note(f"{values[0]} may be day or month first; taken: {able[0]}")
    return {"type": type_, "format": able[0]} if able else None


def _say_nearly(values: list[str], note: _Note) -> None:
    """Tell of a type that most values have: then the others may be the file's mistakes."""
    for type_ in ("integer", "number", "date", "datetime", "boolean"):
        bad = check_column(pa.array(values, pa.string()), _of(type_), frozenset())[1].to_pylist()
        if 0 < sum(bad) <= len(values) / 10:
            note(
                f"{sum(bad):,} of {len(values):,} different values are no {type_} ({values[bad.index(True)]!r}): string"
            )
            return


# What counts as null.


def _cell(text: str, spec: dict[str, Any]) -> str:
    return text if spec["type"] == "string" else text.strip(" \t")


def _missing(columns: list[list[str]], specs: list[dict[str, Any]], sample: _Sample) -> list[str]:
    """Give the words for null that the typed columns need, and say which text they make null as well."""
    typed = [column for column, spec in zip(columns, specs, strict=True) if spec["type"] != "string"]
    seen = {text.strip(" \t") for column in typed for text in column}
    missing = [word for word in _MISSING if word == "" or word in seen]
    for column, spec in zip(columns, specs, strict=True):
        if spec["type"] == "string" and (lost := [word for word in missing[1:] if word in column]):
            sample.notes.append(f"column {spec['name']}: {', '.join(lost)} is null here too, as in every column")
    return missing
