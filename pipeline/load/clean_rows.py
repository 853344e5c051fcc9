"""Write the Parquet file of clean rows: row groups of bounded size, encoded by their values, written in a thread."""

import base64
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

GROUP_SIZE = 16 << 20  # bytes of rows in memory that make a row group
SAMPLE = 10_000  # rows that tell how a column is best encoded; a file of fewer is small whatever its encoding
FEW = 0.2  # of a sample's values are different: a dictionary pays


class CleanWriter:
    """Writes rows of one schema to a Parquet file, a row group at a time, in a thread if there is more than one.

    A file in memory is small, and has one row group: its tables may be slices of the rows of several files.
    A column of text may be a dictionary, which saves a look at each cell; in the file it is text.
    """

    def __init__(self, sink: Path | pa.NativeFile, schema: pa.Schema) -> None:
        self._sink, self._schema = sink, schema
        self._tables: list[pa.Table] = []
        self._size = 0
        self._writer: pq.ParquetWriter | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._written: Future[None] | None = None

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, complete or not."""
        if self._pool:
            self._pool.shutdown()
        if self._writer:
            self._writer.close()

    def write(self, rows: pa.Table) -> None:
        """Add rows; write a row group if there are enough."""
        self._tables.append(rows)
        self._size += rows.get_total_buffer_size()  # of a slice, too, what it holds in memory
        if self._size >= GROUP_SIZE and isinstance(self._sink, Path):
            self._pool = self._pool or ThreadPoolExecutor(1, "write")
            self._settle()
            self._written = self._pool.submit(self._write_group, self._take())

    def finish(self, footer: dict[bytes, bytes]) -> None:
        """Write the remaining rows and the footer."""
        self._settle()
        self._write_group(self._take())
        assert self._writer
        self._writer.add_key_value_metadata({**footer, b"ARROW:schema": base64.b64encode(self._schema.serialize())})

    def _settle(self) -> None:
        if self._written:
            self._written.result()

    def _take(self) -> pa.Table:
        rows = pa.concat_tables(self._tables or [self._schema.empty_table()])
        self._tables, self._size = [], 0
        return rows

    def _write_group(self, rows: pa.Table) -> None:
        if self._writer is None:
            # Statistics of text take a third as long as the text, and in unsorted rows they are of no use.
            statistics = [field.name for field in self._schema if not pa.types.is_string(field.type)]
            settings = {"write_statistics": statistics, "store_schema": False, **encodings(rows)}
            self._writer = pq.ParquetWriter(self._sink, rows.schema.remove_metadata(), **settings)
        if rows.num_rows:
            self._writer.write_table(rows, row_group_size=rows.num_rows)


def encodings(rows: pa.Table) -> dict[str, Any]:
    """Choose for each column: a dictionary for few different values, differences for many numbers or times, else zstd.

    A sample decides. With fewer rows than a sample: assume many different values for numbers and times, and few for
    other types.
    """
    if any(map(pa.types.is_nested, rows.schema.types)):  # whose columns in the file have other names
        return {"compression": "zstd"}
    sample, few = rows.slice(0, SAMPLE), list[str]()
    differences, compression = dict[str, str](), dict[str, str]()
    for field in rows.schema:
        # A packed column gains nothing from zstd, which takes as long for it.
        compression[field.name] = "none" if pa.types.is_dictionary(field.type) else "zstd"
        if not _differ(field.type) if len(sample) < SAMPLE else _few(sample[field.name]):
            few.append(field.name)
        elif _differ(field.type):
            differences[field.name], compression[field.name] = "DELTA_BINARY_PACKED", "none"
    return {"use_dictionary": few, "column_encoding": differences, "compression": compression}


def _few(column: pa.ChunkedArray) -> bool:
    try:
        return bool(pc.count_distinct(column).as_py() <= FEW * len(column))
    except pa.ArrowNotImplementedError:  # a dictionary already
        return True


def _differ(type_: pa.DataType) -> bool:
    types = pa.types
    return any(is_kind(type_) for is_kind in (types.is_integer, types.is_date, types.is_timestamp, types.is_time))
