"""Several small CSV files to one batch each, parsed together.

A small file costs a few hundred calls, whatever its size. Here, the files that have the same header share one block,
and so share these calls. Each batch is the one that `read.py` returns for the file alone.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from pipeline.model.contract import Contract
from pipeline.model.problem import Refused
from pipeline.readers.base import LIMITS, Batch, Limits, batch_schema
from pipeline.readers.csv.blocks import Block, Offsets, join_blocks
from pipeline.readers.csv.header import Header
from pipeline.readers.csv.read import blocks_of, check_block, make_batch
from pipeline.readers.csv.rejects import Rejects
from pipeline.readers.decode import BLOCK_SIZE, text_chunks


def read_small_files(
    files: Sequence[tuple[str, bytes]], contract: Contract, limits: Limits = LIMITS
) -> list[Batch | Refused]:
    """Read small files, each a key and its content. Return for each its one batch, or why the file is refused."""
    results: list[Batch | Refused] = [Batch(batch_schema(contract).empty_table(), (), 0)] * len(files)
    groups = dict[tuple[str, ...], list[tuple[int, Block, Header, Contract]]]()
    for number, (key, content) in enumerate(files):
        own = contract.of_file(key)
        chunks = text_chunks(BytesIO(content), key, own.encoding, BLOCK_SIZE, limits)
        try:
            for block, header in blocks_of([b"".join(chunks)], own, limits):
                group = (own.dialect.delimiter, *header.names)
                groups.setdefault(group, []).append((number, block, header, own))
        except Refused as refusal:
            results[number] = refusal
    for files_alike in groups.values():
        numbers, blocks, headers, contracts = zip(*files_alike, strict=True)
        for number, batch in zip(numbers, _read_blocks(blocks, headers[0], contracts[0]), strict=True):
            results[number] = batch
    return results


def _read_blocks(blocks: Sequence[Block], header: Header, contract: Contract) -> Iterator[Batch]:
    """Yield the batch of each block, all of them with one header."""
    rows, rejects = check_block(join_blocks(blocks), header, contract)
    records = _edges([len(block.starts) for block in blocks])
    places = _edges(~rejects.malformed)[records]  # of each block's rows: a malformed record has none
    for block, (first, last), (start, stop) in zip(blocks, _pairs(records), _pairs(places), strict=True):
        part = _part(rejects, block, slice(first, last), slice(start, stop))
        yield make_batch(rows.slice(start, stop - start), part)


def _part(rejects: Rejects, block: Block, records: slice, rows: slice) -> Rejects:
    """Return the rejects of one of the blocks."""
    invalid = {number: marks[rows] for number, marks in rejects.invalid.items() if marks[rows].any()}
    cells = {number: rejects.cells[number][rows] for number in invalid}
    return replace(rejects, block=block, malformed=rejects.malformed[records], invalid=invalid, cells=cells)


def _edges(sizes: Sequence[int] | NDArray[np.bool_]) -> Offsets:
    return np.concatenate([[0], np.cumsum(sizes)])


def _pairs(edges: Offsets) -> Iterator[tuple[int, int]]:
    return itertools.pairwise(edges.tolist())
