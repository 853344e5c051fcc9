"""One Delta table: brought up to date with the ledger by commits that happen once or not at all.

The position of the last result that a commit has in it is part of the commit, as an application transaction. So a kill
between the commit and the ledger's mark repeats nothing.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from common.logs import fields
from lake.layout import table_application, table_prefix
from lake.stores.base import ObjectStore
from pipeline.ledger.changes import (
    Change,
    Mark,
    all_changes,
    changes,
    last_position,
    read_mark,
    write_built_anew,
    write_mark,
)
from pipeline.ledger.database import Database
from pipeline.tables.columns import statistics_properties
from pipeline.tables.history import newest_checkpoint, shorten_log
from pipeline.tables.objects import Objects

NEW = 5_000  # results of one commit that adds sources
REPLACED = 500  # results of one commit that replaces the rows of sources
COMPACTED = 20  # commits until small files are put together
ROW_GROUP = 128_000  # rows, which are in memory while they are written
APPLICATION = "lakelet"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Todo:
    """Results of one commit, up to `position` (0: none); `mode`: how the library puts them into the table."""

    changes: Iterable[Change]
    position: int
    mode: dict[str, Any]


@dataclass
class Table:
    """The table of a dataset's clean or rejected objects, with the columns of `schema`; `keep` is in days.

    It stays open between commits: to open it takes longer, the more commits its log has.
    """

    store: ObjectStore
    ledger: Database
    outputs: str
    dataset: str
    schema: pa.Schema
    staging: Path
    keep: int
    _opened: DeltaTable | None = None

    @property
    def prefix(self) -> str:
        """Return the prefix of the table's objects."""
        return table_prefix(self.outputs, self.dataset)

    def is_due(self) -> bool:
        """Return whether the ledger has results that the table lacks, or the table must be looked at."""
        position = read_mark(self.ledger, self.prefix).position
        return not self._opened or bool(changes(self.ledger, self.dataset, position, 1))

    def update(self, *, anew: bool = False) -> bool:
        """Commit the results that the table lacks, so many as one commit takes; return whether there were any.

        A table that is missing or damaged, that somebody else wrote to, or that has other columns is built anew.

        Raises:
            DeltaError: the library could not do it.
            OSError: the store could not do it.
        """
        mark, table, reason = read_mark(self.ledger, self.prefix), self._opened, ""
        self._opened, position = None, mark.position or None
        if not table or anew or not self._is_there(table):
            table, reason = self._open(mark)
            position = table.transaction_version(self._application) if table else None
        if position and position > last_position(self.ledger):
            reason = "it has results that the ledger has not"
        anew = anew or bool(reason) or position is None
        if table and anew:
            reason = reason or _unknown(position)
        with self._all() if anew else nullcontext(self._next(position or 0)) as todo:
            if not todo.position:
                self._opened = table
                return False
            if reason:
                log.warning(fields("table built anew", table=self.prefix, reason=reason))
                write_built_anew(self.ledger, self.prefix, reason)
            self._advance(table, todo)
        return True

    def _advance(self, table: DeltaTable | None, todo: _Todo) -> None:
        """Commit results, and record how far the table is; it stays open if nobody else wrote to it meanwhile."""
        before = table.version() if table else -1
        self.ledger.sync()  # the table must not be ahead of the ledger after a power cut
        table = self._commit(table, todo)
        # Otherwise another program wrote a version between, which the next look finds.
        alone = table.version() == before + 1
        write_mark(self.ledger, self.prefix, Mark(todo.position, table.version() if alone else before))
        self._opened = table if alone else None

    def close(self) -> None:
        """Have the next update open the table: somebody may have deleted it, or written to it."""
        self._opened = None

    def maintain(self, *, hourly: bool) -> None:
        """Put small files together, write a checkpoint, and shorten the log.

        A commit reads the log since the last checkpoint, which is therefore never far.

        Args:
            hourly: also remove files that only versions older than `keep` days need, and old ones that no version has,
                as after a kill within a commit.
        """
        self._opened = None
        if table := self._open(read_mark(self.ledger, self.prefix))[0]:
            ours = CommitProperties(custom_metadata=self._signature)
            table.optimize.compact(commit_properties=ours)
            if hourly:
                hours = 24 * self.keep
                table.vacuum(hours, dry_run=False, full=True, enforce_retention_duration=False, commit_properties=ours)
            version = table.version()
            if newest_checkpoint(self.store, self.prefix, version) < version:
                table.create_checkpoint()
            shorten_log(self.store, self.prefix, version)

    def remove(self) -> None:
        """Remove all objects of the table."""
        for info in list(self.store.list(self.prefix)):
            self.store.delete(info.key)

    @property
    def _application(self) -> str:
        return table_application(self.ledger.id)

    @property
    def _signature(self) -> dict[str, str]:
        return {APPLICATION: self.ledger.id}

    def _open(self, mark: Mark) -> tuple[DeltaTable | None, str]:
        """Return the table, None where there is none; and why it must be built anew, empty if it need not."""
        address, options = self.store.address(self.prefix)
        try:
            table = DeltaTable(address, storage_options=options)
        except TableNotFoundError:
            return None, "it is missing" if mark.position else ""
        except DeltaError as error:
            log.warning(fields("table damaged", table=self.prefix, error=error, action="remove it and build it anew"))
            self.remove()
            return None, ""
        return table, self._why_anew(table, mark)

    def _is_there(self, table: DeltaTable) -> bool:
        """Return whether the log still has the version that was opened: somebody may have deleted the table."""
        try:
            self.store.stat(f"{self.prefix}_delta_log/{table.version():020}.json")
        except FileNotFoundError:
            return False
        return True

    def _why_anew(self, table: DeltaTable, mark: Mark) -> str:
        version = table.version()
        if version < mark.version:
            return f"it is at version {version}, and the pipeline wrote version {mark.version}"
        for commit in table.history(version - mark.version) if version > mark.version else ():
            if commit.get(APPLICATION) != self.ledger.id:
                return f"another program wrote its version {commit.get('version')}"
        if pa.schema(table.schema().to_arrow()) != self.schema:
            return "the contract has other columns"
        return ""

    def _next(self, after: int) -> _Todo:
        """Return the results of the next commit to the table, which has those up to a position."""
        found = changes(self.ledger, self.dataset, after, NEW)
        if all(change.new for change in found):
            return _Todo(found, found[-1].position if found else 0, {"mode": "append"})
        found = found[:REPLACED]
        keys = ", ".join("'" + change.source_key.replace("'", "''") + "'" for change in found)
        mode = {"mode": "overwrite", "predicate": f"{self.schema[0].name} IN ({keys})"}
        return _Todo(found, found[-1].position, mode)

    @contextmanager
    def _all(self) -> Iterator[_Todo]:
        """Return all results, as a stream."""
        with all_changes(self.ledger, self.dataset) as (last, found):
            yield _Todo(found, last, {"mode": "overwrite", "schema_mode": "overwrite"})

    def _commit(self, table: DeltaTable | None, todo: _Todo) -> DeltaTable:
        """Commit results in one transaction; return the table after it."""
        objects = Objects(self.store, self.outputs, self.schema, self.staging)
        statistics = statistics_properties(self.schema)
        if table and not statistics.items() <= table.metadata().configuration.items():
            ours = CommitProperties(custom_metadata=self._signature)
            table.alter.set_table_properties(statistics, commit_properties=ours)
        transaction = Transaction(self._application, todo.position)
        properties = CommitProperties(app_transactions=[transaction], custom_metadata=self._signature)
        address, options = self.store.address(self.prefix)
        write_deltalake(
            table or address,
            objects.reader(todo.changes),
            storage_options=options,
            configuration=self._configuration | statistics,
            commit_properties=properties,
            writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP),
            **todo.mode,
        )
        if objects.left_out:
            reason = f"{objects.left_out} files of an older contract have values that do not fit the present one"
            action = "replay --stale"
            log.warning(fields("left out", table=self.prefix, key=objects.example, reason=reason, action=action))
        return table or DeltaTable(address, storage_options=options)

    @property
    def _configuration(self) -> dict[str, str | None]:
        days = f"interval {self.keep} days"
        return {"delta.logRetentionDuration": days, "delta.deletedFileRetentionDuration": days}


def _unknown(position: int | None) -> str:
    return "the ledger does not know it" if position is None else "the commits before this one failed"
