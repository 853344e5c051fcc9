"""Judgement of cells by the check of a column."""

import pyarrow as pa

from pipeline.model.field import FieldSpec
from pipeline.readers.cells.validate import check_column

MISSING = frozenset({""})


def judge(cells: list[str], spec: FieldSpec, missing: frozenset[str] = MISSING) -> tuple[list, list[bool]]:
    values, bad = check_column(pa.array(cells, pa.string()), spec, missing)
    return values.to_pylist(), bad.to_pylist()
