-- The ledger: one row per source key. Times are UTC microseconds, counts are rows, sizes are bytes.
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT OR IGNORE INTO meta VALUES ('id', lower(hex(randomblob(16))));

CREATE TABLE IF NOT EXISTS sweep (number INTEGER NOT NULL);
INSERT INTO sweep SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM sweep);

CREATE TABLE IF NOT EXISTS fingerprint (dataset TEXT PRIMARY KEY, fingerprint TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS source (
    source_key TEXT PRIMARY KEY,
    dataset TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'loaded', 'refused', 'failed', 'missing', 'ignored')),
    -- the version that was seen last
    etag TEXT NOT NULL,
    size INTEGER NOT NULL,
    found_by TEXT NOT NULL CHECK (found_by IN ('event', 'sweep')),
    landed_at INTEGER NOT NULL,
    noticed_at INTEGER NOT NULL,
    started_at INTEGER,
    in_flight INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    retry_at INTEGER,
    error TEXT,
    changed_at INTEGER,  -- when an attempt last ended
    touched INTEGER NOT NULL,  -- number of the sweep during which it last changed: a clock may jump, this only grows
    -- what an unclean end left in flight: it runs alone next time, and only a death alone is counted
    alone INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,
    retract INTEGER NOT NULL DEFAULT 0,  -- its source is gone, and its rows are to be taken back
    -- the result that is in the store now: it stays until another replaces it
    loaded_etag TEXT,
    loaded_at INTEGER,
    fingerprint TEXT,
    stale INTEGER NOT NULL DEFAULT 0,
    rows_read INTEGER NOT NULL DEFAULT 0,
    rows_kept INTEGER NOT NULL DEFAULT 0,
    rows_dropped INTEGER NOT NULL DEFAULT 0,
    rows_rejected INTEGER NOT NULL DEFAULT 0,
    first_problem TEXT,
    drift TEXT,  -- how its columns differ from those of the contract
    problems TEXT NOT NULL DEFAULT '[]',  -- [rule, column, count] of each that it has
    clean_etag TEXT,
    rejected_etag TEXT,
    -- 0: an attempt may have left other objects than these two etags say
    outputs_known INTEGER NOT NULL DEFAULT 0,
    share TEXT NOT NULL DEFAULT '[]',
    mends TEXT,  -- of a fixed file: its marks (`lake.mending.Mends`)
    -- positions in the order of results: of the newest, and of the first; a table that is behind the first has no row
    position INTEGER,
    first_position INTEGER
);
CREATE INDEX IF NOT EXISTS waiting ON source (alone DESC, noticed_at) WHERE status = 'pending' AND in_flight = 0;
CREATE INDEX IF NOT EXISTS flying ON source (alone) WHERE in_flight = 1;
CREATE INDEX IF NOT EXISTS backlog ON source (dataset, landed_at) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS retrying ON source (retry_at) WHERE status = 'failed' AND retry_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS ended ON source (changed_at);
CREATE INDEX IF NOT EXISTS mending ON source (source_key) WHERE mends IS NOT NULL;
CREATE INDEX IF NOT EXISTS positions ON source (dataset, position) WHERE position IS NOT NULL;

CREATE TABLE IF NOT EXISTS results (position INTEGER NOT NULL);
INSERT INTO results SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM results);
-- Every result counts, also one with the bytes of the one before it: a table may have skipped the object in between.
CREATE TRIGGER IF NOT EXISTS count_result AFTER UPDATE OF clean_etag ON source BEGIN
    UPDATE results SET position = position + 1;
    UPDATE source SET position = (SELECT position FROM results),
        first_position = coalesce(first_position, (SELECT position FROM results)) WHERE source_key = new.source_key;
END;

CREATE TABLE IF NOT EXISTS history (
    id INTEGER PRIMARY KEY,
    source_key TEXT NOT NULL,
    dataset TEXT NOT NULL,
    status TEXT NOT NULL,
    etag TEXT NOT NULL,
    found_by TEXT NOT NULL,
    rows_read INTEGER NOT NULL,
    rows_kept INTEGER NOT NULL,
    rows_dropped INTEGER NOT NULL,
    rows_rejected INTEGER NOT NULL,
    landed_at INTEGER NOT NULL,
    loaded_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS latency ON history (id) WHERE found_by = 'event';

-- The merged summary; sums are exact fractions.
CREATE TABLE IF NOT EXISTS summary (
    dataset TEXT NOT NULL,
    "group" TEXT NOT NULL,
    rows INTEGER NOT NULL,
    sums TEXT NOT NULL,
    PRIMARY KEY (dataset, "group")
) WITHOUT ROWID;

-- Counts by dataset and status, kept by triggers so that no reader ever counts a million rows.
CREATE TABLE IF NOT EXISTS tally (
    dataset TEXT NOT NULL,
    status TEXT NOT NULL,
    files INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    stale INTEGER NOT NULL DEFAULT 0,
    event INTEGER NOT NULL DEFAULT 0,
    sweep INTEGER NOT NULL DEFAULT 0,
    rows_read INTEGER NOT NULL DEFAULT 0,
    rows_kept INTEGER NOT NULL DEFAULT 0,
    rows_dropped INTEGER NOT NULL DEFAULT 0,
    rows_rejected INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (dataset, status)
) WITHOUT ROWID;

CREATE VIEW IF NOT EXISTS change AS SELECT * FROM tally;
CREATE TRIGGER IF NOT EXISTS change_tally INSTEAD OF INSERT ON change BEGIN
    INSERT INTO tally VALUES (new.dataset, new.status, new.files, new.bytes, new.stale, new.event, new.sweep,
                              new.rows_read, new.rows_kept, new.rows_dropped, new.rows_rejected)
    ON CONFLICT DO UPDATE SET
        files = files + new.files, bytes = bytes + new.bytes, stale = stale + new.stale,
        event = event + new.event, sweep = sweep + new.sweep,
        rows_read = rows_read + new.rows_read, rows_kept = rows_kept + new.rows_kept,
        rows_dropped = rows_dropped + new.rows_dropped, rows_rejected = rows_rejected + new.rows_rejected;
END;
CREATE TRIGGER IF NOT EXISTS count_in AFTER INSERT ON source BEGIN
    INSERT INTO change VALUES
        (new.dataset, new.status, 1, new.size, new.stale, new.found_by = 'event', new.found_by = 'sweep',
         new.rows_read, new.rows_kept, new.rows_dropped, new.rows_rejected);
END;
CREATE TRIGGER IF NOT EXISTS count_out AFTER DELETE ON source BEGIN
    INSERT INTO change VALUES
        (old.dataset, old.status, -1, -old.size, -old.stale, -(old.found_by = 'event'), -(old.found_by = 'sweep'),
         -old.rows_read, -old.rows_kept, -old.rows_dropped, -old.rows_rejected);
END;
CREATE TRIGGER IF NOT EXISTS count_over
AFTER UPDATE OF dataset, status, size, stale, found_by, rows_read, rows_kept, rows_dropped, rows_rejected ON source BEGIN
    INSERT INTO change VALUES
        (old.dataset, old.status, -1, -old.size, -old.stale, -(old.found_by = 'event'), -(old.found_by = 'sweep'),
         -old.rows_read, -old.rows_kept, -old.rows_dropped, -old.rows_rejected),
        (new.dataset, new.status, 1, new.size, new.stale, new.found_by = 'event', new.found_by = 'sweep',
         new.rows_read, new.rows_kept, new.rows_dropped, new.rows_rejected);
END;
