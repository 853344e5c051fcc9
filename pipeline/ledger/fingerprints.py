"""Fingerprints of the datasets in use, and what a new one means for the results that were made under another one."""

import json
import sqlite3
from collections.abc import Collection, Mapping

from lake.layout import TEXT_SUFFIXES, Source, source
from pipeline.ledger.database import Database
from pipeline.model.task import NO_CONTRACT

_CURRENT = f"coalesce((SELECT fingerprint FROM fingerprint WHERE dataset = source.dataset), '{NO_CONTRACT}')"
_AGAIN = "UPDATE source SET status = 'pending', attempts = 0, found_by = 'sweep' WHERE status = 'refused'"


_TEXT = "text datasets"


class Fingerprints(Database):
    """The fingerprints of the datasets in use; `in_use` has them in the program that loads by them."""

    in_use: Mapping[str, str] | None = None

    def classify(self, key: str) -> Source:
        """Return the dataset of an object under `raw/`, or why it is ignored, by the contracts in use."""
        is_text = key.lower().endswith(TEXT_SUFFIXES)
        return source(key, json.loads(self.get(_TEXT) or "[]") if is_text else ())

    def take_up(
        self, fingerprints: Mapping[str, str], waiting: Collection[str], text_datasets: Collection[str] = ()
    ) -> None:
        """Use these datasets from now on, as after a start; a load that is in flight ends as it began.

        What could not be loaded for the time being is tried at once. What was refused because it had no contract waits
        for one that is there now and not right yet: `waiting` has the names of these datasets.
        """
        with self.transaction() as db:
            self._use(db, fingerprints, text_datasets)
            db.execute("UPDATE source SET retry_at = NULL WHERE status = 'pending' AND retry_at IS NOT NULL")
            named = "dataset IN (SELECT value FROM json_each(?))"
            db.execute(f"{_AGAIN} AND fingerprint = '{NO_CONTRACT}' AND {named}", (json.dumps(list(waiting)),))

    def _use(self, db: sqlite3.Connection, fingerprints: Mapping[str, str], text_datasets: Collection[str]) -> None:
        """Use these datasets: what another fingerprint refused is tried again, and what it loaded is stale."""
        # The next sweep queues what was ignored and is asked for now. The other way round, what was a source stays one:
        # its load is refused, and so its rows go.
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_TEXT, json.dumps(sorted(text_datasets))))
        self.in_use = dict(fingerprints)
        db.execute("DELETE FROM fingerprint")
        db.executemany("INSERT INTO fingerprint VALUES (?, ?)", fingerprints.items())
        db.execute(f"{_AGAIN} AND fingerprint <> {_CURRENT}")
        db.execute(
            f"UPDATE source SET stale = (fingerprint <> {_CURRENT}) "
            f"WHERE status = 'loaded' AND stale <> (fingerprint <> {_CURRENT})"
        )

    def ended_under(self, fingerprint: str | None, dataset: str, status: str) -> tuple[str, bool]:
        """Return the status of a source whose load has ended as `loaded` or `refused`, and whether its result is stale.

        If the dataset was changed meanwhile, they are what the change would have made of them afterwards.
        """
        if self.in_use is None or fingerprint == self.in_use.get(dataset, NO_CONTRACT):
            return status, False
        return ("pending", False) if status == "refused" else (status, True)
