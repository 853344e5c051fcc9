"""Open a Parquet file and read it in small batches, or refuse it: it may be broken, encrypted, or grow without end."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as at

from common.messages import shortened
from pipeline.model.problem import Problem, Refused
from pipeline.readers.base import Limits
from pipeline.readers.parquet.fit import is_text

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
ROWS = 1 << 16  # of a batch, at most
NESTED_ROWS = 1 << 10  # of a batch with a nested column
BUFFER = 1 << 20  # bytes of each column that are read at a time


@contextmanager
def refuse_broken() -> Iterator[None]:
    """Turn an error of Arrow into a refusal; an error of the store or the disk stays what it is."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if isinstance(error, OSError) and (error.errno is not None or isinstance(error, ConnectionError)):
            raise
        reason = shortened(str(error).strip() or repr(error))
        raise Refused(Problem("parquet", f"the file is not whole Parquet: {reason}: write it anew")) from error


def open_parquet(stream: BinaryIO) -> pq.ParquetFile:
    """Open a Parquet file; its text columns are read as dictionaries, so that their size is known before they grow."""
    begin = stream.read(len(MAGIC))
    if begin == ENCRYPTED:
        raise Refused(Problem("parquet", "the file is encrypted: write it without encryption"))
    if begin != MAGIC:
        wrong = f"expected Parquet, which begins with PAR1, found {begin.hex(' ') or 'an empty file'}"
        raise Refused(Problem("parquet", f"{wrong}: name the file by what it is"))
    with refuse_broken():
        schema = _open(stream, []).schema_arrow
        texts = [name for name, type_ in zip(schema.names, schema.types, strict=True) if is_text(type_)]
        return _open(stream, texts)


def _open(stream: BinaryIO, texts: Sequence[str]) -> pq.ParquetFile:
    stream.seek(0)
    return pq.ParquetFile(
        stream,
        read_dictionary=texts,
        buffer_size=BUFFER,
        pre_buffer=False,
        coerce_int96_timestamp_unit="us",  # in nanoseconds the year 9999 would silently be another
        page_checksum_verification=True,
        arrow_extensions_enabled=False,
    )


def batches_of(
    file: pq.ParquetFile, names: Sequence[str], size: int, block_size: int, limits: Limits
) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches of about `block_size` bytes; `size` is that of the file. `Refused` if it grows too far."""
    meta = file.metadata
    sizes = [meta.row_group(number).total_byte_size for number in range(meta.num_row_groups)]
    _check_growth(sum(sizes), size, limits)
    rows = min(ROWS, max(1, block_size * max(meta.num_rows, 1) // max(sum(sizes), 1)))
    if any(at.is_nested(file.schema_arrow.field(name).type) for name in names):
        rows = min(rows, NESTED_ROWS)
    grown = 0
    with refuse_broken():
        for batch in file.iter_batches(rows, columns=list(names), use_threads=False):
            sizes_of_rows = _text_sizes(batch)
            grown += int(sizes_of_rows.sum())
            _check_growth(grown, size, limits)
            yield from _in_parts(batch, sizes_of_rows, block_size)


def _check_growth(grown: int, size: int, limits: Limits) -> None:
    if grown > limits.grown and grown > limits.ratio * size:
        message = (
            f"the {size:,} bytes of the file grow to more than {grown:,}: expected at most {limits.grown:,} or "
            f"{limits.ratio} times as many; split the file, or raise PIPELINE_GROWN_MIB"
        )
        raise Refused(Problem("size", message))


def _text_sizes(batch: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the bytes of text in each row, without writing the text of a dictionary out."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if at.is_dictionary(column.type) and is_text(column.type.value_type):
            lengths = pc.binary_length(column.dictionary).take(column.indices)
            sizes += pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False)
    return sizes


def _in_parts(
    batch: pa.RecordBatch, sizes: np.ndarray[tuple[int], np.dtype[np.int64]], block_size: int
) -> Iterator[pa.RecordBatch]:
    """Cut a batch where its texts fill a block."""
    blocks = np.cumsum(sizes) // block_size
    edges = [0, *(np.flatnonzero(np.diff(blocks)) + 1).tolist(), batch.num_rows]
    for start, stop in itertools.pairwise(edges):
        if stop > start:
            yield batch.slice(start, stop - start)
