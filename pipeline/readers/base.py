"""Interface of a reader, and its results: batches of typed rows, and problems."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import accumulate, chain, groupby
from typing import BinaryIO, Protocol

import pyarrow as pa

from pipeline.model.contract import Contract
from pipeline.model.problem import Problem, Refused

PROBLEMS = 4096  # that are built and written at a time: with their records they take 16 MiB at most


@dataclass(frozen=True)
class Limits:
    """Limits, in bytes, of a record and of a decompressed object, which may always grow `ratio` times."""

    record: int = 1 << 20
    grown: int = 1 << 30
    ratio: int = 200


LIMITS = Limits()  # of every reader that is told no others


@dataclass(frozen=True)
class Batch:
    """Some records in order: `rows` are the good ones, typed, with `_line`; `rejected` counts the others.

    `problems` may be an iterator that builds its messages lazily: iterate over it once. `texts` returns the texts of
    good records, as a problem would show them, by their numbers in `rows`. `drift` is how the file differs from its
    contract in its columns, in words, as far as it is read: that of the last batch counts.
    """

    rows: pa.Table
    problems: Iterable[Problem]
    rejected: int
    texts: Callable[[Sequence[int]], list[str]] = field(default=lambda rows: [""] * len(rows), compare=False)
    drift: str | None = None


def batch_schema(contract: Contract) -> pa.Schema:
    """Return the schema of a batch's rows."""
    return contract.schema.append(pa.field("_line", pa.int64()))


class Read(Protocol):
    """Function that reads one source, a stream and its key; it yields the batches, or raises `Refused`."""

    def __call__(self, stream: BinaryIO, key: str, contract: Contract, *, limits: Limits = ...) -> Iterator[Batch]:
        """Yield batches in the order of the source."""
        ...


ReadSmallFiles = Callable[[Sequence[tuple[str, bytes]], Contract, Limits], list[Batch | Refused]]


@dataclass(frozen=True)
class Reader:
    """Functions that read sources with one suffix; each takes a contract and limits, and raises `Refused`.

    `read` takes a stream and its key, and yields the batches of one source: blocks, so that memory is bounded.
    `read_small_files` takes keys and contents, and returns for each its one batch, or why it is refused.
    `reference` does as `read`, by the rules as they are written: `verify` compares with it.
    `compressed` says that the content may be much larger than the object, so that no source counts as small.
    `seeks` says that the stream must be able to go back.
    """

    read: Read
    read_small_files: ReadSmallFiles
    reference: Read
    compressed: bool = False
    seeks: bool = False


def read_each(
    read: Read, files: Sequence[tuple[str, bytes]], contract: Contract, limits: Limits
) -> list[Batch | Refused]:
    """Do as a `read_small_files`, one file after the other: for a format whose files share no work."""
    results = list[Batch | Refused]()
    for key, content in files:
        try:
            batches = list(read(BytesIO(content), key, contract, limits=limits))
        except Refused as refusal:
            results.append(refusal)
            continue
        results.append(_joined(batches, batch_schema(contract)))
    return results


def _joined(batches: Sequence[Batch], schema: pa.Schema) -> Batch:
    """Join the batches of one file."""
    edges = [*accumulate((batch.rows.num_rows for batch in batches), initial=0)]

    def texts(rows: Sequence[int]) -> list[str]:
        found = list[str]()
        for number, some in groupby(rows, lambda row: bisect_right(edges, row) - 1):
            found += batches[number].texts([row - edges[number] for row in some])
        return found

    rows = pa.concat_tables([schema.empty_table(), *(batch.rows for batch in batches)])
    problems = chain.from_iterable(batch.problems for batch in batches)
    return Batch(
        rows, problems, sum(batch.rejected for batch in batches), texts, batches[-1].drift if batches else None
    )
