"""Export rejected rows of a Parquet file: the same columns, and one more of text for the marks."""

import json
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as at
from numpy.typing import NDArray

from lake.mending import MENDS, mark_of
from lake.rejects import CannotExport, RejectedRecords, check_complete, too_large
from lake.stores.arrow_dataset import DamagedObject
from lake.stores.base import ObjectStore
from lake.stores.common_schema import SchemaConflict

BATCH = 8 << 20  # bytes that are read at a time
ROWS = 1 << 16  # of a batch, at most
PIECE = 256  # rows whose text is written out at a time: each may have a MiB of it
GROUP = 32 << 20  # bytes of a row group that is written

Lines = NDArray[np.int64]


def export_parquet(store: ObjectStore, key: str, rejects: RejectedRecords, out: BinaryIO, most: int | None) -> None:
    """Copy the rejected rows, each with its mark. Row groups without any are not read.

    Args:
        store: the lake.
        key: the source.
        rejects: its rows.
        out: receives the file.
        most: unpacked bytes of the source that are read, and bytes of the rows that are written.
    """
    rejects.check_version(key, store.stat(key).etag)
    try:
        if (opened := next(store.dataset(key).files(), None)) is None:
            raise FileNotFoundError(key)
        rejects.check_version(key, opened.info.etag)
        with opened.fragment.open() as stream:
            _copy(stream, key, rejects, out, most)
    except SchemaConflict as error:
        reason = f"{key} has columns whose names are the same, or differ in case alone"
        raise CannotExport(f"{reason}: rename them in the file itself, and put it under the same name") from error
    except (pa.ArrowException, DamagedObject) as error:
        raise CannotExport(f"{key} cannot be read as Parquet: {error}") from error


def _copy(stream: pa.NativeFile, key: str, rejects: RejectedRecords, out: BinaryIO, most: int | None) -> None:
    schema = _open(stream, []).schema_arrow
    file = _open(stream, [name for name, type_ in zip(schema.names, schema.types, strict=True) if _is_text(type_)])
    groups = _groups(file.metadata, np.sort(np.fromiter(rejects.open, np.int64)))
    if most is not None and sum(file.metadata.row_group(number).total_byte_size for number, *_ in groups) > most:
        raise too_large(key)
    keep_marks = rejects.mends is not None
    places = [place for place, name in enumerate(schema.names) if keep_marks or name != MENDS]
    columns = [*map(schema.field, places)]
    if not keep_marks:
        columns.append(pa.field(MENDS, pa.string()))
    written = _with_rows(pa.schema(columns, schema.metadata), len(rejects.open))
    count, size, flushed, waiting = 0, 0, 0, list[pa.RecordBatch]()
    with pq.ParquetWriter(out, written) as writer:
        for lines, batch in _selected(file, groups):
            marks = [pa.array([mark_of(line, rejects.version) for line in lines.tolist()], pa.string())]
            arrays = [*map(batch.column, places), *([] if keep_marks else marks)]
            waiting.append(_cast(arrays, written))
            count, size = count + len(lines), size + waiting[-1].nbytes
            if most is not None and size > most:
                raise too_large(key)
            if size - flushed >= GROUP:
                writer.write_table(pa.Table.from_batches(waiting, written))
                flushed = size
                waiting.clear()
        writer.write_table(pa.Table.from_batches(waiting, written))
    check_complete(len(rejects.open) - count)


def _open(stream: pa.NativeFile, texts: list[str]) -> pq.ParquetFile:
    """Open a file as its reader does; `texts` are read as dictionaries, which keeps them as small as they are there."""
    return pq.ParquetFile(
        stream,
        read_dictionary=texts,
        pre_buffer=False,
        coerce_int96_timestamp_unit="us",
        arrow_extensions_enabled=False,
    )


def _is_text(type_: pa.DataType) -> bool:
    text = (at.is_string, at.is_large_string, at.is_string_view, at.is_binary, at.is_large_binary, at.is_binary_view)
    return any(test(type_) for test in text)


def _groups(metadata: pq.FileMetaData, lines: Lines) -> list[tuple[int, int, Lines]]:
    """Return the row groups with rejected rows: number, line of the first row, and the places of the rejected ones."""
    groups, first = list[tuple[int, int, Lines]](), 1
    for number in range(metadata.num_row_groups):
        after = first + metadata.row_group(number).num_rows
        start, stop = np.searchsorted(lines, (first, after))
        if start < stop:
            groups.append((number, first, lines[start:stop] - first))
        first = after
    return groups


def _selected(file: pq.ParquetFile, groups: list[tuple[int, int, Lines]]) -> Iterator[tuple[Lines, pa.RecordBatch]]:
    """Yield the rejected rows in pieces, each with the numbers of its rows."""
    most = PIECE if any(map(_may_grow, file.schema_arrow.types)) else ROWS
    for number, first, places in groups:
        meta, start = file.metadata.row_group(number), 0
        rows = min(most, max(1, BATCH * meta.num_rows // max(meta.total_byte_size, 1)))
        for batch in file.iter_batches(rows, row_groups=[number], use_threads=False):
            here = places[slice(*np.searchsorted(places, (start, start + batch.num_rows)))]
            for at_ in range(0, len(here), PIECE):
                piece = here[at_ : at_ + PIECE]
                yield piece + first, batch.take(pa.array(piece - start))
            start += batch.num_rows


def _may_grow(type_: pa.DataType) -> bool:
    """Return whether values take more room than in the file, which may have each once: they are no dictionary here."""
    return bool(at.is_nested(type_) or at.is_fixed_size_binary(type_))


def _cast(arrays: list[pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    """Return columns with the types that the source has."""
    cast = [
        array.dictionary_decode().cast(type_) if at.is_dictionary(array.type) and not at.is_dictionary(type_) else array
        for array, type_ in zip(arrays, schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(cast, schema=schema)


def _with_rows(schema: pa.Schema, rows: int) -> pa.Schema:
    """Return a schema whose metadata for pandas has the index of so many rows, if it has one without a column."""
    try:
        described = json.loads((schema.metadata or {})[b"pandas"])
        ranges = [index for index in described["index_columns"] if isinstance(index, dict)]
    except (KeyError, ValueError, TypeError):
        return schema
    for index in ranges:
        index |= {"start": 0, "stop": rows, "step": 1}
    return schema.with_metadata({**schema.metadata, b"pandas": json.dumps(described).encode()})
