"""The merged summary in the ledger: the shares of all files, so exact that each can be taken out again."""

import json
import sqlite3
from fractions import Fraction

from pipeline.stage import Record
from pipeline.summary import Exact, Totals, exact, merge


def replace_share(db: sqlite3.Connection, record: Record) -> None:
    """Take the share of the result before out of the merged summary, and put the new one in."""
    [row] = db.execute("SELECT share FROM source WHERE source_key = ?", (record.source_key,))
    shares = ((-1, json.loads(row["share"])), (1, record.share or []))
    groups = json.dumps([json.dumps(one["group"], ensure_ascii=False) for _, share in shares for one in share])
    chosen = 'FROM summary WHERE dataset = ? AND "group" IN (SELECT value FROM json_each(?))'
    found = db.execute(f'SELECT "group", rows, sums {chosen}', (record.dataset, groups))
    totals: Totals = {group: (rows, exact_sums(sums)) for group, rows, sums in found}
    for sign, share in shares:
        for one in share:
            added = {name: exact(sign * value) for name, value in one["sums"].items()}
            merge(totals, one["group"], sign * one["rows"], added)
    db.execute(f"DELETE {chosen}", (record.dataset, groups))
    db.executemany(
        "INSERT INTO summary VALUES (?, ?, ?, ?)",
        (
            (record.dataset, group, rows, json.dumps({name: str(total) for name, total in sums.items()}))
            for group, (rows, sums) in totals.items()
        ),
    )


def exact_sums(text: str) -> dict[str, Exact]:
    """Read the sums of a merged group."""
    return {name: _exact(total) for name, total in json.loads(text).items()}


def _exact(text: str) -> Exact:
    numerator, _, denominator = text.partition("/")  # a quarter of the time that `Fraction(text)` takes
    return Fraction(int(numerator), int(denominator)) if denominator else int(numerator)
