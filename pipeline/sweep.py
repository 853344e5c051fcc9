"""What a listing of the lake tells that no event has: the sweep that makes everything right."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.ledger import Ledger, key_text, microseconds, now
from pipeline.stage import read_record
from storage import ObjectInfo, ObjectStore
from storage.console import fields
from storage.layout import CLEAN, RAW, source, source_key

log = logging.getLogger(__name__)

# A row that changed after the listing began is left alone: the listing is older than what the ledger knows.
_OLDER = "in_flight = 0 AND noticed_at < :began AND coalesce(changed_at, 0) < :began"

_NEW = """
INSERT INTO source (source_key, dataset, status, etag, size, found_by, landed_at, noticed_at, error, changed_at)
SELECT source_key, dataset, iif(ignored = '', 'pending', 'ignored'), etag, size, 'sweep', landed_at, :now,
       nullif(ignored, ''), iif(ignored = '', NULL, :now)
FROM raw_listing WHERE source_key NOT IN (SELECT source_key FROM source)
"""
_CHANGED = f"""
UPDATE source SET status = iif(raw.ignored = '', 'pending', 'ignored'), etag = raw.etag, size = raw.size,
    found_by = 'sweep', landed_at = raw.landed_at, noticed_at = :now, attempts = 0, retry_at = NULL
FROM raw_listing AS raw WHERE raw.source_key = source.source_key AND {_OLDER}
    AND (raw.etag <> iif(status IN ('loaded', 'refused'), loaded_etag, source.etag) OR status = 'missing')
"""
_FORGOTTEN = f"""
DELETE FROM source WHERE status = 'ignored' AND {_OLDER} AND source_key NOT IN (SELECT source_key FROM raw_listing)
"""
_GONE = f"""
UPDATE source SET status = 'missing', changed_at = :now
WHERE status <> 'missing' AND {_OLDER} AND source_key NOT IN (SELECT source_key FROM raw_listing)
"""
_SPOILED = f"""
UPDATE source SET status = 'pending', loaded_etag = NULL, found_by = 'sweep', noticed_at = :now
WHERE status IN ('loaded', 'refused') AND {_OLDER}
    AND clean_etag IS NOT (SELECT etag FROM clean_listing WHERE clean_listing.source_key = source.source_key)
"""
_ORPHANS = "SELECT key FROM clean_listing WHERE source_key NOT IN (SELECT source_key FROM source)"


def sweep(store: ObjectStore, ledger: Ledger) -> int:
    """List `raw/` and `clean/`, put the ledger right, and return how many files have to be loaded.

    What is new or changed is noted; what is gone is `missing`; a clean object that is not there, or not the one that
    was recorded, makes its source wait again, and one whose source is gone and unknown is taken over.
    """
    began = now()
    with _listings(ledger, store):
        found = _reconcile(ledger, began)
        orphans = [row["key"] for row in ledger.rows(_ORPHANS)]
    for key in orphans:
        _adopt(store, ledger, key)
    return found


def _reconcile(ledger: Ledger, began: int) -> int:
    times = {"began": began, "now": now()}
    with ledger.transaction() as db:
        new = db.execute(_NEW, times).rowcount
        changed = db.execute(_CHANGED, times).rowcount
        db.execute(_FORGOTTEN, times)
        gone = db.execute(_GONE, times).rowcount
        spoiled = db.execute(_SPOILED, times).rowcount
    if new or changed or gone or spoiled:
        log.info(fields("sweep", new=new, changed=changed, gone=gone, spoiled=spoiled, ms=(now() - began) / 1000))
    return new + changed + spoiled


@contextmanager
def _listings(ledger: Ledger, store: ObjectStore) -> Iterator[None]:
    """Hold the listings in a database beside the ledger: however many objects there are, they cost disk, not memory."""
    path = ledger.path.with_name("listing.sqlite")
    path.unlink(missing_ok=True)
    ledger.db.execute("ATTACH ? AS listing", (str(path),))
    try:
        ledger.db.execute("PRAGMA listing.journal_mode = OFF")
        with ledger.transaction("DEFERRED") as db:
            db.execute(
                "CREATE TABLE listing.raw_listing"
                " (source_key TEXT PRIMARY KEY, dataset, ignored, etag, size, landed_at) WITHOUT ROWID"
            )
            db.execute("CREATE TABLE listing.clean_listing (source_key TEXT PRIMARY KEY, key, etag) WITHOUT ROWID")
        for raw in _batches(store.list(RAW)):
            with ledger.transaction("DEFERRED") as db:
                db.executemany("INSERT OR REPLACE INTO raw_listing VALUES (?, ?, ?, ?, ?, ?)", map(_raw_row, raw))
        for clean in _batches(store.list(CLEAN)):
            with ledger.transaction("DEFERRED") as db:
                values = [(source_key(key_text(item.key)), key_text(item.key), item.etag) for item in clean]
                db.executemany("INSERT OR REPLACE INTO clean_listing VALUES (?, ?, ?)", values)
        yield
    finally:
        ledger.db.execute("DETACH listing")
        path.unlink(missing_ok=True)


def _batches(items: Iterator[ObjectInfo], size: int = 1000) -> Iterator[list[ObjectInfo]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    yield batch


def _raw_row(item: ObjectInfo) -> tuple[object, ...]:
    found = source(item.key)
    return key_text(item.key), found.dataset, found.ignored, item.etag, item.size, microseconds(item.modified)


def _adopt(store: ObjectStore, ledger: Ledger, key: str) -> None:
    """Take over a clean object whose source is gone, by the record in its footer."""
    try:
        with store.open(key) as (info, stream):
            content = stream.read()
        record = read_record(content)
        if record.source_key != source_key(key):
            raise ValueError(f"its record is of {record.source_key}")
    except FileNotFoundError:
        return
    except ValueError as error:
        log.warning(fields("not ours", key=key, reason=error))
        return
    ledger.adopt(record, info.etag, microseconds(info.modified))
    log.info(fields("adopted", key=record.source_key, rows=record.rows_kept, reason="its source is gone"))
