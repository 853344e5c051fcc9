"""Mended rejects: which lines of a source are rejected, and mended by the marks of the fixed files that are loaded."""

import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from sqlite3 import Row
from typing import NamedTuple

from common.errors import StoreUnavailable
from common.logs import fields
from lake.mending import Mends, Passed, stem, stems, version_of
from lake.rejects import marked_lines, rejected_among
from lake.stores.base import STATS, ObjectStore
from pipeline.ledger.ledger import Ledger

COLUMNS = "source_key, coalesce(loaded_etag, etag) AS version, rejected_etag, rows_rejected, mends"  # for `mended`

log = logging.getLogger(__name__)


class _Marked(NamedTuple):
    source_key: str
    rejected_etag: str
    lines: tuple[int, ...]  # that have a mark


class RejectedLines:
    """The rejects that have marks, read from the lake: a mark may name a line that was not rejected.

    An object is read again only if it changed, or if it has other marks; so most calls read nothing.
    """

    def __init__(self, open_store: Callable[[], ObjectStore]) -> None:
        """Read from a store that is opened once it is needed: most lakes have no marks."""
        self._open_store = open_store
        self._known: dict[_Marked, list[int]] = {}

    def among(self, marked: Sequence[_Marked]) -> dict[_Marked, list[int]]:
        """Return the rejected lines among those with marks; without a source whose object is of another load."""
        new = [source for source in marked if source not in self._known]
        if new:
            store = self._open_store()
            with ThreadPoolExecutor(STATS) as pool:
                read = dict(zip(new, pool.map(lambda source: _rejected(store, source), new), strict=True))
            self._known.update({source: lines for source, lines in read.items() if lines is not None})
        self._known = {source: self._known[source] for source in marked if source in self._known}
        return self._known


def _rejected(store: ObjectStore, source: _Marked) -> list[int] | None:
    key, etag, lines = source
    try:
        return rejected_among(store, key, etag, lines)
    except StoreUnavailable:
        raise
    except (OSError, ValueError) as error:  # of this object alone: the other files are published all the same
        _log_unread(key, repr(error))
        return None


@cache
def _log_unread(source_key: str, error: str) -> None:
    """Log an error once, for a publisher comes back four times a second."""
    action = "make its rejected object readable, or replay the file"
    log.warning(fields("mended rejects not counted", key=source_key, error=error, action=action))


def passed_lines(ledger: Ledger) -> Passed:
    """Return the lines that loaded fixed files mend."""
    passed = dict[tuple[str, str], set[int]]()
    for row in ledger.rows("SELECT source_key, mends FROM source WHERE mends IS NOT NULL"):
        place = stem(row["source_key"])
        for version, lines in _mends(row["mends"]).passed.items():
            passed.setdefault((place, version), set()).update(lines)
    return passed


def fixed_files(ledger: Ledger, source_key: str, etag: str) -> list[str]:
    """Return the fixed files that mend a version of a source."""
    found, version = list[str](), version_of(source_key, etag)
    for place in stems(source_key):
        rows = ledger.rows(
            "SELECT source_key, mends FROM source WHERE mends IS NOT NULL AND source_key > ? AND source_key < ?",
            f"{place}.fixed-",
            f"{place}.fixed.",  # the next character
        )
        found += [str(row["source_key"]) for row in rows if version in _mends(row["mends"]).passed]
    return found


def mended(rows: Sequence[Row], passed: Passed, rejected: RejectedLines | None) -> list[list[int] | None]:
    """Return for each source the lines of its rejects that are mended, in order.

    None is returned for a source with marks if its rejects are not known: without `rejected`, or while a load replaces
    its rejected object.
    """
    marked = [_marked(row, passed) if passed and row["rows_rejected"] else None for row in rows]
    known = rejected.among([source for source in marked if source]) if rejected else {}
    return [known.get(source) if source else [] for source in marked]


def _marked(row: Row, passed: Passed) -> _Marked | None:
    mends = _mends(row["mends"]) if row["mends"] else None
    lines = marked_lines(row["source_key"], version_of(row["source_key"], row["version"]), mends, passed)
    return _Marked(row["source_key"], row["rejected_etag"], tuple(sorted(lines))) if lines else None


def _mends(text: str) -> Mends:
    return Mends(**json.loads(text))
