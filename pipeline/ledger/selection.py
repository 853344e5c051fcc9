"""Select the sources that a command is about: by key, by status, or the stale ones."""

import json
from collections.abc import Sequence
from typing import Literal

from common.errors import SettingError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.source_row import key_text

FileStatus = Literal["pending", "loaded", "refused", "failed", "missing", "ignored"]


def select(ledger: Ledger, keys: Sequence[str], status: FileStatus | None, *, stale: bool) -> tuple[str, list[object]]:
    """Return a condition on the table `source`, and the values for its marks; what is not asked for is not in it.

    Raises:
        SettingError: the ledger does not know one of the keys.
    """
    listed = json.dumps([key_text(key) for key in keys])
    query = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT source_key FROM source)"
    if unknown := [row["value"] for row in ledger.rows(query, listed)]:
        raise SettingError(
            f"KEY: the ledger knows no {', '.join(map(repr, unknown))}: expected a key as `status` shows it, "
            "like raw/companydata/companydata.csv"
        )
    conditions: list[str] = ["TRUE"]
    values: list[object] = []
    if status:
        conditions.append("status = ?")
        values.append(status)
    if keys:
        conditions.append("source_key IN (SELECT value FROM json_each(?))")
        values.append(listed)
    if stale:
        conditions.append("stale = 1")
    return " AND ".join(conditions), values
