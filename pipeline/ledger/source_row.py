"""Columns of a source in the ledger, and how they are set."""

import json
import sqlite3
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pipeline.ledger.totals import replace_shares
from pipeline.model.load_record import LoadRecord

SWEEP = "(SELECT number FROM sweep)"
# An attempt that ended between two puts leaves objects that belong to no one version: no version has its result then.
UNKNOWN = {"loaded_etag": None, "outputs_known": 0}


def now() -> int:
    """Return the time in UTC microseconds."""
    return time.time_ns() // 1000


def microseconds(moment: datetime) -> int:
    """Return a time in UTC microseconds."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def key_text(key: str) -> str:
    """Return a key as text that SQLite can store; bytes that are no text are escaped (such a key is ignored anyway)."""
    return key.encode("utf-8", "backslashreplace").decode()


def result_columns(record: LoadRecord) -> dict[str, object]:
    """Return the columns of a source that come from the load record of its result."""
    return {
        "rows_read": record.rows_read,
        "rows_kept": record.rows_kept,
        "rows_dropped": record.rows_dropped,
        "rows_rejected": record.rows_rejected,
        "fingerprint": record.fingerprint,
        "first_problem": record.first_problem,
        "drift": record.drift,
        "problems": json.dumps(record.problems or [], ensure_ascii=False),
        "share": json.dumps(record.share or [], ensure_ascii=False),
        "mends": json.dumps(record.mends) if record.mends else None,
        "loaded_etag": record.etag,
    }


def update(
    db: sqlite3.Connection, key: str, values: Mapping[str, object], etags: tuple[str, str] | None = None
) -> bool:
    """Set columns of a source, if its etag is one of `etags`; return whether it was set."""
    columns = " = ?, ".join(values)
    condition = " AND etag IN (?, ?)" if etags else ""
    query = f"UPDATE source SET {columns} = ?, touched = {SWEEP} WHERE source_key = ?{condition}"
    return bool(db.execute(query, (*values.values(), key, *(etags or ()))).rowcount)


def forget_result(db: sqlite3.Connection, key: str, dataset: str) -> None:
    """Set the columns of a source without a result, and take its share out of the summary."""
    nothing = LoadRecord(key, dataset, etag="", size=0, fingerprint="")
    replace_shares(db, [nothing])
    update(db, key, {**result_columns(nothing), **UNKNOWN, "clean_etag": None, "rejected_etag": None, "stale": 0})
