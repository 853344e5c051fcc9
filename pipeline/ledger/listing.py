"""Listing of the lake, in a database beside the ledger: however many objects there are, they take no memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from lake.layout import CLEAN, RAW, REJECTED, clean_key, rejected_key, source_key
from lake.stores.base import ObjectInfo, ObjectStore
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.source_row import key_text, microseconds

_HAS_RESULT = "coalesce(clean_etag, rejected_etag) IS NOT NULL"

# Where ledger and listing differ, found in one pass that only reads the ledger: a million files that are as they were
# hold up nobody who writes to it. What is `missing` is always looked at. (SQLite keeps the order of a cross join.)
_DIFFERING = """
INSERT INTO differing
SELECT source_key FROM source
    LEFT JOIN raw_listing AS raw USING (source_key) LEFT JOIN output_listing AS output USING (source_key)
WHERE raw.etag IS NOT iif(status IN ('loaded', 'refused'), loaded_etag, source.etag) OR status = 'missing'
    OR status = 'ignored' AND raw.ignored = ''
    OR output.clean_etag IS NOT source.clean_etag OR output.rejected_etag IS NOT source.rejected_etag
UNION SELECT source_key FROM raw_listing WHERE source_key NOT IN (SELECT source_key FROM source)
UNION SELECT source_key FROM output_listing WHERE source_key NOT IN (SELECT source_key FROM source)
"""

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


@contextmanager
def listings(ledger: Ledger, store: ObjectStore) -> Iterator[bool]:
    """List the lake into `raw_listing` and `output_listing`, and the keys that differ from the ledger into `differing`.

    Yields:
        Whether every output was listed.
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
            _write(
                ledger,
                "INSERT OR REPLACE INTO raw_listing VALUES (?, ?, ?, ?, ?, ?, 1)",
                (_raw_row(ledger, item) for item in raw),
            )
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


def _raw_row(ledger: Ledger, item: ObjectInfo) -> tuple[object, ...]:
    of = ledger.classify(item.key)
    return key_text(item.key), of.dataset, of.ignored, item.etag, item.size, microseconds(item.modified)
