"""Files of JSON Lines and Parquet: sound ones, and the faults that such files can have."""

import io
import json
from collections.abc import Callable
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from simulator.exam.case import SHAPES, Answer, Draw, File, Kind, Row, Sheet, Verdict
from simulator.exam.file_encodings import gzipped, zstandard

Change = Callable[[str], str]  # of a line that is sound


def _json(row: Row, draw: Draw) -> str:
    """Write a row as an object, its keys in any order; numbers as such or as text."""
    numbers = SHAPES[draw.dataset].sums if draw.chance.random() < 0.8 else ()
    members = [f"{json.dumps(name)}: {text if name in numbers else json.dumps(text)}" for name, text in row.items()]
    draw.chance.shuffle(members)
    return f"{{{', '.join(members)}}}"


def _lines(draw: Draw, *faults: tuple[Change, Verdict]) -> Sheet:
    """Write a file of JSON Lines with at least one line of each fault."""
    page = Sheet(draw, [draw.chance.choice(["\n", "\r\n"])])
    for row in draw.rows:
        page.keep(row, _json(row, draw))
        if draw.chance.random() < 0.1:
            page.write("")
    for number in draw.picked():
        for change, verdict in faults:
            page.reject(change(_json(draw.rows[number], draw)), verdict)
    page.keep(draw.rows[0], _json(draw.rows[0], draw))
    return page


FAULTS: dict[str, tuple[Change, Verdict]] = {
    "JSON that is cut short": (lambda text: text[:-1], (None, "json")),
    "JSON that is no object": (lambda text: f"[{text}]", (None, "json")),
    "two objects in a line": (lambda text: text + text, (None, "json")),
    "a key twice": (lambda text: f'{text[:-1]}, {text[1 : text.index(":")]}: null}}', (None, "fields")),
    "a key too many": (lambda text: f'{text[:-1]}, "Remark": null}}', (None, "fields")),
}  # fmt: skip


def _packed(draw: Draw) -> File:
    page = _lines(draw, FAULTS["JSON that is cut short"])
    suffix, pack = draw.chance.choice([(".jsonl.gz", gzipped), (".ndjson.zst", zstandard)])
    return page.file(suffix, pack(bytes(page.data), draw.chance))


def _array(draw: Draw) -> File:
    indent = draw.chance.choice([None, 2])
    data = json.dumps(draw.rows, indent=indent).encode()
    return File(draw.dataset, ".jsonl", [data], Answer("refused", "json"))


def _parquet(draw: Draw, *, spoiled: bool) -> File:
    """Write a file whose row numbers are its lines; in a spoiled one a number is below its minimum."""
    shape, page, rows = SHAPES[draw.dataset], Sheet(draw), list(draw.rows)
    picked = draw.picked() if spoiled else set[int]()
    for number, row in enumerate(rows):
        if number in picked:
            rows[number] = row | {shape.sums[0]: "-1"}
            page.reject("", (shape.sums[0], "minimum"))
        else:
            page.keep(row, "")
    columns = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
    for name in shape.sums:
        columns[name] = columns[name].cast(pa.float64() if "." in rows[0][name] else pa.int32())
    sink = io.BytesIO()
    compression = draw.chance.choice(["none", "snappy", "gzip", "zstd"])
    pq.write_table(pa.table(columns), sink, row_group_size=draw.chance.randrange(1, 30), compression=compression)
    return page.file(".parquet", sink.getvalue())


def _broken_parquet(draw: Draw) -> File:
    data = bytes(_parquet(draw, spoiled=False).versions[0])
    cut = draw.chance.choice([data[: draw.chance.randrange(len(data))], b"Month,Dept\n1-Jan,Toys\n"])
    return File(draw.dataset, ".parquet", [cut], Answer("refused", "parquet"))


RECORD_FILES: dict[str, Kind] = {
    "JSON Lines": Kind(lambda draw: _lines(draw).file(draw.chance.choice([".jsonl", ".ndjson"]))),
    **{
        kind: Kind(partial(lambda fault, draw: _lines(draw, fault).file(".jsonl"), fault))
        for kind, fault in FAULTS.items()
    },
    "JSON Lines, packed": Kind(_packed),
    "JSON array": Kind(_array),
    "Parquet": Kind(partial(_parquet, spoiled=False)),
    "Parquet with bad rows": Kind(partial(_parquet, spoiled=True)),
    "Parquet that is broken": Kind(_broken_parquet),
}  # fmt: skip
