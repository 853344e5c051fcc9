"""Which sources of the ledger a command is about."""

import json
from collections.abc import Sequence

from pipeline.ledger import Ledger, key_text
from storage.console import SettingError


def selected(ledger: Ledger, keys: Sequence[str], status: str | None, *, stale: bool) -> tuple[str, list[object]]:
    """Give a condition on the table `source`, and the values for its marks: of these keys, this status, and stale.

    What is not asked for is not in it. `SettingError` names the keys which the ledger does not know.
    """
    listed = json.dumps([key_text(key) for key in keys])
    query = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT source_key FROM source)"
    if unknown := [row["value"] for row in ledger.rows(query, listed)]:
        raise SettingError(
            f"KEY: the ledger knows no {', '.join(map(repr, unknown))}: expected a key as `status` shows it, "
            "like raw/companydata/companydata.csv"
        )
    asked: list[tuple[str, object]] = [("status = ?", status)] if status else []
    asked += [("source_key IN (SELECT value FROM json_each(?))", listed)] if keys else []
    asked += [("stale = ?", 1)] if stale else []
    return " AND ".join(["TRUE", *(condition for condition, _ in asked)]), [value for _, value in asked]
