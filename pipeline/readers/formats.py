"""READERS: the reader of each file format, by the suffix of a key."""

from dataclasses import replace
from functools import partial

from pipeline.readers.base import Reader, read_each
from pipeline.readers.csv.read import read_csv
from pipeline.readers.csv.reference import read_csv_plainly
from pipeline.readers.csv.small_files import read_small_files
from pipeline.readers.jsonl.read import read_jsonl
from pipeline.readers.jsonl.reference import read_jsonl_plainly
from pipeline.readers.parquet.read import read_parquet, read_parquet_plainly
from pipeline.readers.workbook.read import read_workbook, read_workbook_plainly

SMALL = 1 << 20  # bytes of a source whose results are kept in memory until they are put, not in staged files

_CSV = Reader(read_csv, read_small_files, read_csv_plainly)
_CSV_PACKED = replace(_CSV, compressed=True)
_JSONL = Reader(read_jsonl, partial(read_each, read_jsonl), read_jsonl_plainly)
_JSONL_PACKED = replace(_JSONL, compressed=True)
_PARQUET = Reader(read_parquet, partial(read_each, read_parquet), read_parquet_plainly, compressed=True, seeks=True)
_WORKBOOK = Reader(read_workbook, partial(read_each, read_workbook), read_workbook_plainly, compressed=True)

READERS = {
    ".csv": _CSV,
    ".csv.gz": _CSV_PACKED,
    ".csv.zst": _CSV_PACKED,
    ".tsv": _CSV,
    ".tsv.gz": _CSV_PACKED,
    ".tsv.zst": _CSV_PACKED,
    ".txt": _CSV,
    ".txt.gz": _CSV_PACKED,
    ".txt.zst": _CSV_PACKED,
    ".jsonl": _JSONL,
    ".jsonl.gz": _JSONL_PACKED,
    ".jsonl.zst": _JSONL_PACKED,
    ".ndjson": _JSONL,
    ".ndjson.gz": _JSONL_PACKED,
    ".ndjson.zst": _JSONL_PACKED,
    ".parquet": _PARQUET,
    ".xlsx": _WORKBOOK,
    ".xls": _WORKBOOK,
    ".ods": _WORKBOOK,
}
"""The reader of each suffix in `SUFFIXES` and `TEXT_SUFFIXES` of `lake.layout`.

To add a format: write a module beside `csv/` with the functions of a `Reader`, add an entry here, and add the suffix to
`lake.layout.SUFFIXES`, so that the lake no longer ignores such objects. Where sources are never read together,
`read_small_files` is `read_each`: one `read` for each file. One without a second implementation uses `read` as its
`reference`.
"""


def reader_of(source_key: str) -> Reader:
    """Return the reader of a source; its suffix may be written in any case."""
    name = source_key.lower()
    for suffix, reader in READERS.items():
        if name.endswith(suffix):
            return reader
    raise LookupError(f"{source_key!r} has no reader: expected a name that ends in {', '.join(READERS)}")


def is_small(source_key: str, size: int) -> bool:
    """Return whether the results of a source stay in memory until they are put."""
    return size <= SMALL and not reader_of(source_key).compressed
