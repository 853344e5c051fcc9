"""Read a CSV stream to batches by the rules as they are written: the reference for people, tests and `verify`.

It returns what `read.py` returns, row by row and word by word, without its shortcuts: quotes and line ends are read one
after the other, or character by character where they follow rules of their own, and each cell is parsed alone. It is
some twenty times slower.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from pipeline.model.contract import MORE, Contract
from pipeline.model.dialect import Dialect
from pipeline.readers.base import LIMITS, Batch, Limits, batch_schema
from pipeline.readers.cells.more import more_text
from pipeline.readers.cells.parse import parse
from pipeline.readers.csv.explain import explain_fault, explain_record, shown_text
from pipeline.readers.csv.header import Header, HeaderRows
from pipeline.readers.csv.plain_record import split_plainly
from pipeline.readers.csv.plain_split import Piece, cut_plainly
from pipeline.readers.csv.record import split_record
from pipeline.readers.decode import BLOCK_SIZE, text_chunks


def read_csv_plainly(
    stream: BinaryIO, key: str, contract: Contract, block_size: int = BLOCK_SIZE, limits: Limits = LIMITS
) -> Iterator[Batch]:
    """Yield a file's records, a batch for each block; `Refused` if the file as a whole cannot be loaded."""
    contract = contract.of_file(key)
    rows, held, begun = HeaderRows(contract), list[Piece](), False
    chunks = text_chunks(stream, key, contract.encoding, block_size, limits)
    for pieces in cut_plainly(chunks, contract.dialect, limits.record):
        while rows.header is None and pieces:
            first, *pieces = pieces
            rows.add(first.line, first.text, first.fault)
        if rows.header is not None:
            pieces = [*held, *pieces]
            count = max(0, len(pieces) - contract.dialect.footerRows)
            pieces, held = pieces[:count], pieces[count:]
            if pieces:
                begun = True
                yield _batch(pieces, rows.header, contract)
    header = rows.end()
    if not begun:
        yield _batch([], header, contract)


def _batch(pieces: list[Piece], header: Header, contract: Contract) -> Batch:
    rows, good, problems, rejected = [], list[bytes](), [], 0
    columns = header.columns(contract.fields)
    for piece in pieces:
        cells = [] if piece.fault else _cells(piece.text, contract.dialect)
        if piece.fault:
            broken = [explain_fault(piece.fault, piece.line, piece.text, contract.dialect)]
        else:
            broken = explain_record(piece.text, cells, piece.line, columns, contract)
        if broken:
            problems += broken
            rejected += 1
        else:
            rows.append(_row(piece.line, cells, header, contract))
            good.append(piece.text)
    table = pa.Table.from_pylist(rows, batch_schema(contract))
    return Batch(
        table, problems, rejected, lambda numbers: [shown_text(good[number]) for number in numbers], header.drift
    )


def _cells(text: bytes, dialect: Dialect) -> list[bytes]:
    return split_plainly(text, dialect) if dialect.is_rare else split_record(text, dialect)


def _row(line: int, cells: list[bytes], header: Header, contract: Contract) -> dict[str, Any]:
    placed = zip(contract.fields, header.places, strict=True)
    row: dict[str, Any] = {"_line": line}
    for field, place in placed:
        row[field.name] = None if place is None else parse(cells[place].decode(), field, contract.missing_of(field))
    if header.more:
        row[MORE] = more_text(header.more_names, [cells[place].decode() for place in header.more])
    return row
