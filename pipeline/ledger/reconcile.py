"""What a listing of the lake tells that no event has: the sweep that makes everything right."""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from sqlite3 import Row

from common.logs import fields
from lake.layout import CLEAN, RAW, REJECTED, clean_key, rejected_key, source, source_key
from lake.stores.base import ObjectInfo, ObjectStore
from pipeline.ledger.ledger import Ledger, key_text, microseconds, now
from pipeline.model.load_record import LoadRecord, read_load_record

SHOWN = 100  # objects that are not ours, which one listing names in the log

log = logging.getLogger(__name__)

# Where ledger and listing differ, found in one pass that only reads the ledger: a million files that are as they were
# hold up nobody who writes to it. What is `missing` is always looked at. (SQLite keeps the order of a cross join.)
_DIFFERING = """
INSERT INTO differing
SELECT source_key FROM source
    LEFT JOIN raw_listing AS raw USING (source_key) LEFT JOIN output_listing AS output USING (source_key)
WHERE raw.etag IS NOT iif(status IN ('loaded', 'refused'), loaded_etag, source.etag) OR status = 'missing'
    OR output.clean_etag IS NOT source.clean_etag OR output.rejected_etag IS NOT source.rejected_etag
UNION SELECT source_key FROM raw_listing WHERE source_key NOT IN (SELECT source_key FROM source)
UNION SELECT source_key FROM output_listing WHERE source_key NOT IN (SELECT source_key FROM source)
"""
_DIFFERS = "source.source_key IN (SELECT source_key FROM differing)"

# A row that changed after the listing began is left alone: the listing is older than what the ledger knows.
_OLDER = f"{_DIFFERS} AND in_flight = 0 AND touched < :sweep"
_NOT_LISTED = "source_key NOT IN (SELECT source_key FROM raw_listing)"
_HAS_RESULT = "coalesce(clean_etag, rejected_etag) IS NOT NULL"


def _output(etag: str) -> str:
    return f"(SELECT {etag} FROM output_listing AS output WHERE output.source_key = source.source_key)"


_NEW = """
INSERT INTO source
    (source_key, dataset, status, etag, size, found_by, landed_at, noticed_at, error, changed_at, touched)
SELECT source_key, dataset, iif(ignored = '', 'pending', 'ignored'), etag, size, 'sweep', landed_at, :now,
       nullif(ignored, ''), iif(ignored = '', NULL, :now), :sweep
FROM differing CROSS JOIN raw_listing USING (source_key) WHERE source_key NOT IN (SELECT source_key FROM source)
"""
_CHANGED = f"""
UPDATE source SET status = iif(raw.ignored = '', 'pending', 'ignored'), etag = raw.etag, size = raw.size,
    found_by = 'sweep', landed_at = raw.landed_at, noticed_at = :now, error = nullif(raw.ignored, ''), attempts = 0,
    deaths = 0, retry_at = NULL, retract = 0
FROM raw_listing AS raw WHERE raw.source_key = source.source_key AND {_OLDER}
    AND (raw.etag IS NOT iif(status IN ('loaded', 'refused'), loaded_etag, source.etag) OR status = 'missing')
"""
_FORGOTTEN = f"DELETE FROM source WHERE status = 'ignored' AND {_OLDER} AND {_NOT_LISTED}"
_GONE = f"""
UPDATE source SET status = 'missing', changed_at = :now
WHERE status <> 'missing' AND retract = 0 AND {_OLDER} AND {_NOT_LISTED}
"""
_SPOILED = f"""
UPDATE source SET status = 'pending', loaded_etag = NULL, found_by = 'sweep', noticed_at = :now, attempts = 0,
    deaths = 0
WHERE status IN ('loaded', 'refused') AND {_OLDER}
    AND (clean_etag IS NOT {_output("clean_etag")} OR rejected_etag IS NOT {_output("rejected_etag")})
"""
_RETRACTED = f"""
UPDATE source SET status = 'pending', retract = 1, found_by = 'sweep', noticed_at = :now
WHERE status = 'missing' AND {_HAS_RESULT} AND {_OLDER} AND {_NOT_LISTED}
"""
_IGNORED = """
SELECT source_key, ignored FROM differing CROSS JOIN raw_listing USING (source_key) LEFT JOIN source USING (source_key)
WHERE ignored <> '' AND status IS NOT 'ignored' LIMIT ?
"""
_LOST = f"""
SELECT source_key, dataset, clean_etag FROM source
WHERE status = 'missing' AND {_HAS_RESULT} AND {_OLDER}
    AND iif(clean_etag IS NULL, {_output("rejected_etag")}, {_output("clean_etag")}) IS NULL
"""
_ORPHANS = """
SELECT output.* FROM differing CROSS JOIN output_listing AS output USING (source_key)
    LEFT JOIN source USING (source_key)
WHERE source.source_key IS NULL OR status = 'missing'
    AND (output.clean_etag IS NOT source.clean_etag OR output.rejected_etag IS NOT source.rejected_etag)
"""
_STRANGE = """
SELECT EXISTS (SELECT 1 FROM differing CROSS JOIN output_listing USING (source_key) LEFT JOIN source USING (source_key)
               WHERE coalesce(started_at, loaded_at) IS NULL) AS any
"""
_KNOWN = "SELECT EXISTS (SELECT 1 FROM source JOIN raw_listing USING (source_key) WHERE status <> 'ignored' AND seen)"

# Below a folder that could not be read nothing is known to be new, changed or gone: it counts as it did.
_BELOW = "source_key >= ? AND source_key < ?"
_AS_KNOWN = f"""
INSERT OR IGNORE INTO raw_listing
SELECT source_key, dataset, iif(status = 'ignored', error, ''), iif(status IN ('loaded', 'refused'), loaded_etag, etag),
    size, landed_at, 0
FROM source WHERE {_BELOW} AND status <> 'missing'
"""
_GONE_AS_KNOWN = f"""
DELETE FROM differing WHERE {_BELOW} AND source_key IN (SELECT source_key FROM source WHERE status = 'missing')
"""
_OUTPUTS_AS_KNOWN = f"""
INSERT OR REPLACE INTO output_listing SELECT source_key, clean_etag, rejected_etag FROM source
WHERE {_BELOW} AND {_HAS_RESULT}
"""


def reconcile(
    store: ObjectStore, ledger: Ledger, ours: Callable[[], object] = bool, *, retract_deleted: bool = False
) -> int:
    """List `raw/`, `clean/` and `rejected/`, put the ledger right, and return how many files wait because of it.

    What is new or changed is noted; what is gone is `missing`, and has its rows taken back where that is asked for; an
    output that is not there, or not the one that was recorded, makes its source wait again, and one whose source is
    gone is taken over as it is. Where every output is of a source that this ledger has taken, the first load of a file
    need not remove what an older ledger may have left.

    Args:
        store: the lake.
        ledger: what is known of it.
        ours: raises where the lake is another by the end of the listing, which tells nothing of ours then.
        retract_deleted: take the rows of deleted files back.
    """
    began = now()
    with ledger.transaction() as db:
        [number] = db.execute("UPDATE sweep SET number = number + 1 RETURNING number").fetchone()
    with _listings(ledger, store) as all_outputs:
        ours()
        ledger.set("outputs", "ours" if all_outputs and not ledger.rows(_STRANGE)[0]["any"] else "strange")
        found = _apply_listings(ledger, {"sweep": number, "now": now()}, began, retract_deleted=retract_deleted)
        orphans, lost = ledger.rows(_ORPHANS), ledger.rows(_LOST, sweep=number)
    for row in lost:
        _forget(store, ledger, row)
    for row in orphans:
        _adopt(store, ledger, row)
    return found


def _apply_listings(ledger: Ledger, values: dict[str, int], began: int, *, retract_deleted: bool) -> int:
    told: dict[str, int] = {}
    with ledger.transaction() as db:
        [known] = db.execute(_KNOWN).fetchone()
        ignored = db.execute(_IGNORED, (SHOWN + 1,)).fetchall()
        for name, query in (("new", _NEW), ("changed", _CHANGED), ("spoiled", _SPOILED), ("gone", _GONE)):
            told[name] = db.execute(query, values).rowcount
        db.execute(_FORGOTTEN, values)
        if retract_deleted and known:
            told["retracted"] = db.execute(_RETRACTED, values).rowcount
    for row in ignored[:SHOWN]:
        log.info(fields("ignored", key=row["source_key"], reason=row["ignored"]))
    if len(ignored) > SHOWN:
        log.info(fields("more ignored", see="status --status ignored"))
    if retract_deleted and told["gone"] and not known:
        log.warning(fields("nothing retracted", gone=told["gone"], reason="no known file is listed: is this the lake?"))
    if any(told.values()):
        log.info(fields("sweep", **told, ms=(now() - began) / 1000))
    return sum(told.values()) - told["gone"]


@contextmanager
def _listings(ledger: Ledger, store: ObjectStore) -> Iterator[bool]:
    """Hold the listings in a database beside the ledger: however many objects there are, they cost disk, not memory.

    Yields whether every output was listed.
    """
    path = ledger.path.with_name("listing.sqlite")
    path.unlink(missing_ok=True)
    ledger.db.execute("ATTACH ? AS listing", (str(path),))
    try:
        ledger.db.execute("PRAGMA listing.journal_mode = OFF")
        columns = "dataset, ignored, etag, size, landed_at, seen"
        _write(ledger, f"CREATE TABLE listing.raw_listing (source_key TEXT PRIMARY KEY, {columns}) WITHOUT ROWID")
        columns = "clean_etag, rejected_etag"
        _write(ledger, f"CREATE TABLE listing.output_listing (source_key TEXT PRIMARY KEY, {columns}) WITHOUT ROWID")
        unread: set[str] = set()
        for raw in _batches(store.list(RAW, unread)):
            _write(ledger, "INSERT OR REPLACE INTO raw_listing VALUES (?, ?, ?, ?, ?, ?, 1)", map(_raw_row, raw))
        _write(ledger, _AS_KNOWN, map(_below, unread))
        unread_outputs = _list_outputs(ledger, store)
        _write(ledger, "CREATE TABLE listing.differing (source_key TEXT PRIMARY KEY) WITHOUT ROWID")
        _write(ledger, _DIFFERING)
        _write(ledger, _GONE_AS_KNOWN, map(_below, unread))
        yield not unread_outputs
    finally:
        ledger.db.execute("DETACH listing")
        path.unlink(missing_ok=True)


def _list_outputs(ledger: Ledger, store: ObjectStore) -> set[str]:
    """Write the outputs that are listed beside the sources; return the prefixes of the folders that cannot be read."""
    unread: set[str] = set()
    for prefix, name, output in ((CLEAN, "clean_etag", clean_key), (REJECTED, "rejected_etag", rejected_key)):
        for items in _batches(store.list(prefix, unread)):
            rows = (
                (source_key(key), item.etag)
                for item in items
                if output(source_key(key := key_text(item.key))) == key  # else it is no output of ours
            )
            _write(
                ledger,
                f"INSERT INTO output_listing (source_key, {name}) VALUES (?, ?)"
                f" ON CONFLICT DO UPDATE SET {name} = excluded.{name}",
                rows,
            )
    _write(ledger, _OUTPUTS_AS_KNOWN, map(_below, unread))
    return unread


def _below(prefix: str) -> tuple[str, str]:
    """Return the bounds of the sources whose keys, or whose outputs' keys, begin with a folder's prefix."""
    first = RAW + key_text(prefix).partition("/")[2]
    return first, first[:-1] + chr(ord("/") + 1)


def _write(ledger: Ledger, query: str, rows: Iterator[tuple[object, ...]] | None = None) -> None:
    """Write to the listing, in a transaction that holds up nobody who writes to the ledger."""
    with ledger.transaction("DEFERRED") as db:
        db.execute(query) if rows is None else db.executemany(query, rows)


def _batches(items: Iterator[ObjectInfo], size: int = 1000) -> Iterator[list[ObjectInfo]]:
    while batch := list(islice(items, size)):
        yield batch


def _raw_row(item: ObjectInfo) -> tuple[object, ...]:
    found = source(item.key)
    return key_text(item.key), found.dataset, found.ignored, item.etag, item.size, microseconds(item.modified)


def _forget(store: ObjectStore, ledger: Ledger, row: Row) -> None:
    """Let a missing source count no more, once its output was asked for and is really not there."""
    try:
        store.stat((clean_key if row["clean_etag"] else rejected_key)(row["source_key"]))
    except FileNotFoundError:
        ledger.remove_result(row["source_key"], row["dataset"])
        log.warning(fields("forgotten", key=row["source_key"], reason="its source and what was made of it are gone"))


def _adopt(store: ObjectStore, ledger: Ledger, row: Row) -> None:
    """Take over what was made of a file that is gone, by the record in the footer."""
    key = (clean_key if row["clean_etag"] else rejected_key)(row["source_key"])
    try:
        record, landed_at = _read_footer(store, ledger, key)
        if record.source_key != row["source_key"]:
            raise ValueError(f"its record is of {record.source_key}")
        if not row["clean_etag"] and record.status == "loaded":
            raise ValueError("the clean object that belongs to it is not there")
    except FileNotFoundError:
        return
    except ValueError as error:
        log.warning(fields("not ours", key=key, reason=error))
        return
    ledger.adopt(record, row["clean_etag"], row["rejected_etag"], landed_at)
    log.info(fields("adopted", key=record.source_key, rows=record.rows_kept, reason="its source is gone"))


def _read_footer(store: ObjectStore, ledger: Ledger, key: str) -> tuple[LoadRecord, int]:
    """Give an output's record, and when it was written; what is in it does not pass through memory."""
    with store.open(key) as (info, stream), tempfile.TemporaryFile(dir=ledger.path.parent) as copy:
        shutil.copyfileobj(stream, copy)
        return read_load_record(copy), microseconds(info.modified)
