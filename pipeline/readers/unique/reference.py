"""Do as `stage.py`, one record after the other, with all keys in a table of SQLite.

It is the reference for tests and `verify`, and has none of the shortcuts.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.model.contract import Contract
from pipeline.model.keys import Key
from pipeline.readers.base import Batch
from pipeline.readers.unique.stage import without


def unique_batches_plainly(batches: Iterable[Batch], contract: Contract, folder: Path | None = None) -> Iterator[Batch]:
    """Yield batches without the records whose key was there before, which are rejected; `folder` has room for keys."""
    with TemporaryDirectory(prefix="keys-", dir=folder) as place, closing(sqlite3.connect(Path(place, "keys"))) as db:
        db.execute("PRAGMA journal_mode = OFF")  # nothing is ever undone
        db.execute("CREATE TABLE met (key TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        for batch in batches:
            duplicates = dict[int, list[tuple[Key, int]]]()
            for number, row in enumerate(batch.rows.to_pylist()):
                keys = {key: text for key in contract.keys if (text := _text(key, row)) is not None}
                rows = [
                    (key, db.execute("SELECT line FROM met WHERE key = ?", (keys[key],)).fetchone()) for key in keys
                ]
                if known := [(key, found[0]) for key, found in rows if found]:
                    duplicates[number] = known
                else:
                    db.executemany("INSERT INTO met VALUES (?, ?)", [(text, row["_line"]) for text in keys.values()])
            yield without(batch, duplicates)


def _text(key: Key, row: dict[str, Any]) -> str | None:
    """Return a key as text that is its own; None if a part of it is null."""
    values = [row[name] for name in key.names]
    values = [value + 0.0 if isinstance(value, float) else value for value in values]  # zero has one sign
    return None if None in values else repr((key, values))
