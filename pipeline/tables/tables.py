"""The tables of all datasets: which is due, and what is done where one cannot be written."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from common.logs import fields
from lake.layout import CLEAN, REJECTED
from lake.schemas import REJECTED_SCHEMA
from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.database import LedgerError
from pipeline.ledger.ledger import Ledger
from pipeline.tables.columns import clean_table_schema, rejected_table_schema
from pipeline.tables.table import COMPACTED, Table

LONGEST_PAUSE = 600.0  # seconds until a table that could not be written is tried again
ANEW = 2  # failures, after which a table is built anew: one of its files may be damaged
HOURLY = 3600.0  # seconds between two looks for old files
OPENED = 60.0  # seconds until a table is opened although it lacks nothing: somebody may have deleted it

log = logging.getLogger(__name__)


@dataclass
class _State:
    failures: int = 0
    due: float = 0.0  # by the monotonic clock
    commits: int = 0
    opened: float = -math.inf  # when the table was last looked at
    maintained: float = -math.inf  # when it was last maintained thoroughly


@dataclass
class Tables:
    """Keeps two tables for each dataset up to date; a table that cannot be written holds up no other."""

    store: ObjectStore
    ledger: Ledger
    datasets: Mapping[str, Dataset]
    staging: Path
    keep: int
    _states: list[tuple[Table, _State]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Name the tables, none of which is opened yet."""
        for name, dataset in self.datasets.items():
            schemas = {CLEAN: clean_table_schema(dataset.schema), REJECTED: rejected_table_schema(REJECTED_SCHEMA)}
            for outputs, schema in schemas.items():
                table = Table(self.store, self.ledger, outputs, name, schema, self.staging, self.keep)
                self._states.append((table, _State()))

    def update(self, stop: Event, *, all_due: bool = False) -> None:
        """Commit what the tables lack, until nothing is left or `stop` is set; `LedgerError` if there is no ledger.

        Args:
            all_due: also the tables that failed and are not due again.
        """
        for table, state in self._states:
            while not stop.is_set() and (all_due or time.monotonic() >= state.due):
                if not self._step(table, state):
                    break
                all_due = all_due and not state.failures

    def _step(self, table: Table, state: _State) -> bool:
        """Do one commit, and what is due after it; return whether there may be more to commit."""
        try:
            if time.monotonic() - state.opened >= OPENED:
                state.opened = time.monotonic()
                table.close()
            elif not table.is_due():
                return False
            done = table.update(anew=state.failures == ANEW)
            state.commits += bool(done)
            self._maintain(table, state)
        except LedgerError:
            raise
        except Exception as error:
            self._failed(table, state, error)
            return False
        state.failures = 0
        return bool(done)

    def _maintain(self, table: Table, state: _State) -> None:
        """Maintain a table after so many commits, and at its first update and every hour more thoroughly."""
        hourly = time.monotonic() - state.maintained >= HOURLY
        if hourly or state.commits >= COMPACTED:
            state.commits = 0
            if hourly:
                state.maintained = time.monotonic()
            table.maintain(hourly=hourly)

    def _failed(self, table: Table, state: _State, error: Exception) -> None:
        """Log the first of several failures, and put off the next attempt."""
        table.close()
        state.failures += 1
        pause = min(LONGEST_PAUSE, 5.0 * 2 ** min(state.failures, 10))
        state.due = time.monotonic() + pause
        if state.failures in (1, ANEW + 1):
            reason = str(error).splitlines()[0] if str(error) else repr(error)
            action = "try again; loads go on"
            log.warning(fields("table not written", table=table.prefix, error=reason, action=action))
