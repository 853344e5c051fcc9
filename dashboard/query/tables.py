"""The rows of a dataset as its Delta table has them, and the loads that the table does not have yet."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from dashboard.query.newest import Newest
from dashboard.shared.formats import count
from lake.layout import CLEAN, REJECTED, clean_key, rejected_key, table_application, table_prefix
from lake.schemas import LINEAGE
from lake.stores.arrow_dataset import ObjectDataset
from lake.stores.base import ObjectStore
from lake.stores.common_schema import Conflict, SchemaConflict, convert, fits

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HISTORY = (100, 10_000, 1_000_000)  # commits that are read, one number after the other, to find that of a time
BEHIND = "The table of {} is far behind: the newest results of about {} are not in this answer."
OLDER = (
    "Stale: {} of {}, loaded under an older contract or from an earlier version of the file. Of an older contract, the "
    "values that fit today's columns are in this answer. `python -m pipeline replay --stale` loads the files again."
)
NEWER = 16  # of the newest objects whose schema is read before a scan: they are of one contract, but for a moment
SOURCE = LINEAGE[0].name  # which a clean table has; a rejected table has `source_key`
VACUUMED = (
    "Files of that version are gone: the pipeline keeps them for TABLES_KEEP days, of a busy table for less. "
    "Choose a later time."
)
ROWS = 50_000  # of newest objects that are converted together


class NoSuchVersion(ValueError):
    """There is no version of a table of that time; the message has the time of the first one."""


@dataclass(frozen=True)
class Version:
    """Version of a table, by its number, the time of its commit in UTC, and the operation that made it."""

    number: int
    at: datetime
    by: str


class TableView(ds.InMemoryDataset):  # type: ignore[misc]
    """Arrow dataset of a table's snapshot, in which the rows of `replaced` sources are those of `newer` objects.

    The lineage comes last, as in the objects. `note` is for the reader. After a scan that failed, `error` has the
    reason, because an engine that scans the dataset raises its own error.
    """

    def __init__(
        self,
        table: DeltaTable,
        newer: ObjectDataset | None = None,
        replaced: Collection[str] = (),
        note: str = "",
        *,
        earlier: bool = False,
    ) -> None:
        """Take a table in its open version, which is an `earlier` one or the present one."""
        super().__init__(pa.table({}))
        self.note, self._earlier = note, earlier
        self.error: Exception | None = None
        self._table, self._newer = table.to_pyarrow_dataset(), newer
        fields, lineage = list(self._table.schema), {field.name for field in LINEAGE}
        self._schema = pa.schema(sorted(fields, key=lambda field: field.name in lineage))
        key = SOURCE if SOURCE in lineage.intersection(self._schema.names) else "source_key"
        self._kept = ~pc.field(key).isin(list(replaced)) if replaced else None

    @property
    def schema(self) -> pa.Schema:
        """Return the columns of the table, the lineage last."""
        return self._schema

    def scanner(self, columns: Any = None, filter: Any = None, **options: Any) -> "Scan":  # noqa: A002 - Arrow's name
        """Return a scan; takes the options of Arrow's scanner."""
        wanted = {"columns": self._schema.names if columns is None else columns, **options}
        kept = [part for part in (filter, self._kept) if part is not None]
        table = self._table.scanner(filter=kept[0] & kept[-1] if kept else None, **wanted)
        return Scan(table.projected_schema, self._batches(table, {"filter": filter, **wanted}))

    def _batches(self, table: ds.Scanner, wanted: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
        try:
            yield from table.to_batches()
            for rows in _grouped(self._newer.scanner().to_batches()) if self._newer else ():
                yield from ds.dataset(self._converted(rows)).scanner(**wanted).to_batches()
        except Exception as error:
            gone = self._earlier and isinstance(error, FileNotFoundError)
            self.error = NoSuchVersion(VACUUMED) if gone else error
            raise

    def _converted(self, rows: pa.Table) -> pa.Table:
        try:
            return convert(rows, self._schema)
        except Conflict as error:
            raise SchemaConflict(str(error), self._newer.objects if self._newer else []) from error


def _grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows of many small batches together: each table costs as much as thousands of rows."""
    group, rows = list[pa.RecordBatch](), 0
    for batch in batches:
        group.append(batch)
        rows += batch.num_rows
        if rows >= ROWS:
            yield pa.Table.from_batches(group)
            group, rows = [], 0
    if group:
        yield pa.Table.from_batches(group)


@dataclass(frozen=True)
class Scan:
    """One pass over the rows of a view."""

    projected_schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    def to_reader(self) -> pa.RecordBatchReader:
        """Return the batches as a stream."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self.batches)


def has_table(prefix: str) -> bool:
    """Return whether the objects under a prefix are those of a table, if tables are on."""
    return prefix.startswith((CLEAN, REJECTED))


def open_table(store: ObjectStore, prefix: str) -> DeltaTable | None:
    """Return the table of the objects under a prefix (`clean/…/`, `rejected/…/`); None if it is missing or damaged."""
    address, options = store.address(_prefix_of_table(prefix))
    try:
        return DeltaTable(address, storage_options=options)
    except DeltaError:
        return None


def _prefix_of_table(prefix: str) -> str:
    outputs, dataset, _ = prefix.split("/")
    return table_prefix(f"{outputs}/", dataset)


def table_view(store: ObjectStore, prefix: str, newest: Newest) -> TableView | None:
    """Return the present rows of the objects under a prefix, by their table; None where only the objects tell them.

    That is so without a table, with one of another ledger, and while the table has the columns of an older contract.
    """
    table, reached = open_table(store, prefix), newest.tables.get(_prefix_of_table(prefix))
    position = table.transaction_version(table_application(newest.ledger)) if table else None
    if not table or not reached or position is None or position < reached.position:
        return None
    # As published, also those that the table has by now: it may have them as they were before a load that is published.
    dataset = prefix.split("/")[1]
    replaced = newest.after(dataset, reached.position)
    if len(replaced) < reached.files:
        return TableView(table, note=BEHIND.format(prefix, count(reached.files, "file")))
    note = OLDER.format(count(reached.stale, "file"), dataset) if reached.stale else ""
    keys = list(map(clean_key if prefix.startswith(CLEAN) else rejected_key, replaced))
    newer = store.dataset(keys, sample=NEWER)
    return TableView(table, newer, replaced, note) if _fit(newer.schema, table) else None


def _fit(schema: pa.Schema, table: DeltaTable) -> bool:
    columns = {field.name: field.type for field in pa.schema(table.schema().to_arrow())}
    return all(field.name in columns and fits(field.type, columns[field.name]) for field in schema)


def table_at(store: ObjectStore, prefix: str, at: datetime) -> TableView:
    """Return the rows of the objects under a prefix as their table had them at a time.

    Raises:
        NoSuchVersion: there is no table, or it had no version then.
    """
    table = open_table(store, prefix)
    if table is None:
        raise NoSuchVersion(f"{prefix} has no table, and so no earlier versions.")
    try:
        table.load_as_version(_version_at(table, prefix, at).number)
        return TableView(table, earlier=True)
    except DeltaError as error:  # its log was shortened meanwhile
        raise NoSuchVersion(VACUUMED) from error


def _version_at(table: DeltaTable, prefix: str, at: datetime) -> Version:
    """Return the newest version that is not newer than a time, by the times in the commits.

    The library goes by the times of the log's objects, which are whole seconds in a bucket.
    """
    for limit in HISTORY:
        known = _versions(table, limit)
        for version in known:
            if version.at <= at:
                return version
        if len(known) < limit:
            break
    first, sought = (time.isoformat(" ", "milliseconds").removesuffix("+00:00") for time in (known[-1].at, at))
    raise NoSuchVersion(f"The first version of {prefix} is of {first} UTC: there is none of {sought}.")


def versions(store: ObjectStore, prefix: str, limit: int) -> list[Version]:
    """Return the newest versions of the table of the objects under a prefix, the newest first; none if it has none now.

    Those in which no row changed, as by compaction, are left out.
    """
    try:
        table = open_table(store, prefix)
        return [version for version in _versions(table, limit) if version.by == "WRITE"] if table else []
    except (DeltaError, OSError):
        return []


def _versions(table: DeltaTable, limit: int) -> list[Version]:
    known = []
    for commit in table.history(limit):
        at = EPOCH + timedelta(milliseconds=commit["timestamp"])
        known.append(Version(commit["version"], at, commit.get("operation", "")))
    return known
