"""Recount one source: compare its raw bytes, read by the plain reader, with its objects and its row in the ledger."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Row
from typing import cast

import pyarrow.parquet as pq

from lake.layout import clean_key, rejected_key
from lake.stores.base import ObjectInfo, ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.source_row import result_columns
from pipeline.load.stage import stage
from pipeline.load.write import REMEMBERED, Staged
from pipeline.model.load_record import LoadRecord, read_load_record
from pipeline.model.task import NO_CONTRACT
from pipeline.verify.compare import UNREADABLE, Difference, compare_objects, compare_records, rows, shown, unreadable

CHANGED = "changed meanwhile"
LANDING = timedelta(minutes=1)  # a running pipeline notices a version within that, by an event or by the next sweep

Source = Row  # of the ledger


@dataclass(frozen=True)
class Recount:
    """The outcome for one key: how many `rows` were compared, the differences, or why it is `unverified`."""

    key: str
    differences: tuple[Difference, ...] = ()
    unverified: str = ""
    rows: int = 0


def recount(store: ObjectStore, source: Source, dataset: Dataset | None, folder: Path) -> Recount:
    """Recount one source, with room for its outputs in `folder`.

    If its bytes are gone, or its fingerprint is another by now, its objects are compared with their own footers.

    Raises:
        ObjectChanged: the source was written to while it was read.
        StoreUnavailable: the store does not answer.
    """
    key, status = source["source_key"], source["status"]
    if status in ("pending", "failed") or (status == "missing" and source["loaded_etag"] is None):
        return Recount(key, unverified=status)
    fingerprint = dataset.fingerprint if dataset else NO_CONTRACT
    try:
        with store.open(key) as (info, stream):
            if status == "missing":
                return Recount(key, unverified="back, and not noticed yet")
            if info.etag != source["loaded_etag"]:
                return unnoticed(info, source["loaded_etag"])
            if fingerprint != source["fingerprint"]:
                differences = tuple(_against_footers(store, source, folder))
                return Recount(key, differences, "stale: loaded under another fingerprint")
            record = LoadRecord(key, source["dataset"], info.etag, info.size, fingerprint)
            staged = stage(stream, record, dataset, folder / "expected", reference=True)
    except FileNotFoundError:
        reason = "missing" if status == "missing" else "gone, and not noticed yet"
        return Recount(key, tuple(_against_footers(store, source, folder)), reason)
    return Recount(key, tuple(_against(store, source, staged, folder)), rows=staged.record.rows_read)


def unnoticed(info: ObjectInfo, known: str | None) -> Recount:
    """Judge a version that the ledger does not know: one that landed within a minute may still be noticed."""
    if datetime.now(UTC) - info.modified < LANDING:
        return Recount(info.key, unverified="landed just now, and not noticed yet")
    expected = f"version {known}, which was loaded" if known else "a source that the ledger knows"
    return Recount(info.key, (Difference(info.key, None, "version", expected, f"version {info.etag}"),))


def _against(store: ObjectStore, source: Source, staged: Staged, folder: Path) -> Iterator[Difference]:
    record, etags = staged.record, {}
    clean, rejected = clean_key(record.source_key), rejected_key(record.source_key)
    for name, key, made in (("clean", clean, staged.clean), ("rejected", rejected, staged.rejected)):
        found = folder / f"found.{name}"
        etags[f"{name}_etag"] = etag = _fetch(store, key, found)
        yield from compare_objects(key, cast(Path | None, made), found if etag else None)  # made in the folder
    yield from _against_ledger(source, record, status=record.status, size=record.size, **etags)


def _fetch(store: ObjectStore, key: str, path: Path) -> str | None:
    """Copy an object into a file, and return its etag; None if there is no object."""
    try:
        with store.open(key) as (info, stream), path.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        return info.etag
    except FileNotFoundError:
        return None


def _against_ledger(source: Source, record: LoadRecord, **more: object) -> Iterator[Difference]:
    """Yield each value of the ledger's row of a source that differs from the objects."""
    for name, value in {**result_columns(record), **more}.items():
        if source[name] != value:
            yield Difference(record.source_key, None, f"ledger, {name}", shown(value), shown(source[name]))


def _against_footers(store: ObjectStore, source: Source, folder: Path) -> Iterator[Difference]:
    """Compare objects that cannot be made again with their own footers, and the footers with the ledger."""
    records = []
    for name, key in (("clean", clean_key(source["source_key"])), ("rejected", rejected_key(source["source_key"]))):
        path, known = folder / f"found.{name}", source[f"{name}_etag"]
        etag = _fetch(store, key, path)
        if etag != known:
            yield Difference(key, None, "object", f"version {known}", f"version {etag}")
        elif etag:
            try:
                records.append(record := read_load_record(path))
                yield from _own_footer(key, record, path)
            except UNREADABLE as error:
                yield unreadable(key, error)
    if records:
        yield from compare_records(rejected_key(source["source_key"]), records[0], records[-1])
        yield from _against_ledger(source, records[0])


def _own_footer(key: str, record: LoadRecord, path: Path) -> Iterator[Difference]:
    """Yield where the rows of an object and its footer disagree."""
    clean, counted = key == clean_key(record.source_key), 0
    source, line = ("_source_key", "_line") if clean else ("source_key", "line")
    last = records = 0
    with pq.ParquetFile(path) as file:
        for row in rows(file, [source, line]):
            at = row[line] or 0  # a refusal has none
            if row[source] != record.source_key or at < last + clean:
                yield Difference(key, at, "row", f"{record.source_key}, after line {last}", f"{row[source]}, line {at}")
                return
            records, last, counted = records + (at > last), at, counted + 1
    if record.status == "refused":  # its counts are of all problems, and it has the first of them, after the reason
        problems = sum(int(count or 0) for *_, count in record.problems or [])
        if counted != (shown_first := min(problems, 1 + REMEMBERED)):
            yield Difference(key, None, "footer", f"{shown_first} problems, as are counted", f"{counted} problems")
    elif records != (count := record.rows_kept if clean else record.rows_rejected):
        yield Difference(key, None, "footer", f"{records} records, as there are", f"{count} records")
