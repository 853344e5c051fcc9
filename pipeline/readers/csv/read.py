"""One CSV stream to batches: typed good rows with their lines, and a problem for everything that is wrong."""

import functools
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from pipeline.model.contract import Contract
from pipeline.readers.csv.batch import Batch, batch_schema
from pipeline.readers.csv.decode import BLOCK_SIZE, Limits, text_chunks
from pipeline.readers.csv.header import Header, map_header, read_header
from pipeline.readers.csv.prefetch import in_order
from pipeline.readers.csv.rejects import Wrong
from pipeline.readers.csv.split import Block, Offsets, cut
from pipeline.readers.csv.validate import bare, check_cells


def read_csv(
    stream: BinaryIO,
    key: str,
    contract: Contract,
    block_size: int = BLOCK_SIZE,
    limits: Limits = Limits(),  # noqa: B008 (it never changes)
) -> Iterator[Batch]:
    """Yield a file's records block by block; `Refused` says why the file as a whole cannot be loaded."""
    chunks = text_chunks(stream, key, contract.encoding, block_size, limits)
    yield from in_order(lambda block: batch_of(*judged(*block, contract)), blocks_of(chunks, contract, limits))


def blocks_of(chunks: Iterator[bytes], contract: Contract, limits: Limits) -> Iterator[tuple[Block, Header]]:
    """Yield what follows the header in blocks, and the header with each; `Refused` where there is no fitting one."""
    header = None
    for block in cut(chunks, contract.delimiter, contract.quote, limits.record):
        if header is None and (len(block.starts) or block.faults):
            header = _read_header(block, contract)
            block = _after_first(block)
        if header is not None and (len(block.starts) or block.faults):
            yield block, header
    if header is None:
        map_header([], contract)


def _read_header(block: Block, contract: Contract) -> Header:
    if not len(block.starts) or (block.faults and block.faults[0].line < block.lines[0]):
        return read_header(block.faults[0].raw, block.faults[0].rule, contract)
    return read_header(block.data[block.starts[0] : block.stops[0]], None, contract)


def _after_first(block: Block) -> Block:
    """Give a block without its first record, if it has any."""
    first = int(block.starts[1]) if len(block.starts) > 1 else len(block.data)
    return Block(block.data[first:], block.starts[1:] - first, block.stops[1:] - first, block.lines[1:], block.faults)


def _without(block: Block, unwanted: NDArray[np.bool_]) -> Block:
    """Give a block without some of its records, as a text of its own."""
    nexts = np.append(block.starts[1:], len(block.data))
    gone = np.cumsum(np.where(unwanted, nexts - block.starts, 0))
    edges = [0, *np.column_stack([block.starts[unwanted], nexts[unwanted]]).ravel().tolist(), len(block.data)]
    text = memoryview(block.data)
    data = b"".join([text[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True)])
    starts, stops = (block.starts - gone)[~unwanted], (block.stops - gone)[~unwanted]
    return Block(data, starts, stops, block.lines[~unwanted], block.faults)


def batch_of(rows: pa.Table, wrong: Wrong) -> Batch:
    """Give the good ones of a block's rows, and a problem for everything that is wrong in it."""
    if not (wrong.odd.any() or wrong.broken or wrong.block.faults):
        return Batch(rows, (), 0)
    rejected = wrong.rejected
    rows = rows.filter(pa.array(~rejected[~wrong.odd])) if wrong.broken else rows
    return Batch(rows, wrong.problems(), int(rejected.sum()) + len(wrong.block.faults))


def judged(block: Block, header: Header, contract: Contract) -> tuple[pa.Table, Wrong]:
    """Give the rows of all records that could be split, and what is wrong with any of them."""
    odd = _not_text(block)
    sound = _without(block, odd) if odd.any() else block
    columns, misfits = _parse(sound, header, contract)
    if misfits:
        odd[np.flatnonzero(~odd)[misfits]] = True
    rows, broken = _check(columns, contract, block.lines[~odd])
    return rows, Wrong(block, header, contract, odd, broken, {number: columns[number] for number in broken})


def _not_text(block: Block) -> NDArray[np.bool_]:
    """Mark the records that have a NUL, or bytes that are not UTF-8."""
    bad = np.zeros(len(block.starts), bool)
    data = block.data
    if b"\0" in data:
        offsets = np.flatnonzero(np.frombuffer(data, np.uint8) == 0)
        bad[np.searchsorted(block.starts, offsets, "right") - 1] = True
    if not data.isascii() and not _is_utf8(data):
        spans = zip(block.starts, block.stops, strict=True)
        bad |= np.fromiter((not _is_utf8(data[start:stop]) for start, stop in spans), bool, len(bad))
    return bad


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse(block: Block, header: Header, contract: Contract) -> tuple[list[pa.Array], list[int]]:
    """Let Arrow split sound records into text, column by column; give the records with another number of fields."""
    if not len(block.starts):
        return [pa.array([], pa.string())] * len(header.places), []
    misfits: list[int] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        misfits.append(row.number - 1)
        return "skip"

    names = [str(number) for number in range(len(header.names))]
    wanted = [str(place) for place in header.places]
    table = pyarrow.csv.read_csv(
        # Arrow would take a byte order mark at its start for one; an empty line before it is nothing.
        pa.BufferReader(b"\n" + block.data if block.data.startswith(b"\xef\xbb\xbf") else block.data),
        # One block for Arrow too: over two of them it loses line ends inside quotes (apache/arrow#51368).
        read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=len(block.data) + 2, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=contract.delimiter, quote_char=contract.quote, newlines_in_values=True, invalid_row_handler=note
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(wanted, pa.string()),
            include_columns=wanted,
            null_values=sorted(bare(contract.missing)),
            strings_can_be_null=True,
            check_utf8=False,
        ),
    )
    if table.num_rows + len(misfits) != len(block.starts):
        raise AssertionError(f"{len(block.starts)} records, but Arrow saw {table.num_rows} + {len(misfits)}")
    return [table[name].chunk(0) for name in wanted], misfits  # it was one block: to combine is to copy


def _check(
    columns: list[pa.Array], contract: Contract, lines: Offsets
) -> tuple[pa.Table, dict[int, NDArray[np.bool_]]]:
    """Cast and check all columns; mark, by the field's number, the rows in which it breaks a rule."""
    typed, broken = [], {}
    for number, (field, text) in enumerate(zip(contract.fields, columns, strict=True)):
        values, masks = check_cells(text, field, contract.missing)
        typed.append(values)
        if masks:
            broken[number] = functools.reduce(pc.or_, masks).to_numpy(zero_copy_only=False)
    return pa.table([*typed, pa.array(lines)], schema=batch_schema(contract)), broken
