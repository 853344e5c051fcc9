"""The results that changed since a position, for a dataset's tables, and how far each table is."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from lake.layout import CLEAN, REJECTED, table_prefix
from pipeline.ledger.database import Database
from pipeline.ledger.source_row import now

_SWITCH, _ANEW = "tables", "built anew"  # names of facts in the ledger


@dataclass(frozen=True)
class Change:
    """Source whose result changed; `new`: a table at the earlier position has no row of it.

    The etags are those of its clean and of its rejected object, None where it has none.
    """

    source_key: str
    position: int
    new: bool
    clean_etag: str | None
    rejected_etag: str | None


@dataclass(frozen=True)
class Mark:
    """Progress of a table: the position of the last result in it, and the version that the pipeline wrote last."""

    position: int = 0
    version: int = -1


def changes(ledger: Database, dataset: str, after: int, limit: int) -> list[Change]:
    """Return the results of a dataset after a position, at most `limit`, in the order of their positions."""
    rows = ledger.rows(
        "SELECT source_key, position, first_position > ? AS new, clean_etag, rejected_etag FROM source"
        " WHERE dataset = ? AND position > ? ORDER BY position LIMIT ?",
        after, dataset, after, limit,
    )  # fmt: skip
    return [Change(row[0], row[1], bool(row[2]), row[3], row[4]) for row in rows]


@contextmanager
def all_changes(ledger: Database, dataset: str) -> Iterator[tuple[int, Iterator[Change]]]:
    """Open the position of a dataset's newest result (0 without one), and a stream of all its results up to there.

    The stream has them as they are now, whatever changes until it is read.
    """
    query = "SELECT source_key, position, clean_etag, rejected_etag FROM source WHERE dataset = ? AND position > 0"
    with closing(Database(ledger.path)) as snapshot, snapshot.transaction("DEFERRED") as db:
        [[last]] = db.execute("SELECT coalesce(max(position), 0) FROM source WHERE dataset = ?", [dataset])
        rows = db.execute(f"{query} ORDER BY position", [dataset])
        yield last, (Change(row[0], row[1], new=True, clean_etag=row[2], rejected_etag=row[3]) for row in rows)


def last_position(ledger: Database) -> int:
    """Return the position of the newest result of all datasets; 0 if there is none."""
    [[position]] = ledger.rows("SELECT position FROM results")
    return int(position)


def read_mark(ledger: Database, prefix: str) -> Mark:
    """Return how far the table at a prefix is, as far as the ledger knows."""
    return Mark(**json.loads(ledger.get(prefix) or "{}"))


def write_mark(ledger: Database, prefix: str, mark: Mark) -> None:
    """Record how far the table at a prefix is."""
    ledger.set(prefix, json.dumps(vars(mark)))


def write_built_anew(ledger: Database, prefix: str, reason: str) -> None:
    """Record that the table at a prefix is built anew now, and why."""
    ledger.set(f"{prefix}{_ANEW}", json.dumps({"at": now(), "reason": reason}))


def read_built_anew(ledger: Database, prefix: str) -> tuple[int, str] | None:
    """Return when the table at a prefix was last built anew, in UTC microseconds, and why; None if it never was."""
    if not (known := ledger.get(f"{prefix}{_ANEW}")):
        return None
    event = json.loads(known)
    return event["at"], event["reason"]


def switch_tables(ledger: Database, *, on: bool) -> None:
    """Record whether the pipeline writes tables: those that it does not write are not behind."""
    ledger.set(_SWITCH, "on" if on else "off")


def are_off(ledger: Database) -> bool:
    """Return whether tables are switched off."""
    return ledger.get(_SWITCH) == "off"


def count_after(ledger: Database, dataset: str, position: int) -> int:
    """Count the results of a dataset after a position."""
    [row] = ledger.rows("SELECT count(*) FROM source WHERE dataset = ? AND position > ?", dataset, position)
    return int(row[0])


def has_tables(ledger: Database, dataset: str) -> bool:
    """Return whether a dataset has tables: those of its rows and of its problems."""
    return all(ledger.get(table_prefix(outputs, dataset)) for outputs in (CLEAN, REJECTED))


def behind(ledger: Database, dataset: str) -> tuple[int, int | None] | None:
    """Return how many results a dataset's tables lack, and when the oldest ended; None if it has no tables.

    The time is in UTC microseconds.
    """
    if not has_tables(ledger, dataset):
        return None
    position = min(read_mark(ledger, table_prefix(outputs, dataset)).position for outputs in (CLEAN, REJECTED))
    # The first position is the oldest result; the minimum of all times would read every row that a table lacks.
    lacking = "FROM source WHERE dataset = :dataset AND position > :position"
    query = f"SELECT count(*), (SELECT changed_at {lacking} ORDER BY position LIMIT 1) {lacking}"
    [row] = ledger.rows(query, dataset=dataset, position=position)
    return row[0], row[1]
