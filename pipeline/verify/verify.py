"""Verify a lake: recount every source, every object, the merged summary, the tables, and what is published.

Nothing is trusted but the objects: the raw files are read again by the plain reader, and everything else is compared
with that. A pipeline may be at work meanwhile: the ledger is compared as a snapshot, and a source that has changed
since is skipped.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Row
from tempfile import TemporaryDirectory

from common.errors import SettingError, StoreUnavailable
from lake.layout import CLEAN, LAKE, RAW, REJECTED, clean_key, rejected_key, source_key, table_prefix
from lake.stores.base import InvalidKey, ObjectChanged, ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.source_row import key_text
from pipeline.verify.compare import Difference
from pipeline.verify.source import CHANGED, Recount, recount, unnoticed
from pipeline.verify.totals import LEDGER, compare_published, compare_totals

PATIENCE = 3.0  # seconds: a running pipeline publishes, and adopts results, within that

Progress = Callable[[int, int], object]  # files done, files in all


@dataclass
class Report:
    """Outcome of a verification: recounted files and rows, keys that were not verified and why, and the differences."""

    files: int = 0
    rows: int = 0
    unverified: dict[str, str] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    @property
    def reasons(self) -> Counter[str]:
        """Return how many keys were not verified, by reason."""
        return Counter(self.unverified.values())

    def add(self, result: Recount) -> None:
        """Add the outcome for one key."""
        self.rows += result.rows
        self.differences += result.differences
        if result.unverified:
            self.unverified[result.key] = result.unverified


def verify(
    store: ObjectStore,
    ledger: Ledger,
    datasets: Mapping[str, Dataset],
    on_progress: Progress = lambda _done, _total: None,
    keys: Sequence[str] = (),
    patience: float = PATIENCE,
) -> Report:
    """Verify a lake, or some of its sources alone; `patience` is how many seconds a running pipeline may lag behind.

    Raises:
        SettingError: the ledger is of another lake, or a key is of no source.
        StoreUnavailable: the store does not answer.
    """
    report = Report()
    report.add(_check_lake(store, ledger))
    with TemporaryDirectory(prefix="verify-", dir=ledger.path.parent) as name:
        folder = Path(name)
        with ledger.snapshot(folder / "ledger.sqlite") as snapshot:
            total = len(keys) or snapshot.count_files("status <> 'ignored'")
            for done, (key, row) in enumerate(_sources(snapshot, keys)):
                on_progress(done, total)
                result = _verify_source(store, ledger, datasets, row, folder) if row else _unknown(store, ledger, key)
                report.add(result)
                report.files += not result.unverified
            on_progress(total, total)
            if not keys:
                for result in _verify_totals(store, ledger, snapshot, datasets, patience):
                    report.add(result)
    return report


def _check_lake(store: ObjectStore, ledger: Ledger) -> Recount:
    known = ledger.get("lake")
    try:
        with store.open(LAKE) as (_, stream):
            lake_id = json.loads(stream.read())["id"]
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        return Recount(LAKE, (Difference(LAKE, None, "object", f"lake {known}", str(error)),))
    if known not in (None, lake_id):
        raise SettingError(
            f"PIPELINE_STATE: the ledger {ledger.path} belongs to lake {known}, and LAKE_URL ({store.url}) is {lake_id}"
        )
    return Recount(LAKE)


def _sources(snapshot: Ledger, keys: Sequence[str]) -> Iterator[tuple[str, Row | None]]:
    """Yield each source with its row; of given keys also those that have none."""
    if keys:
        for key in keys:
            yield key, _row(snapshot, key)
    else:
        for row in snapshot.db.execute("SELECT * FROM source WHERE status <> 'ignored' ORDER BY source_key"):
            yield row["source_key"], row


def _row(ledger: Ledger, key: str) -> Row | None:
    rows = ledger.rows("SELECT * FROM source WHERE source_key = ? AND status <> 'ignored'", key_text(key))
    return rows[0] if rows else None


def _verify_source(
    store: ObjectStore, ledger: Ledger, datasets: Mapping[str, Dataset], row: Row, folder: Path
) -> Recount:
    """Recount a source; a difference counts only if the live ledger still has the row of the snapshot."""
    key = row["source_key"]
    try:
        result = recount(store, row, datasets.get(row["dataset"]), folder)
    except ObjectChanged:
        return Recount(key, unverified=CHANGED)
    except (InvalidKey, PermissionError, StoreUnavailable) as error:
        if _is_away(store):
            raise
        return Recount(key, unverified=f"not readable: {error}")
    if result.differences and row != _row(ledger, key):
        return Recount(key, unverified=CHANGED)
    return result


def _is_away(store: ObjectStore) -> bool:
    try:
        with store.open(LAKE):
            return False
    except FileNotFoundError:
        return False
    except StoreUnavailable:
        return True


def _unknown(store: ObjectStore, ledger: Ledger, key: str) -> Recount:
    """Judge a key of which the snapshot has no source; `SettingError` if the store has none either."""
    try:
        info = store.stat(key)
    except FileNotFoundError as error:
        expected = "expected a key such as raw/companydata/companydata.csv"
        raise SettingError(f"there is no source {key}: {expected}") from error
    if ledger.classify(key).ignored:
        return Recount(key, unverified="ignored")
    return Recount(key, unverified=CHANGED) if _row(ledger, key) else unnoticed(info, None)


def _verify_totals(
    store: ObjectStore, ledger: Ledger, snapshot: Ledger, datasets: Mapping[str, Dataset], patience: float
) -> Iterator[Recount]:
    """Compare what is of no known source, and what is of all of them."""
    unread: set[str] = set()
    for info in store.list(RAW, unread):
        if not ledger.classify(info.key).ignored and not _row(snapshot, info.key):
            yield Recount(info.key, unverified=CHANGED) if _row(ledger, info.key) else unnoticed(info, None)
    outputs = (info.key for prefix in (CLEAN, REJECTED) for info in store.list(prefix, unread))
    if strangers := [key for key in outputs if not _belongs(ledger, key)]:
        time.sleep(patience)  # a pipeline that has just started adopts them
    for key in strangers:
        if not _belongs(ledger, key) and any(info.key == key for info in store.list(key)):
            expected = "the output of a source that the ledger knows"
            yield Recount(key, (Difference(key, None, "object", expected, "an object of none"),))
    for prefix in unread:
        yield Recount(prefix, unverified="not readable")
    yield Recount(LEDGER, tuple(compare_totals(snapshot)))
    yield from _verify_tables(store, ledger, snapshot, datasets)
    yield from compare_published(store, ledger, datasets, patience)


def _verify_tables(
    store: ObjectStore, ledger: Ledger, snapshot: Ledger, datasets: Mapping[str, Dataset]
) -> Iterator[Recount]:
    """Compare the tables, if the pipeline wrote any."""
    if any(snapshot.get(table_prefix(outputs, name)) for name in datasets for outputs in (CLEAN, REJECTED)):
        from pipeline.verify.tables import compare_tables  # a lake without tables is verified without deltalake

        yield from compare_tables(store, ledger, snapshot, datasets)


def _belongs(ledger: Ledger, key: str) -> bool:
    """Return whether an output is where that of a known source is."""
    of = source_key(key)
    return key in (clean_key(of), rejected_key(of)) and _row(ledger, of) is not None
