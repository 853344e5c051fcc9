"""The ledger's file: a connection to SQLite, its transactions, and the errors of a file that cannot be used."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock
from time import monotonic, sleep
from typing import Literal, Self

from common.errors import SettingError

LedgerError = sqlite3.Error
VERSION = 6  # of the schema: a ledger of another one is not opened
PART = 5_000  # keys that one transaction changes: so long whoever else writes to the ledger must wait

_FORGET = "remove its folder, for what it knows is told by the lake, or loaded again"


@contextmanager
def ledger_errors(path: Path) -> Iterator[None]:
    """Raise `SettingError` where SQLite cannot work with the ledger at `path`: what is wrong, and the way out."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise SettingError(
            f"PIPELINE_STATE: the ledger {path} cannot be used now: {error}: is the disk full, read-only, or does "
            "another program hold it? Nothing is lost: the next start goes on"
        ) from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # the others are faults of ours
            raise
        raise SettingError(f"PIPELINE_STATE: the ledger {path} is damaged ({error}): {_FORGET}") from error


class Database:
    """One connection to the ledger's file; threads may share it, each call is one transaction."""

    def __init__(self, path: Path) -> None:
        """Open the ledger at `path`, making it with a new id where it is missing; `SettingError` if it is of no use."""
        self.path = path
        self._lock = RLock()
        self.db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self.db.row_factory = sqlite3.Row
        try:
            with ledger_errors(path):
                self._make_ready()
                self.id = str(self.get("id"))
        except BaseException:
            self.db.close()
            raise

    def _make_ready(self) -> None:
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        [[version]], [[tables]] = self.rows("PRAGMA user_version"), self.rows("SELECT count(*) FROM sqlite_schema")
        if not tables:
            schema = Path(__file__).with_name("schema.sql").read_text()
            # In one transaction: a ledger without its version would be refused for ever.
            self.db.executescript(f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {VERSION}; COMMIT")
        elif version != VERSION:
            reason = f"is of version {version}, and this pipeline takes {VERSION}"
            raise SettingError(f"PIPELINE_STATE: the ledger {self.path} {reason}: {_FORGET}")

    def check(self) -> None:
        """Read all of the ledger; `sqlite3.DatabaseError` if a page of it is damaged, which is often seen late."""
        [[result]] = self.rows("PRAGMA quick_check(1)")
        if result != "ok":
            raise sqlite3.DatabaseError(result)

    def close(self) -> None:
        """Close the connection."""
        self.db.close()

    def sync(self) -> None:
        """Make what is recorded survive a power cut; a transaction by itself survives the end of the program."""
        self.rows("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def snapshot(self, path: Path) -> Iterator[Self]:
        """Copy the ledger as it is now to `path`, and open the copy; other programs may write the ledger meanwhile."""
        with self._lock, closing(sqlite3.connect(path)) as copy:
            self.db.backup(copy)
        with closing(type(self)(path)) as snapshot:
            yield snapshot

    @contextmanager
    def transaction(self, mode: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """Run one transaction on the connection; a deferred one that writes temporary tables blocks no other writer."""
        with self._lock:
            self.db.execute(f"BEGIN {mode}")
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    def parts(self, table: str, condition: str = "TRUE", *values: object) -> Iterator[tuple[str, str]]:
        """Yield the bounds of the keys that meet a condition, part by part: above the first bound, up to the second.

        Between two parts the ledger is left to others for as long as the first took. A connection that waits for it
        tries again after up to 0.1 s, and would otherwise find the next part.
        """
        query = (
            f"SELECT max(source_key) FROM (SELECT source_key FROM {table} WHERE source_key > ? AND ({condition})"
            f" ORDER BY source_key LIMIT {PART})"
        )
        after, [last] = "", self.rows(query, "", *values)[0]
        while last is not None:
            began = monotonic()
            yield after, last
            took, after = monotonic() - began, last
            [last] = self.rows(query, after, *values)[0]
            if last is not None:
                sleep(took)

    def rows(self, query: str, *values: object, **named: object) -> list[sqlite3.Row]:
        """Run one query, with values for its marks or its names, and return all its rows."""
        with self._lock:
            return self.db.execute(query, named or values).fetchall()

    def get(self, name: str) -> str | None:
        """Return a fact about the ledger itself; None if it is not set."""
        rows = self.rows("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0]["value"]) if rows else None

    def set(self, name: str, value: str) -> None:
        """Set a fact about the ledger itself."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
