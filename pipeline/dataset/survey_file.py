"""Survey a file of any format that is read: how it is written, and what is in its columns."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import SettingError
from common.messages import listed, shortened
from pipeline.dataset.infer_dialect import WHOLE, Sample, add_header, read_sample
from pipeline.dataset.infer_rows import Record, count_footers, header_place
from pipeline.dataset.survey import Survey, survey, text_contract
from pipeline.model.dialect import Dialect
from pipeline.model.field import FieldSpec
from pipeline.readers.base import LIMITS, Batch
from pipeline.readers.csv.header import join_rows
from pipeline.readers.csv.read import read_csv
from pipeline.readers.csv.record import split_record
from pipeline.readers.decode import text_chunks
from pipeline.readers.formats import READERS
from pipeline.readers.jsonl.lines import cut_lines
from pipeline.readers.jsonl.read import read_jsonl
from pipeline.readers.jsonl.record import parse_object
from pipeline.readers.parquet.cells import write_column
from pipeline.readers.parquet.file import open_parquet
from pipeline.readers.parquet.fit import value_type
from pipeline.readers.workbook.read import read_workbook
from pipeline.readers.workbook.sheet import as_text, read_sheet

BLOCK = 8 << 20  # bytes of text that are read at a time
HEAD_ROWS = 200  # of a workbook, to find its header
MAX_PRECISION = 38  # of an exact number
ROWS = 10_000  # of a Parquet file that are read at a time


def survey_file(stream: BinaryIO, file: str) -> tuple[Sample, Survey]:
    """Return how a file is written, and the values of its columns.

    Args:
        stream: the file; it can seek.
        file: its name, whose suffix tells the format.

    Raises:
        Refused: the pipeline would refuse the file.
        SettingError: no contract can be drafted from this file.
    """
    for suffix, survey_format in _FORMATS.items():
        if file.lower().endswith((suffix, suffix + ".gz", suffix + ".zst")):
            return survey_format(stream, file)
    raise SettingError(f"{file}: expected a file whose name ends in {', '.join(READERS)} or .txt")


def _survey_text(stream: BinaryIO, file: str) -> tuple[Sample, Survey]:
    sample = read_sample(stream, file)
    return sample, _without_footers(sample, lambda: _read_text(stream, file, sample))


def _without_footers(sample: Sample, read: Callable[[], Survey]) -> Survey:
    """Read a file; read it again if it ends with footers."""
    found = read()
    if found.whole and (footers := count_footers([*found.tail], len(sample.header))):
        sample.dialect["footerRows"] = footers
        sample.notes.append(_footer_note([*found.tail][-footers:]))
        found = read()
    return found


def _read_text(stream: BinaryIO, file: str, sample: Sample) -> Survey:
    dialect = Dialect.model_validate(sample.dialect)

    def split(raw: str) -> list[str]:
        try:
            return [cell.decode() for cell in split_record(raw.encode(), dialect)]
        except ValueError:  # the text of a long record is cut, perhaps inside quotes
            return [raw]

    stream.seek(0)
    return survey(read_csv(stream, file, text_contract(sample, "exact"), BLOCK), sample, split)


def _footer_note(footers: list[Record]) -> str:
    text = shortened(" ".join(filter(None, footers[0].cells)), 60)
    last = "the last record is" if len(footers) == 1 else f"the last {len(footers)} records are"
    return f"footerRows: {last} taken for a total or a note, from line {footers[0].line:,} on ({text!r})"


def _survey_workbook(stream: BinaryIO, file: str) -> tuple[Sample, Survey]:
    stream.seek(0)
    rows = next(read_sheet(stream, Dialect(header=False), LIMITS).parts, None)
    if rows is None:
        raise SettingError(f"{file}: its first sheet is empty: expected a header and some rows")
    lines = rows.lines[:HEAD_ROWS].tolist()
    cells = [[as_text(cell) or "" for cell in rows.row(place)] for place in range(len(lines))]
    width = max(map(len, cells))
    records = [Record(line, [*row, *[""] * (width - len(row))]) for line, row in zip(lines, cells, strict=True)]
    sample, place = Sample({}, ""), header_place(records)
    add_header(sample, records, place, titled=bool(place))
    count = len(sample.dialect.get("headerRows", [1]))
    sample.header = join_rows(cells[place : place + count], " ")  # as it is read: another row may be longer

    def read() -> Survey:
        stream.seek(0)
        return survey(read_workbook(stream, file, text_contract(sample, "exact")), sample)

    return sample, _without_footers(sample, read)


def _survey_jsonl(stream: BinaryIO, file: str) -> tuple[Sample, Survey]:
    sample = Sample({})
    stream.seek(0)
    keys, size = dict[str, None](), 0
    for lines in cut_lines(text_chunks(stream, file, "utf-8", BLOCK, LIMITS), LIMITS.record):
        size += len(lines.text)
        for raw in filter(None, map(bytes.strip, lines.text.split(b"\n"))):
            keys.update(dict.fromkeys(_keys(raw)))
        if size > WHOLE:
            break
    sample.header = [*keys]
    if not sample.header:
        raise SettingError(f"{file}: it has no object with a key: expected one in each line")
    stream.seek(0)
    return sample, survey(read_jsonl(stream, file, text_contract(sample, "subset"), BLOCK), sample)


def _keys(raw: bytes) -> list[str]:
    try:
        return [key for key, _ in parse_object(raw.decode())]
    except ValueError:  # such a line will be rejected
        return []


def _survey_parquet(stream: BinaryIO, name: str) -> tuple[Sample, Survey]:
    sample = Sample({}, "")
    stream.seek(0)
    file_ = open_parquet(stream)
    sample.header = file_.schema_arrow.names
    if not sample.header:
        raise SettingError(f"{name}: it has no column: expected one at least")
    if twice := [repr(column) for column, count in Counter(sample.header).items() if count > 1]:
        raise SettingError(f"{name}: columns have the same name, {listed(twice)}: rename them, for no load takes this")
    sample.types = {column.name: spec for column in file_.schema_arrow if (spec := _typed(value_type(column.type)))}
    return sample, survey(_as_text(file_, sample), sample)


def _typed(type_: pa.DataType) -> dict[str, Any]:
    """Return the type of a field for a column's values; nothing for text, which may be anything."""
    if pa.types.is_decimal(type_) and type_.precision <= MAX_PRECISION:
        return {"type": "number", "decimal": {"precision": type_.precision, "scale": type_.scale}}
    return next(({"type": word} for is_type, word in _TYPES if is_type(type_)), {})


_TYPES: list[tuple[Callable[[pa.DataType], bool], str]] = [
    (pa.types.is_integer, "integer"),
    (pa.types.is_floating, "number"),
    (pa.types.is_decimal, "number"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_time, "time"),
    (pa.types.is_nested, "string"),
]


def _as_text(file: pq.ParquetFile, sample: Sample) -> Iterator[Batch]:
    fields = [FieldSpec(name="x", type=sample.types.get(name, {"type": "string"})["type"]) for name in sample.header]
    for part in file.iter_batches(ROWS):
        texts = [
            _readable(write_column(*one), name, sample)
            for *one, name in zip(part.columns, fields, sample.header, strict=True)
        ]
        numbers = pa.array(range(part.num_rows), pa.int64())
        yield Batch(pa.table([*texts, numbers], names=[*map(str, range(len(texts))), "_line"]), (), 0)


def _readable(cells: pa.Array, name: str, sample: Sample) -> pa.Array:
    """Return a column of text with null for each cell whose bytes are no text."""
    try:
        cells.validate(full=True)
    except pa.ArrowInvalid:
        sample.notes.append(f"column {name}: some of its values are not UTF-8: their records will be rejected")
        values = cells.view(pa.binary()).to_pylist()
        return pa.array([value if value is None or _is_utf8(value) else None for value in values]).cast(pa.string())
    return cells


def _is_utf8(value: bytes) -> bool:
    return b"\0" not in value and value.decode(errors="replace").encode() == value


_FORMATS: dict[str, Callable[[BinaryIO, str], tuple[Sample, Survey]]] = {
    ".csv": _survey_text,
    ".tsv": _survey_text,
    ".txt": _survey_text,
    ".xlsx": _survey_workbook,
    ".xls": _survey_workbook,
    ".ods": _survey_workbook,
    ".jsonl": _survey_jsonl,
    ".ndjson": _survey_jsonl,
    ".parquet": _survey_parquet,
}
