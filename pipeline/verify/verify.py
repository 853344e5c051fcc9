"""The whole lake, recounted: every source, every object, the merged summary, and what is published.

Nothing is trusted but the objects: the raw files are read again, in the plain way, and everything else is held against
that. A pipeline may be at work meanwhile: what changes under our eyes is looked at again, and not called a difference.
"""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import SettingError, StoreUnavailable
from lake.layout import CLEAN, LAKE, RAW, REJECTED, clean_key, rejected_key, source, source_key
from lake.stores.base import InvalidKey, ObjectChanged, ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.ledger import Ledger, key_text
from pipeline.verify.compare import Difference
from pipeline.verify.source import Recount, recount, unnoticed
from pipeline.verify.totals import LEDGER, compare_published, compare_totals

NOWHERE = "gone, and not known any more"
LOOKS = 5  # at a source that changes meanwhile
PATIENCE = 3.0  # seconds: what is published is behind the ledger by less

Progress = Callable[[int, int], object]  # files done, files in all


@dataclass
class Report:
    """What a verification found: files and rows that were recounted, what was not and why, and what differs."""

    files: int = 0
    rows: int = 0
    unverified: dict[str, str] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    @property
    def reasons(self) -> Counter[str]:
        """How many were not verified, by reason."""
        return Counter(self.unverified.values())

    def add(self, found: Recount) -> None:
        """Count in what came of one look."""
        self.rows += found.rows
        self.differences += found.differences
        if found.unverified:
            self.unverified[found.key] = found.unverified


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
    total = len(keys) or sum(row["files"] for row in ledger.rows("SELECT files FROM tally WHERE status <> 'ignored'"))
    with tempfile.TemporaryDirectory(prefix="verify-", dir=ledger.path.parent) as folder:
        for done, key in enumerate(keys or _sources(ledger)):
            on_progress(done, total)
            report.add(found := _look(store, ledger, datasets, key, Path(folder)))
            if keys and found.unverified == NOWHERE:
                raise SettingError(f"there is no source {key}: expected a key such as raw/companydata/companydata.csv")
            report.files += not found.unverified
    on_progress(total, total)
    if not keys:
        for found in _whole(store, ledger, datasets, patience):
            report.add(found)
    return report


def _check_lake(store: ObjectStore, ledger: Ledger) -> Recount:
    known = ledger.get("lake")
    try:
        with store.open(LAKE) as (_, stream):
            found = json.loads(stream.read())["id"]
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        return Recount(LAKE, (Difference(LAKE, None, "object", f"lake {known}", str(error)),))
    if known not in (None, found):
        raise SettingError(
            f"PIPELINE_STATE: the ledger {ledger.path} belongs to lake {known}, and LAKE_URL ({store.url}) is {found}"
        )
    return Recount(LAKE)


def _sources(ledger: Ledger) -> Iterator[str]:
    """Yield the keys of all sources, page by page: others write the ledger meanwhile."""
    page = "SELECT source_key FROM source WHERE source_key > ? AND status <> 'ignored' ORDER BY source_key LIMIT 1000"
    last = ""
    while found := ledger.rows(page, last):
        yield from (row["source_key"] for row in found)
        last = found[-1]["source_key"]


def _row(ledger: Ledger, key: str) -> dict[str, Any] | None:
    found = ledger.rows("SELECT * FROM source WHERE source_key = ? AND status <> 'ignored'", key_text(key))
    return dict(found[0]) if found else None


def _look(store: ObjectStore, ledger: Ledger, datasets: Mapping[str, Dataset], key: str, folder: Path) -> Recount:
    """Recount a source, and again where its row in the ledger was another one before than after."""
    for _ in range(LOOKS):
        try:
            if (row := _row(ledger, key)) is None:
                return _stranger(store, key)
            found = recount(store, row, datasets.get(row["dataset"]), folder)
        except ObjectChanged:
            continue
        except (InvalidKey, PermissionError, StoreUnavailable) as error:
            if _is_away(store):
                raise
            return Recount(key, unverified=f"not readable: {error}")
        if not found.differences or row == _row(ledger, key):
            return found
    return Recount(key, unverified="changing")


def _is_away(store: ObjectStore) -> bool:
    try:
        with store.open(LAKE):
            return False
    except FileNotFoundError:
        return False
    except StoreUnavailable:
        return True


def _stranger(store: ObjectStore, key: str) -> Recount:
    """Say what a key is of which the ledger has no source."""
    try:
        info = store.stat(key)
    except FileNotFoundError:
        return Recount(key, unverified=NOWHERE)
    return Recount(key, unverified="ignored") if source(key).ignored else unnoticed(info, None)


def _whole(store: ObjectStore, ledger: Ledger, datasets: Mapping[str, Dataset], patience: float) -> Iterator[Recount]:
    """Look at what is of no known source, and at what is of all of them."""
    unread: set[str] = set()
    for info in store.list(RAW, unread):
        if not source(info.key).ignored and _row(ledger, info.key) is None:
            yield unnoticed(info, None)
    outputs = (info.key for prefix in (CLEAN, REJECTED) for info in store.list(prefix, unread))
    if strangers := [key for key in outputs if not _belongs(ledger, key)]:
        time.sleep(patience)  # a pipeline that takes something over, or back, is not done in one moment
    for key in strangers:
        if not _belongs(ledger, key) and any(info.key == key for info in store.list(key)):
            expected = "the output of a source that the ledger knows"
            yield Recount(key, (Difference(key, None, "object", expected, "an object of none"),))
    for place in unread:
        yield Recount(place, unverified="not readable")
    yield Recount(LEDGER, tuple(compare_totals(ledger)))
    yield from compare_published(store, ledger, datasets, patience)


def _belongs(ledger: Ledger, key: str) -> bool:
    """Say whether an output is where that of a known source is."""
    of = source_key(key)
    return key in (clean_key(of), rejected_key(of)) and _row(ledger, of) is not None
