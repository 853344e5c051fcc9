"""Reconcile the ledger with a full listing: find missed events, deleted sources and damaged outputs."""

import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from sqlite3 import Row

from common.logs import fields
from lake.layout import clean_key, rejected_key
from lake.stores.base import ObjectStore
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.listing import listings
from pipeline.ledger.source_row import microseconds, now
from pipeline.model.load_record import LoadRecord, read_load_record

SHOWN = 100  # objects that are not ours, which one listing names in the log

log = logging.getLogger(__name__)

# A row that changed after the listing began is left alone: the listing is older than what the ledger knows.
_OLDER = "in_flight = 0 AND touched < :sweep"
_DIFFERS = f"source.source_key IN (SELECT source_key FROM differing) AND {_OLDER}"
_IN_PART = "source_key > :after AND source_key <= :last"
_CORRECTED = f"source.source_key IN (SELECT source_key FROM differing WHERE {_IN_PART}) AND {_OLDER}"
_NOT_LISTED = "source_key NOT IN (SELECT source_key FROM raw_listing)"
_HAS_RESULT = "coalesce(clean_etag, rejected_etag) IS NOT NULL"


_OUTPUT = "FROM output_listing AS output WHERE output.source_key = source.source_key"
_CLEAN, _REJECTED = f"(SELECT clean_etag {_OUTPUT})", f"(SELECT rejected_etag {_OUTPUT})"

_NEW = f"""
INSERT INTO source
    (source_key, dataset, status, etag, size, found_by, landed_at, noticed_at, error, changed_at, touched)
SELECT source_key, dataset, iif(ignored = '', 'pending', 'ignored'), etag, size, 'sweep', landed_at, :now,
       nullif(ignored, ''), iif(ignored = '', NULL, :now), :sweep
FROM differing CROSS JOIN raw_listing USING (source_key)
WHERE {_IN_PART} AND source_key NOT IN (SELECT source_key FROM source)
"""
_CHANGED = f"""
UPDATE source SET dataset = iif(status = 'ignored', raw.dataset, source.dataset),
    status = iif(status = 'ignored' AND raw.ignored <> '', 'ignored', 'pending'),
    error = iif(status = 'ignored', nullif(raw.ignored, ''), NULL), etag = raw.etag, size = raw.size,
    found_by = 'sweep', landed_at = raw.landed_at, noticed_at = :now, attempts = 0, deaths = 0, retry_at = NULL,
    retract = 0
FROM raw_listing AS raw WHERE raw.source_key = source.source_key AND {_CORRECTED}
    AND (raw.etag IS NOT iif(status IN ('loaded', 'refused'), loaded_etag, source.etag) OR status = 'missing'
        OR status = 'ignored' AND raw.ignored = '')
"""
_FORGOTTEN = f"DELETE FROM source WHERE status = 'ignored' AND {_CORRECTED} AND {_NOT_LISTED}"
_GONE = f"""
UPDATE source SET status = 'missing', changed_at = :now
WHERE status <> 'missing' AND retract = 0 AND {_CORRECTED} AND {_NOT_LISTED}
"""
_SPOILED = f"""
UPDATE source SET status = 'pending', loaded_etag = NULL, outputs_known = 0, found_by = 'sweep', noticed_at = :now,
    attempts = 0, deaths = 0
WHERE status IN ('loaded', 'refused') AND {_CORRECTED}
    AND (clean_etag IS NOT {_CLEAN} OR rejected_etag IS NOT {_REJECTED})
"""
_RETRACTED = f"""
UPDATE source SET status = 'pending', retract = 1, found_by = 'sweep', noticed_at = :now
WHERE status = 'missing' AND {_HAS_RESULT} AND {_CORRECTED} AND {_NOT_LISTED}
"""
_IGNORED = """
SELECT source_key, ignored FROM differing CROSS JOIN raw_listing USING (source_key) LEFT JOIN source USING (source_key)
WHERE ignored <> '' AND status IS NOT 'ignored' LIMIT ?
"""
_LOST = f"""
SELECT source_key, dataset, clean_etag FROM source
WHERE status = 'missing' AND {_HAS_RESULT} AND {_DIFFERS}
    AND iif(clean_etag IS NULL, {_REJECTED}, {_CLEAN}) IS NULL
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


def reconcile(
    store: ObjectStore, ledger: Ledger, ours: Callable[[], object] = bool, *, retract_deleted: bool = False
) -> int:
    """List `raw/`, `clean/` and `rejected/`, correct the ledger, and return how many files are pending because of it.

    A new or changed source becomes pending. A source that is gone becomes missing; its rows are retracted if asked for.
    An output that is not there, or has another etag than recorded, makes its source pending; if the source is gone, the
    output is adopted. If every output is of a source that this ledger has taken, the first load of a file need not
    remove what an older ledger may have left.

    Args:
        store: the lake.
        ledger: its ledger.
        ours: raises if the lake is another one by the end of the listing, which then is not applied.
        retract_deleted: retract the rows of deleted files.
    """
    began = now()
    with ledger.transaction() as db:
        [number] = db.execute("UPDATE sweep SET number = number + 1 RETURNING number").fetchone()
    with listings(ledger, store) as all_outputs:
        ours()
        ledger.set("outputs", "ours" if all_outputs and not ledger.rows(_STRANGE)[0]["any"] else "strange")
        pending = _apply_listings(ledger, {"sweep": number, "now": now()}, began, retract_deleted=retract_deleted)
        orphans, lost = ledger.rows(_ORPHANS), ledger.rows(_LOST, sweep=number)
    for row in lost:
        _remove_lost(store, ledger, row)
    for row in orphans:
        _adopt(store, ledger, row)
    return pending


def _apply_listings(ledger: Ledger, values: dict[str, int], began: int, *, retract_deleted: bool) -> int:
    [known], ignored = ledger.rows(_KNOWN)[0], ledger.rows(_IGNORED, SHOWN + 1)
    counts = Counter[str]()
    for after, last in ledger.parts("differing"):
        part = {**values, "after": after, "last": last}
        counts.update(_correct(ledger, part, retract=retract_deleted and bool(known)))
    for row in ignored[:SHOWN]:
        log.info(fields("ignored", key=row["source_key"], reason=row["ignored"]))
    if len(ignored) > SHOWN:
        log.info(fields("more ignored", see="status --status ignored"))
    if retract_deleted and counts["gone"] and not known:
        log.warning(
            fields("nothing retracted", gone=counts["gone"], reason="no known file is listed: is this the lake?")
        )
    if any(counts.values()):
        log.info(fields("sweep", **counts, ms=(now() - began) / 1000))
    return counts.total() - counts["gone"]


def _correct(ledger: Ledger, values: dict[str, object], *, retract: bool) -> Counter[str]:
    """Correct a part of the ledger in one transaction; return how many sources, by what was found of them."""
    counts = Counter[str]()
    with ledger.transaction() as db:
        for name, query in (("new", _NEW), ("changed", _CHANGED), ("spoiled", _SPOILED), ("gone", _GONE)):
            counts[name] = db.execute(query, values).rowcount
        db.execute(_FORGOTTEN, values)
        if retract:
            counts["retracted"] = db.execute(_RETRACTED, values).rowcount
    return counts


def _remove_lost(store: ObjectStore, ledger: Ledger, row: Row) -> None:
    """Remove the result of a missing source from the counts, once a request shows that its output is not there."""
    try:
        store.stat((clean_key if row["clean_etag"] else rejected_key)(row["source_key"]))
    except FileNotFoundError:
        ledger.remove_result(row["source_key"], row["dataset"])
        log.warning(fields("forgotten", key=row["source_key"], reason="its source and what was made of it are gone"))


def _adopt(store: ObjectStore, ledger: Ledger, row: Row) -> None:
    """Adopt the output of a source that is gone, by the load record in its footer."""
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
    """Return the load record of an output, and when it was written; its rows do not pass through memory."""
    with store.open(key) as (info, stream), tempfile.TemporaryFile(dir=ledger.path.parent) as copy:
        shutil.copyfileobj(stream, copy)
        return read_load_record(copy), microseconds(info.modified)
