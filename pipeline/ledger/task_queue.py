"""The queue of the ledger: which files wait, and which of them make the next batch."""

import json
import math
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Literal

from lake.stores.base import ObjectInfo
from pipeline.ledger.fingerprints import Fingerprints
from pipeline.ledger.source_row import SWEEP, UNKNOWN, key_text, microseconds, now, update
from pipeline.model.task import Task
from pipeline.readers.formats import is_small

FoundBy = Literal["event", "sweep"]

MAX_DEATHS = 3
SHORTEST_PAUSE = 1.0  # seconds until a file that could not be read is tried again
LONGEST_PAUSE = 60.0  # seconds until a file is tried again; more is left of it only after a jump of the clock
TOGETHER = 16  # small files that are loaded together at most: half as many take a twentieth more
SECONDS = 1.0  # that they take together at most, as far as is known
ROOM = 2 << 20  # bytes that are staged together at most: a row of two bytes takes about fifty in memory

# As the fields of a `Task`, but for the last two.
_TASK = "source_key, dataset, etag, found_by, attempts, landed_at, loaded_etag, fingerprint, retract, size"
_LATER = "retry_at BETWEEN :soon AND :late"
_WAITS = f"status = 'pending' AND in_flight = 0 AND (retry_at IS NULL OR NOT {_LATER})"
# A file that was never taken has no outputs, if the last listing found outputs of taken files only.
_FIRST = (
    "coalesce(started_at, loaded_at) IS NULL AND EXISTS (SELECT 1 FROM meta WHERE (name, value) = ('outputs', 'ours'))"
)
_OUTPUTS = ", ".join(
    f"CASE WHEN outputs_known THEN coalesce({etag}, '') WHEN {_FIRST} THEN '' END"
    for etag in ("clean_etag", "rejected_etag")
)


class TaskQueue(Fingerprints):
    """The sources that wait to be loaded, in the order in which they were noticed."""

    def __init__(self, path: Path) -> None:
        """Open the ledger at `path`, as `Database` does."""
        super().__init__(path)
        self.suspects: set[str] = set()  # files whose batch a process did not survive: each is a batch of its own

    def start_run(
        self, fingerprints: Mapping[str, str], text_datasets: Collection[str] = (), *, died: bool = True
    ) -> None:
        """Make ready for a run: what a crash left in flight waits again, to run alone, and the fingerprints are these.

        A file that was alone in flight when the program died is counted one death; three make it failed. A program that
        ended by an error, such as a full disk, has not `died`.
        """
        with self.transaction() as db:
            db.execute(
                "UPDATE source SET in_flight = 0, loaded_etag = NULL, outputs_known = 0,"
                " deaths = deaths + (alone AND ?), alone = (alone OR ?) WHERE in_flight = 1",
                (died, died),
            )
            _fail_the_deadly(db, f"the pipeline died {MAX_DEATHS} times while it loaded this file and no other")
            # The next sweep says again what is to be taken back, if that is still asked for.
            db.execute("UPDATE source SET status = 'missing', retract = 0 WHERE status = 'pending' AND retract = 1")
            db.execute("DELETE FROM meta WHERE name = 'outputs'")  # until the first listing tells
            self._use(db, fingerprints, text_datasets)

    def notice(self, item: ObjectInfo, found_by: FoundBy) -> bool:
        """Record an observed object version. Return True if it needs loading, False if its result is there already."""
        of, key = self.classify(item.key), key_text(item.key)
        status = "ignored" if of.ignored else "pending"
        values = (key, of.dataset, status, item.etag, item.size, found_by, microseconds(item.modified), now())
        with self.transaction() as db:
            changed = db.execute(
                "INSERT INTO source (source_key, dataset, status, etag, size, found_by, landed_at, noticed_at,"
                f" error, changed_at, touched) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {SWEEP})"
                " ON CONFLICT (source_key) DO UPDATE SET dataset = iif(status = 'ignored', excluded.dataset, dataset),"
                " status = iif(status = 'ignored', excluded.status, 'pending'), etag = excluded.etag,"
                " size = excluded.size, found_by = excluded.found_by, landed_at = excluded.landed_at,"
                " noticed_at = excluded.noticed_at, touched = excluded.touched,"
                " error = iif(status = 'ignored', excluded.error, NULL),"
                " attempts = 0, deaths = 0, retry_at = NULL, retract = 0,"
                " changed_at = coalesce(excluded.changed_at, changed_at)"
                " WHERE CASE WHEN status IN ('loaded', 'refused') THEN loaded_etag ELSE etag END IS NOT excluded.etag"
                " OR status = 'missing' OR status = 'pending' AND retry_at IS NOT NULL"
                " OR status = 'ignored' AND excluded.status = 'pending'",
                (*values, of.ignored or None, values[-1] if of.ignored else None),
            )
            return bool(changed.rowcount)

    def replay(self, condition: str, *values: object) -> int:
        """Return sources to the queue as if they were new, whatever their status, and return how many.

        A missing or ignored source has nothing to load. The rows of a source stay until it is loaded again.
        """
        wanted, count = f"status NOT IN ('missing', 'ignored') AND ({condition})", 0
        for after, last in self.parts("source", wanted, *values):
            with self.transaction() as db:
                count += db.execute(
                    "UPDATE source SET status = 'pending', loaded_etag = NULL, attempts = 0, deaths = 0,"
                    f" retry_at = NULL, error = NULL, found_by = 'sweep', noticed_at = ?, touched = {SWEEP}"
                    f" WHERE source_key > ? AND source_key <= ? AND {wanted}",
                    (now(), after, last, *values),
                ).rowcount
        return count

    def take(self, workers: int = 0, pace: Mapping[str, float] | None = None) -> list[Task]:
        """Take the file that has waited longest; it stays taken until it is settled or released.

        With `workers` that share what waits, take some small ones at once, as many as `front_of` allows with their
        `pace`. A file that was in flight when a worker process ended is taken by itself. Files that were in flight at
        an unclean end of the program come first, one at a time, while nothing else is in flight.
        """
        moment = now()
        later = {"soon": moment + 1, "late": moment + round(LONGEST_PAUSE * 1e6)}
        with self.transaction() as db:
            db.execute(
                "UPDATE source SET status = 'pending', retry_at = NULL"
                f" WHERE status = 'failed' AND retry_at IS NOT NULL AND NOT {_LATER}",
                later,
            )
            [flying] = db.execute("SELECT max(alone) FROM source WHERE in_flight = 1").fetchone()
            rows = _first_rows(db, later, workers)
            if not rows or (flying is not None and (flying or rows[0]["alone"])):
                return []
            tasks = [Task(*row[:-1]) for row in rows]
            tasks = [replace(task, alone=1) if task.source_key in self.suspects else task for task in tasks]
            taken = front_of(tasks, pace or {})
            keys = json.dumps([task.source_key for task in taken])
            db.execute(
                "UPDATE source SET in_flight = 1, started_at = ? WHERE source_key IN (SELECT value FROM json_each(?))",
                (moment, keys),
            )
            return taken

    def has_retries(self) -> bool:
        """Return whether a failed file is still to be tried again."""
        query = "SELECT EXISTS (SELECT 1 FROM source WHERE status = 'failed' AND retry_at IS NOT NULL) AS any"
        return bool(self.rows(query)[0]["any"])

    def release(self, task: Task, *, harmless: bool = False) -> None:
        """Return a task to the end of the queue without counting an attempt.

        One that an unclean end left in flight goes on to run alone, unless it was seen to be `harmless`.
        """
        with self.transaction() as db:
            update(db, task.source_key, {"in_flight": 0, "noticed_at": now(), **UNKNOWN})
            if harmless:
                update(db, task.source_key, {"alone": 0})

    def defer(self, task: Task, reason: str) -> bool:
        """Return a task to the queue because its file cannot be read as things are; True if that is news.

        Nothing is counted against the file. It is tried again after as long as it has waited so far, within bounds,
        and at once when an event tells of it.
        """
        moment = now()
        with self.transaction() as db:
            query = "SELECT noticed_at, error, changed_at FROM source WHERE source_key = ?"
            [row] = db.execute(query, (task.source_key,))
            pause = min(max(moment - row["noticed_at"], SHORTEST_PAUSE * 1e6), LONGEST_PAUSE * 1e6)
            waits = {"error": reason, "retry_at": moment + round(pause), "changed_at": row["changed_at"] or moment}
            update(db, task.source_key, waits, (task.etag, task.etag))
            update(db, task.source_key, {"in_flight": 0})
            return bool(row["error"] != reason)

    def deferred(self) -> list[sqlite3.Row]:
        """Return key and reason of each file that waits because it could not be read."""
        query = "SELECT source_key, error FROM source WHERE status = 'pending' AND retry_at IS NOT NULL"
        return self.rows(query)

    def count_deaths(self, batch: Sequence[Task], how: str) -> list[str]:
        """Return the tasks of a batch to the queue whose process ended; from now on each is a batch of its own.

        A death counts against a file that was by itself; that file goes to the end of the queue. Three make it failed.

        Returns:
            The keys of the files that failed.
        """
        reason = f"the process that loaded this file and no other {how}, {MAX_DEATHS} times"
        with self.transaction() as db:
            for task in batch:
                update(db, task.source_key, {"in_flight": 0, "alone": 0, **UNKNOWN})
                self.suspects.add(task.source_key)
            if len(batch) == 1:
                again = "UPDATE source SET deaths = deaths + 1, noticed_at = ? WHERE source_key = ? AND etag = ?"
                db.execute(again, (now(), batch[0].source_key, batch[0].etag))
            return _fail_the_deadly(db, reason)

    def release_all(self) -> None:
        """Return all tasks in flight to the queue at an orderly end, without counting a death."""
        with self.transaction() as db:
            db.execute("UPDATE source SET in_flight = 0, loaded_etag = NULL, outputs_known = 0 WHERE in_flight = 1")


def _first_rows(db: sqlite3.Connection, later: Mapping[str, int], workers: int) -> list[sqlite3.Row]:
    """Return the files that wait, in their order: the share of one worker, or the first one."""
    [waiting] = db.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM source WHERE {_WAITS} LIMIT :limit)",
        {**later, "limit": workers * TOGETHER or 1},
    ).fetchone()
    return db.execute(
        f"SELECT {_TASK}, {_OUTPUTS}, alone OR deaths > 0, alone FROM source WHERE {_WAITS}"
        " ORDER BY alone DESC, noticed_at LIMIT :limit",
        {**later, "limit": math.ceil(waiting / max(1, workers))},
    ).fetchall()


def front_of(tasks: list[Task], pace: Mapping[str, float]) -> list[Task]:
    """Return the front of a queue that makes one batch: the first file, and small ones while there is room.

    Args:
        pace: seconds that a small file took lately, by dataset; of one that is not there two are tried.
    """
    taken = 0.0
    for number, task in enumerate(tasks):
        small = is_small(task.source_key, task.size) and not task.alone
        taken += max(task.size / ROOM, pace.get(task.dataset, SECONDS / 2) / SECONDS) if small else 2.0
        if taken > 1:
            return tasks[: max(1, number)]
    return tasks


def _fail_the_deadly(db: sqlite3.Connection, reason: str) -> list[str]:
    query = (
        "UPDATE source SET status = 'failed', alone = 0, retry_at = NULL, changed_at = ?, error = ?"
        " WHERE status = 'pending' AND deaths >= ? RETURNING source_key"
    )
    return list(map(itemgetter("source_key"), db.execute(query, (now(), reason, MAX_DEATHS))))
