"""The ledger: queue and memory of the pipeline, one row for each source key (see `schema.sql`)."""

import sqlite3
from collections.abc import Mapping
from operator import attrgetter

from lake.stores.base import ObjectInfo
from pipeline.ledger.source_row import SWEEP, UNKNOWN, forget_result, microseconds, now, result_columns, update
from pipeline.ledger.task_queue import TaskQueue
from pipeline.ledger.totals import replace_shares
from pipeline.model.load_record import LoadRecord
from pipeline.model.task import Result, Task

MAX_ATTEMPTS = 5
HISTORY_ROWS = 100_000

_CLEAN_SLATE = {"attempts": 0, "deaths": 0, "retry_at": None, "error": None, "retract": 0}


class Ledger(TaskQueue):
    """Knowledge of every source: the queue of pending loads, and the memory of the results of the others."""

    def count_files(self, condition: str = "TRUE") -> int:
        """Count the files of the statuses that meet a condition."""
        return int(self.rows(f"SELECT coalesce(sum(files), 0) AS files FROM tally WHERE {condition}")[0]["files"])

    def commit(self, results: Mapping[Task, Result]) -> None:
        """Commit loads in one transaction: of each its record, its history and its share of the summary."""
        moment = now()
        with self.transaction() as db:
            replace_shares(db, list(map(attrgetter("record"), results.values())))
            for task, result in results.items():
                record = result.record
                etags = {"clean_etag": result.clean_etag, "rejected_etag": result.rejected_etag}
                status, stale = self.ended_under(record.fingerprint, record.dataset, record.status)
                columns = {**result_columns(record), **etags, "outputs_known": 1, "loaded_at": moment, "stale": stale}
                facts = {"size": record.size, "attempts": 0 if status == "pending" else task.attempts + 1}
                self._settle(db, task, record.etag, status, columns, **facts)
                _remember(db, task, record, moment)
            db.execute("DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?", (HISTORY_ROWS,))

    def mark_unchanged(self, task: Task, item: ObjectInfo) -> None:
        """End a task whose source is still the version that has its result."""
        with self.transaction() as db:
            [row] = db.execute("SELECT clean_etag, loaded_etag FROM source WHERE source_key = ?", (task.source_key,))
            if row["loaded_etag"] is None:  # meanwhile it was asked for again
                update(db, task.source_key, {"in_flight": 0})
                return
            status = "loaded" if row["clean_etag"] else "refused"
            status, stale = self.ended_under(task.fingerprint, task.dataset, status)
            facts = {"size": item.size, "landed_at": microseconds(item.modified)}
            self._settle(db, task, item.etag, status, {"stale": stale}, **facts)

    def mark_missing(self, task: Task) -> None:
        """End a task whose source is gone; the rows of the version before it stay."""
        with self.transaction() as db:
            self._settle(db, task, task.etag, "missing")

    def mark_failed(self, task: Task, error: str, retry_after: float) -> None:
        """Count a failed attempt; the file is tried again after some seconds, and after five only by hand."""
        attempts = task.attempts + 1
        retry_at = now() + round(retry_after * 1e6) if attempts < MAX_ATTEMPTS else None
        with self.transaction() as db:
            db.execute("UPDATE source SET stale = clean_etag IS NOT NULL WHERE source_key = ?", (task.source_key,))
            facts = {"attempts": attempts, "retry_at": retry_at, "error": error}
            self._settle(db, task, task.etag, "failed", UNKNOWN, **facts)

    def retract(self, task: Task) -> None:
        """End a task whose source is gone and whose outputs were deleted: remove its rows, problems and share."""
        with self.transaction() as db:
            forget_result(db, task.source_key, task.dataset)
            self._settle(db, task, task.etag, "missing")

    def remove_result(self, source_key: str, dataset: str) -> None:
        """Remove the rows, problems and share of a missing source whose result is not in the store any more."""
        with self.transaction() as db:
            if db.execute(
                "SELECT 1 FROM source WHERE source_key = ? AND status = 'missing'", (source_key,)
            ).fetchone():  # it may have come back meanwhile
                forget_result(db, source_key, dataset)

    def adopt(self, record: LoadRecord, clean_etag: str | None, rejected_etag: str | None, landed_at: int) -> None:
        """Adopt a result from the store whose source is gone and which the ledger does not know."""
        with self.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO source"
                " (source_key, dataset, status, etag, size, found_by, landed_at, noticed_at, touched)"
                f" VALUES (?, ?, 'missing', ?, ?, 'sweep', ?, ?, {SWEEP})",
                (record.source_key, record.dataset, record.etag, record.size, landed_at, now()),
            )
            [row] = db.execute("SELECT status FROM source WHERE source_key = ?", (record.source_key,))
            if row["status"] == "missing":  # it may have come back meanwhile
                replace_shares(db, [record])
                etags = {"clean_etag": clean_etag, "rejected_etag": rejected_etag}
                times = {"loaded_at": landed_at, "changed_at": now()}
                update(db, record.source_key, {**result_columns(record), **etags, **times, "stale": 0})

    def _settle(
        self,
        db: sqlite3.Connection,
        task: Task,
        etag: str,
        status: str,
        always: Mapping[str, object] | None = None,
        **values: object,
    ) -> None:
        """End a task, unless another version was noticed meanwhile: then the file waits again, with a clean slate.

        The columns in `always` are set all the same.
        """
        self.suspects.discard(task.source_key)
        ended = {**(always or {}), "in_flight": 0, "alone": 0, "changed_at": now()}
        settled = {**ended, **_CLEAN_SLATE, **values, "status": status, "etag": etag}
        if not update(db, task.source_key, settled, (task.etag, etag)):
            update(db, task.source_key, ended)


def _remember(db: sqlite3.Connection, task: Task, record: LoadRecord, moment: int) -> None:
    db.execute(
        "INSERT INTO history (source_key, dataset, status, etag, found_by, rows_read, rows_kept, rows_dropped,"
        " rows_rejected, landed_at, loaded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (record.source_key, record.dataset, record.status, record.etag, task.found_by, record.rows_read,
         record.rows_kept, record.rows_dropped, record.rows_rejected, task.landed_at, moment),
    )  # fmt: skip
