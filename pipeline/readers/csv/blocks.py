"""Blocks of whole records: one text, with the place and the line of each record."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from pipeline.model.problem import VALUE_LIMIT
from pipeline.readers.csv.plain_split import Piece

Offsets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fault:
    """Line that is not a record: its number, the rule it breaks (a key of `FAULTS`), and its first bytes."""

    line: int
    rule: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records: record n is `data[starts[n]:stops[n]]` and begins in physical line `lines[n]`; none is empty."""

    data: bytes
    starts: Offsets
    stops: Offsets
    lines: Offsets
    faults: list[Fault]

    def __len__(self) -> int:
        """Return the number of records and of faults."""
        return len(self.starts) + len(self.faults)

    def texts(self) -> Iterator[bytes]:
        """Yield the text of each record."""
        for start, stop in zip(self.starts.tolist(), self.stops.tolist(), strict=True):
            yield self.data[start:stop]


def block_of(pieces: list[Piece]) -> Block:
    """Make a block of the pieces of a text that were cut in the plain way."""
    records = [piece for piece in pieces if not piece.fault]
    faults = [Fault(piece.line, piece.fault, piece.text[:VALUE_LIMIT]) for piece in pieces if piece.fault]
    sizes = np.array([len(piece.text) for piece in records], np.int64)
    stops = np.cumsum(sizes + 1) - 1
    data = b"".join([piece.text + b"\n" for piece in records])
    return Block(data, stops - sizes, stops, np.array([piece.line for piece in records], np.int64), faults)


def drop_first(block: Block) -> Block:
    """Return a block without its first record, if it has any."""
    first = int(block.starts[1]) if len(block.starts) > 1 else len(block.data)
    return Block(block.data[first:], block.starts[1:] - first, block.stops[1:] - first, block.lines[1:], block.faults)


def drop(block: Block, unwanted: NDArray[np.bool_]) -> Block:
    """Return a block without its unwanted records (`bool[records]`), with a text of its own."""
    nexts = np.append(block.starts[1:], len(block.data))
    gone = np.cumsum(np.where(unwanted, nexts - block.starts, 0))
    edges = [0, *np.column_stack([block.starts[unwanted], nexts[unwanted]]).ravel().tolist(), len(block.data)]
    text = memoryview(block.data)
    data = b"".join([text[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True)])
    starts, stops = (block.starts - gone)[~unwanted], (block.stops - gone)[~unwanted]
    return Block(data, starts, stops, block.lines[~unwanted], block.faults)


def cut_block(block: Block, record: int) -> tuple[Block, Block]:
    """Cut a block before a record; the faults are in neither part."""
    edge = int(block.starts[record]) if record < len(block.starts) else len(block.data)
    before, after = slice(record), slice(record, None)
    return (
        Block(block.data[:edge], block.starts[before], block.stops[before], block.lines[before], []),
        Block(block.data[edge:], block.starts[after] - edge, block.stops[after] - edge, block.lines[after], []),
    )


def join_blocks(blocks: Sequence[Block]) -> Block:
    """Join the records of blocks into one block without faults; each record keeps its line."""
    texts = [one.data if one.data.endswith((b"\n", b"\r")) else one.data + b"\n" for one in blocks]
    shifts = np.cumsum([0, *map(len, texts[:-1])])
    starts = [block.starts + shift for block, shift in zip(blocks, shifts, strict=True)]
    stops = [block.stops + shift for block, shift in zip(blocks, shifts, strict=True)]
    lines = [block.lines for block in blocks]
    return Block(b"".join(texts), np.concatenate(starts), np.concatenate(stops), np.concatenate(lines), [])


def hold_back(held: Block | None, block: Block, count: int) -> tuple[Block, Block]:
    """Return what is held and a block, without the last `count` records and faults of both, and these."""
    if held is not None and len(held):
        faults = [*held.faults, *block.faults]
        block = replace(join_blocks([held, block]), faults=faults)
    lines = np.sort(np.concatenate([block.lines, np.array([fault.line for fault in block.faults], np.int64)]))
    border = lines[-count] if len(lines) > count else 0
    before, after = cut_block(block, int(np.searchsorted(block.lines, border)))
    number = sum(fault.line < border for fault in block.faults)
    return replace(before, faults=block.faults[:number]), replace(after, faults=block.faults[number:])


def with_faults(block: Block, rule: str, wrong: NDArray[np.bool_], limit: int) -> Block:
    """Return a block in which the marked records (`bool[records]`) are faults, with `limit` bytes of their text."""
    marked = [text[:limit] for text, is_wrong in zip(block.texts(), wrong, strict=True) if is_wrong]
    faults = [Fault(line, rule, text) for line, text in zip(block.lines[wrong].tolist(), marked, strict=True)]
    return replace(drop(block, wrong), faults=sorted([*block.faults, *faults], key=attrgetter("line")))
