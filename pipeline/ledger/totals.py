"""The merged summary in the ledger: the shares of all files, so exact that each can be taken out again."""

import json
import sqlite3
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from pipeline.model.exact import Exact, Totals, exact, merge
from pipeline.model.load_record import LoadRecord


def replace_shares(db: sqlite3.Connection, records: Sequence[LoadRecord]) -> None:
    """Take the shares of the results before out of the merged summary, and put those of these records in."""
    keys = json.dumps([record.source_key for record in records])
    query = "SELECT dataset, share FROM source WHERE source_key IN (SELECT value FROM json_each(?))"
    changes = [(row["dataset"], -1, json.loads(row["share"])) for row in db.execute(query, (keys,))]
    if len(changes) != len(records):  # what no source has could never be taken out again
        raise LookupError(f"{len(records)} records are of {len(changes)} sources")
    changes += [(record.dataset, 1, record.share or []) for record in records]
    for dataset in {dataset for dataset, _, _ in changes}:
        _add(db, dataset, [(sign, one) for of, sign, share in changes if of == dataset for one in share])


def _add(db: sqlite3.Connection, dataset: str, changes: list[tuple[int, dict[str, Any]]]) -> None:
    """Add groups of a file to those of a dataset, or take them out of it."""
    groups = json.dumps([json.dumps(one["group"], ensure_ascii=False) for _, one in changes])
    chosen = 'FROM summary WHERE dataset = ? AND "group" IN (SELECT value FROM json_each(?))'
    found = db.execute(f'SELECT "group", rows, sums {chosen}', (dataset, groups))
    totals: Totals = {group: (rows, exact_sums(sums)) for group, rows, sums in found}
    for sign, one in changes:
        added = {name: exact(sign * value) for name, value in one["sums"].items()}
        merge(totals, one["group"], sign * one["rows"], added)
    db.execute(f"DELETE {chosen}", (dataset, groups))
    db.executemany(
        "INSERT INTO summary VALUES (?, ?, ?, ?)",
        (
            (dataset, group, rows, json.dumps({name: str(total) for name, total in sums.items()}))
            for group, (rows, sums) in totals.items()
        ),
    )


def exact_sums(text: str) -> dict[str, Exact]:
    """Read the sums of a merged group."""
    return {name: _exact(total) for name, total in json.loads(text).items()}


def _exact(text: str) -> Exact:
    numerator, _, denominator = text.partition("/")  # a quarter of the time that `Fraction(text)` takes
    return Fraction(int(numerator), int(denominator)) if denominator else int(numerator)
