"""Read a CSV stream to batches: typed good rows with their lines, and a problem for every reject."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from pipeline.model.contract import Contract
from pipeline.readers.base import LIMITS, Batch, Limits, batch_schema
from pipeline.readers.cells.more import more_column
from pipeline.readers.cells.validate import bare, check_cells, nulled
from pipeline.readers.csv.blocks import Block, drop, drop_first, hold_back
from pipeline.readers.csv.header import Header, HeaderRows
from pipeline.readers.csv.record import splitter
from pipeline.readers.csv.rejects import Rejects
from pipeline.readers.csv.split import cut
from pipeline.readers.decode import BLOCK_SIZE, text_chunks
from pipeline.readers.prefetch import in_order


def read_csv(
    stream: BinaryIO, key: str, contract: Contract, block_size: int = BLOCK_SIZE, limits: Limits = LIMITS
) -> Iterator[Batch]:
    """Yield a file's records, a batch for each block; `Refused` if the file as a whole cannot be loaded."""
    contract = contract.of_file(key)

    def read_block(block: tuple[Block, Header]) -> Batch:
        return make_batch(*check_block(*block, contract))

    chunks = text_chunks(stream, key, contract.encoding, block_size, limits)
    yield from in_order(read_block, blocks_of(chunks, contract, limits))


def blocks_of(chunks: Iterable[bytes], contract: Contract, limits: Limits) -> Iterator[tuple[Block, Header]]:
    """Yield the records after the header in blocks, of which one may be empty, each with the header.

    Raises:
        Refused: the header does not fit.
    """
    rows, held, footer, begun = HeaderRows(contract), None, contract.dialect.footerRows, False
    for block in cut(chunks, contract.dialect, limits.record):
        while rows.header is None and len(block):
            block = _take_row(block, rows)
        if rows.header is not None:
            if footer:
                block, held = hold_back(held, block, footer)
            if len(block):
                begun = True
                yield block, rows.header
    header = rows.end()
    if not begun:
        nothing = np.empty(0, np.int64)
        yield Block(b"", nothing, nothing, nothing, []), header


def _take_row(block: Block, rows: HeaderRows) -> Block:
    """Add the first record of a block to the header, and return the others."""
    if not len(block.starts) or (block.faults and block.faults[0].line < block.lines[0]):
        rows.add(block.faults[0].line, block.faults[0].raw, block.faults[0].rule)
    else:
        rows.add(int(block.lines[0]), block.data[block.starts[0] : block.stops[0]], None)
    return drop_first(block)


def make_batch(rows: pa.Table, rejects: Rejects) -> Batch:
    """Return a block's batch: of its rows the good ones, and the problems of its rejects."""
    if not (rejects.malformed.any() or rejects.invalid or rejects.block.faults):
        return Batch(rows, (), 0, rejects.texts, rejects.header.drift)
    marks = rejects.marks
    rows = rows.filter(pa.array(~marks[~rejects.malformed])) if rejects.invalid else rows
    return Batch(
        rows, rejects.problems(), int(marks.sum()) + len(rejects.block.faults), rejects.texts, rejects.header.drift
    )


def check_block(block: Block, header: Header, contract: Contract) -> tuple[pa.Table, Rejects]:
    """Parse and check a block. Return the rows of its well-formed records, the invalid ones too, and the rejects."""
    malformed = _mark_binary(block)
    parsed = drop(block, malformed) if malformed.any() else block
    texts, misfits = _parse(parsed, header, contract)
    if misfits:
        malformed[np.flatnonzero(~malformed)[misfits]] = True
    lines = block.lines[~malformed]
    nulls = pa.nulls(len(lines), pa.string())  # of a field that the file lacks
    columns = [nulls if place is None else texts[place] for place in header.places]
    if header.more:  # their words for null are text
        columns = [nulled(column, bare(contract.common_missing)) for column in columns]
        nulls = more_column(header.more_names, [texts[place] for place in header.more])
    rows, invalid = _check(columns, contract, [*([nulls] if contract.more else []), pa.array(lines)])
    cells = {number: columns[number] for number in invalid}
    return rows, Rejects(block, header, contract, malformed, invalid, cells)


def _mark_binary(block: Block) -> NDArray[np.bool_]:
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


def _parse(block: Block, header: Header, contract: Contract) -> tuple[dict[int, pa.Array], list[int]]:
    """Split records into columns of text with Arrow.

    Returns:
        Those of the fields and of `_more`, by their place, and the records with another number of fields.
    """
    places = [*(place for place in header.places if place is not None), *header.more]
    if not len(block.starts):
        return dict.fromkeys(places, pa.array([], pa.string())), []
    if contract.dialect.is_rare:
        return _parse_plainly(block, header, places, contract)
    table, misfits = _arrow_table(block, header, places, contract)
    if table.num_rows + len(misfits) != len(block.starts):
        raise AssertionError(f"{len(block.starts)} records, but Arrow saw {table.num_rows} + {len(misfits)}")
    return {place: table[str(place)].chunk(0) for place in places}, misfits  # it was one block: to combine is to copy


def _arrow_table(block: Block, header: Header, places: Sequence[int], contract: Contract) -> tuple[pa.Table, list[int]]:
    """Return a table of the columns at some places, and the records with another number of fields."""
    misfits: list[int] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        misfits.append(row.number - 1)
        return "skip"

    names, wanted = [*map(str, range(len(header.names)))], [*map(str, places)]
    table = pyarrow.csv.read_csv(
        # Arrow would take a byte order mark at its start for one; an empty line before it is skipped.
        pa.BufferReader(b"\n" + block.data if block.data.startswith(b"\xef\xbb\xbf") else block.data),
        # One block for Arrow too: over two of them it loses line ends inside quotes (apache/arrow#51368).
        read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=len(block.data) + 2, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=contract.dialect.delimiter,
            quote_char=contract.dialect.quoteChar,
            newlines_in_values=True,
            invalid_row_handler=note,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(wanted, pa.string()),
            include_columns=wanted,
            null_values=[] if header.more else sorted(bare(contract.common_missing)),
            strings_can_be_null=True,
            check_utf8=False,
        ),
    )
    return table, misfits


def _parse_plainly(
    block: Block, header: Header, places: Sequence[int], contract: Contract
) -> tuple[dict[int, pa.Array], list[int]]:
    """Do as `_parse`, one record after the other, for a dialect that Arrow does not read as we do."""
    split, misfits, records = splitter(contract.dialect), list[int](), list[list[bytes]]()
    for number, text in enumerate(block.texts()):
        cells = split(text)
        if len(cells) == len(header.names):
            records.append(cells)
        else:
            misfits.append(number)
    columns = dict[int, pa.Array]()
    for place in places:
        text = pa.array([cells[place] for cells in records], pa.binary()).cast(pa.string())
        columns[place] = text if header.more else nulled(text, bare(contract.common_missing))
    return columns, misfits


def _check(
    columns: list[pa.Array], contract: Contract, others: list[pa.Array]
) -> tuple[pa.Table, dict[int, NDArray[np.bool_]]]:
    """Cast and check all columns. Return the rows and, by the field's number, a mask of those that break a rule."""
    typed, invalid = [], {}
    for number, (field, text) in enumerate(zip(contract.fields, columns, strict=True)):
        missing = contract.missing_of(field)
        if own := bare(missing) - contract.common_missing:
            text = nulled(text, own)
        values, masks = check_cells(text, field, missing)
        typed.append(values)
        if masks:
            invalid[number] = functools.reduce(pc.or_, masks).to_numpy(zero_copy_only=False)
    return pa.table([*typed, *others], schema=batch_schema(contract)), invalid
