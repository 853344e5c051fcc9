"""Cells of the columns that a contract does not know, as the one column `_more`."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa


def more_column(names: Sequence[str], columns: Iterable[pa.Array]) -> pa.Array:
    """Return the column `_more` of records, from the columns of text that the contract does not know."""
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return pa.array([more_text(names, cells) for cells in rows], pa.string())


def more_text(names: Sequence[str], cells: Iterable[Any]) -> str:
    """Return a record's surplus cells as a JSON object; a name that is there more than once has a list of them."""
    counts, content = Counter(names), dict[str, Any]()
    for name, cell in zip(names, cells, strict=True):
        if counts[name] > 1:
            content.setdefault(name, []).append(cell)
        else:
            content[name] = cell
    return json.dumps(content, ensure_ascii=False)
