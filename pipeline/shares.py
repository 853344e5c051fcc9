"""The merged summary in the ledger: the shares of all files, so exact that each can be taken out again."""

import json
import sqlite3
from fractions import Fraction

from pipeline.stage import Record
from pipeline.summary import Totals, merge


def replace_share(db: sqlite3.Connection, record: Record) -> None:
    """Take the share of the result before out of the merged summary, and put the new one in."""
    [row] = db.execute("SELECT share FROM source WHERE source_key = ?", (record.source_key,))
    signed = [(-1, one) for one in json.loads(row["share"])] + [(1, one) for one in record.share or []]
    for sign, one in signed:
        key = (record.dataset, json.dumps(one["group"], ensure_ascii=False))
        found = db.execute('SELECT rows, sums FROM summary WHERE dataset = ? AND "group" = ?', key).fetchone()
        totals: Totals = {key[1]: (found["rows"], exact_sums(found["sums"]))} if found else {}
        added = {name: sign * Fraction(value) for name, value in one["sums"].items()}
        merge(totals, one["group"], sign * one["rows"], added)
        db.execute('DELETE FROM summary WHERE dataset = ? AND "group" = ?', key)
        for rows, sums in totals.values():
            text = json.dumps({name: str(total) for name, total in sums.items()})
            db.execute("INSERT INTO summary VALUES (?, ?, ?, ?)", (*key, rows, text))


def exact_sums(text: str) -> dict[str, Fraction]:
    """Read the sums of a merged group."""
    return {name: Fraction(total) for name, total in json.loads(text).items()}
