"""Mended rejects: which lines of a source are mended by the marks of the fixed files that are loaded."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from sqlite3 import Row

from lake.mending import Mends, version_of
from lake.rejects import mended_lines
from pipeline.ledger.ledger import Ledger

COLUMNS = "source_key, coalesce(loaded_etag, etag) AS version, rows_rejected, mends"  # that `mended` needs


def passed_lines(ledger: Ledger) -> dict[str, set[int]]:
    """Return the lines that are mended, by version of their source."""
    passed = defaultdict[str, set[int]](set)
    for row in ledger.rows("SELECT mends FROM source WHERE mends IS NOT NULL"):
        for version, lines in _mends(row["mends"]).passed.items():
            passed[version].update(lines)
    return passed


def mended(rows: Sequence[Row], passed: Mapping[str, Collection[int]]) -> list[list[int]]:
    """Return for each source the lines of its rejects that are mended, in order."""
    if not passed:
        return [[] for _ in rows]
    return [sorted(_lines(row, passed)) if row["rows_rejected"] else [] for row in rows]


def _lines(row: Row, passed: Mapping[str, Collection[int]]) -> set[int]:
    mends = _mends(row["mends"]) if row["mends"] else None
    return mended_lines(version_of(row["source_key"], row["version"]), mends, passed)


def _mends(text: str) -> Mends:
    return Mends(**json.loads(text))
