"""The merged summary in the ledger: the shares of all files, kept exact so that each can be taken out again."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from operator import attrgetter
from typing import Any

from pipeline.model.exact_sums import Exact, Totals, exact, merge
from pipeline.model.load_record import LoadRecord


def replace_shares(db: sqlite3.Connection, records: Sequence[LoadRecord]) -> None:
    """Replace the shares of these sources in the merged summary by those of their new records."""
    keys = json.dumps(list(map(attrgetter("source_key"), records)))
    query = "SELECT dataset, share FROM source WHERE source_key IN (SELECT value FROM json_each(?))"
    before = db.execute(query, (keys,)).fetchall()
    if len(before) != len(records):  # a share without a source could never be taken out again
        raise LookupError(f"{len(records)} records are of {len(before)} sources")
    changes: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for dataset, share in before:
        for part in json.loads(share):
            changes[dataset].append((-1, part))
    for record in records:
        for part in record.share or []:
            changes[record.dataset].append((1, part))
    for dataset, parts in changes.items():
        _add(db, dataset, parts)


def _add(db: sqlite3.Connection, dataset: str, parts: list[tuple[int, dict[str, Any]]]) -> None:
    """Add parts of shares, each a group, to the summary of a dataset, or with the sign -1 take them out."""
    groups = json.dumps([json.dumps(part["group"], ensure_ascii=False) for _, part in parts])
    chosen = 'FROM summary WHERE dataset = ? AND "group" IN (SELECT value FROM json_each(?))'
    totals: Totals = {}
    for group, rows, sums in db.execute(f'SELECT "group", rows, sums {chosen}', (dataset, groups)):
        totals[group] = rows, exact_sums(sums)
    for sign, part in parts:
        added = {}
        for name, value in part["sums"].items():
            added[name] = sign * exact(value)
        merge(totals, part["group"], sign * part["rows"], added)
    db.execute(f"DELETE {chosen}", (dataset, groups))
    for group, (rows, totals_of) in totals.items():
        texts = dict(zip(totals_of, map(str, totals_of.values()), strict=True))
        db.execute("INSERT INTO summary VALUES (?, ?, ?, ?)", (dataset, group, rows, json.dumps(texts)))


def exact_sums(text: str) -> dict[str, Exact]:
    """Read the sums of a merged group."""
    sums = {}
    for name, total in json.loads(text).items():
        sums[name] = _exact(total)
    return sums


def _exact(text: str) -> Exact:
    numerator, _, denominator = text.partition("/")  # a quarter of the time that `Fraction(text)` takes
    return Fraction(int(numerator), int(denominator)) if denominator else int(numerator)
