"""The batch: some records of a source, as every reader returns them."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from pipeline.model.contract import Contract
from pipeline.model.problem import Problem


@dataclass(frozen=True)
class Batch:
    """Some records in order: `rows` are the good ones, typed, with `_line`; `rejected` counts the others.

    `problems` may be an iterator that builds its messages lazily: iterate over it once.
    """

    rows: pa.Table
    problems: Iterable[Problem]
    rejected: int


def batch_schema(contract: Contract) -> pa.Schema:
    """Return the schema of a batch's rows."""
    return contract.schema.append(pa.field("_line", pa.int64()))
