"""Several small CSV files to batches, with one parse for all.

What a small file takes is calls, whatever its size: some hundred of them for each block. Here there is one block for
all files that have the same header. It gives for each of them what `read.py` gives for it alone.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from pipeline.model.contract import Contract
from pipeline.model.problem import Refused
from pipeline.readers.csv.batch import Batch
from pipeline.readers.csv.decode import BLOCK_SIZE, Limits, text_chunks
from pipeline.readers.csv.header import Header
from pipeline.readers.csv.read import batch_of, blocks_of, judged
from pipeline.readers.csv.rejects import Wrong
from pipeline.readers.csv.split import Block, Offsets


def read_together(
    files: Sequence[tuple[str, bytes]],
    contract: Contract,
    limits: Limits = Limits(),  # noqa: B008 (it never changes)
) -> list[Iterator[Batch]]:
    """Read small files, given by key and content; give for each an iterator as `read_csv` does, errors and all."""
    batches: list[list[Batch]] = [[] for _ in files]
    refusals: list[Refused | None] = [None for _ in files]
    alike: dict[tuple[str, ...], list[tuple[int, Block, Header]]] = {}
    for number, (key, content) in enumerate(files):
        chunks = text_chunks(BytesIO(content), key, contract.encoding, BLOCK_SIZE, limits)
        try:
            for block, header in blocks_of(chunks, contract, limits):
                alike.setdefault(tuple(header.names), []).append((number, block, header))
        except Refused as refusal:
            refusals[number] = refusal
    for some in alike.values():
        numbers, blocks, headers = zip(*some, strict=True)
        for number, batch in zip(numbers, _batches(blocks, headers[0], contract), strict=True):
            batches[number].append(batch)
    return [_given(*one) for one in zip(batches, refusals, strict=True)]


def _given(batches: Sequence[Batch], refusal: Refused | None) -> Iterator[Batch]:
    yield from batches
    if refusal:
        raise refusal


def _batches(blocks: Sequence[Block], header: Header, contract: Contract) -> list[Batch]:
    """Give the batch of each block."""
    rows, wrong = judged(_joined(blocks), header, contract)
    records = _edges([len(block.starts) for block in blocks])
    places = _edges(~wrong.odd)[records]  # of each block's rows: an odd record has none
    return [
        batch_of(rows.slice(start, stop - start), _part(wrong, block, slice(first, last), slice(start, stop)))
        for block, (first, last), (start, stop) in zip(blocks, _pairs(records), _pairs(places), strict=True)
    ]


def _part(wrong: Wrong, block: Block, records: slice, rows: slice) -> Wrong:
    """Give what is wrong in one of the blocks."""
    broken = {number: marks[rows] for number, marks in wrong.broken.items() if marks[rows].any()}
    texts = {number: wrong.texts[number][rows] for number in broken}
    return replace(wrong, block=block, odd=wrong.odd[records], broken=broken, texts=texts)


def _joined(blocks: Sequence[Block]) -> Block:
    """Make one block of several; each record has the line that it has in its own file."""
    texts = [block.data if block.data.endswith((b"\n", b"\r")) else block.data + b"\n" for block in blocks]
    shifts = _edges([len(text) for text in texts])[:-1]
    starts = [block.starts + shift for block, shift in zip(blocks, shifts, strict=True)]
    stops = [block.stops + shift for block, shift in zip(blocks, shifts, strict=True)]
    lines = [block.lines for block in blocks]
    return Block(b"".join(texts), np.concatenate(starts), np.concatenate(stops), np.concatenate(lines), [])


def _edges(sizes: Sequence[int] | NDArray[np.bool_]) -> Offsets:
    return np.concatenate([[0], np.cumsum(sizes)])


def _pairs(edges: Offsets) -> Iterator[tuple[int, int]]:
    return itertools.pairwise(edges.tolist())
