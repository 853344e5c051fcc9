"""Recount the tables of a lake: compare the rows and the sums of each source in them with the ledger.

The rows of a table are read batch by batch; of each source only its counts and sums stay in memory.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from sqlite3 import Row

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from lake.layout import CLEAN, LAKE, REJECTED, table_prefix
from lake.stores.base import ObjectStore
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.changes import read_mark
from pipeline.ledger.ledger import Ledger
from pipeline.load.aggregate import Groups, count_groups
from pipeline.model.data_resource import Summary
from pipeline.model.exact_sums import WIDEST, Exact, Totals, exact
from pipeline.verify.compare import UNREADABLE, Difference, shown
from pipeline.verify.source import CHANGED, Recount

KEY = {CLEAN: "_source_key", REJECTED: "source_key"}  # the column with the source of a row
SIZE = "\0"  # before the name of a column of floats: its absolute values. No field has NUL in its name
# A load rounds its sums of floats, and so does the recount, each in its own order. For each row the two differ by at
# most this part of the sum of the absolute values: twice (rows - 1) additions and a last rounding, of 2**-53 each.
ROUNDING = Fraction(1, 2**51)

SOURCES = "SELECT * FROM source WHERE status <> 'ignored' AND dataset = ?"
_ROWS = 64_000  # of a batch


def compare_tables(
    store: ObjectStore, ledger: Ledger, snapshot: Ledger, datasets: Mapping[str, Dataset]
) -> Iterator[Recount]:
    """Compare the tables that a snapshot of the ledger knows with the sources in it.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    for name, dataset in datasets.items():
        for outputs in KEY:
            if snapshot.get(table_prefix(outputs, name)):
                yield from _Table(store, ledger, snapshot, dataset, outputs).compare()


@dataclass(frozen=True)
class _Table:
    store: ObjectStore
    ledger: Ledger
    snapshot: Ledger
    dataset: Dataset
    outputs: str

    @property
    def prefix(self) -> str:
        return table_prefix(self.outputs, self.dataset.contract.name)

    def compare(self) -> Iterator[Recount]:
        """Yield the outcome for each source, and for the rows of no source."""
        position = read_mark(self.ledger, self.prefix).position  # first: the table that is opened is at least as far
        try:
            totals = self._totals()
        except (DeltaError, *UNREADABLE) as error:
            with suppress(FileNotFoundError):
                self.store.stat(LAKE)  # raises if it is the store that does not answer
            found = "no table" if isinstance(error, TableNotFoundError) else shown(error)
            yield Recount(self.prefix, (Difference(self.prefix, None, "table", "a table", found),))
            return
        for row in self.snapshot.db.execute(SOURCES, (self.dataset.contract.name,)):
            group = json.dumps({KEY[self.outputs]: row["source_key"]}, ensure_ascii=False)
            yield self._compare_source(row, *totals.pop(group, (0, {})), position)
        for group, (rows, _) in totals.items():
            yield self._stranger(json.loads(group)[KEY[self.outputs]], rows)

    def _totals(self) -> Totals:
        """Return the rows of each source and their sums, in one version of the table."""
        address, options = self.store.address(self.prefix)
        table = DeltaTable(address, storage_options=options)
        try:
            return self._count(table)
        except FileNotFoundError:
            if DeltaTable(address, storage_options=options).version() == table.version():
                raise
        return self._totals()  # the files of that version were removed meanwhile

    def _count(self, table: DeltaTable) -> Totals:
        dataset, groups = table.to_pyarrow_dataset(), Groups()
        sums = self.dataset.contract.summary.sum if self.outputs == CLEAN else ()
        columns = [KEY[self.outputs], *(name for name in sums if name in dataset.schema.names)]
        for batch in dataset.to_batches(columns=columns, batch_size=_ROWS, batch_readahead=2, fragment_readahead=1):
            rows = pa.Table.from_batches([batch])
            for name in columns[1:]:
                if pa.types.is_floating(rows[name].type):
                    rows = rows.append_column(SIZE + name, pc.abs(rows[name]))
            spec = Summary(groupBy=(KEY[self.outputs],), sum=tuple(rows.column_names[1:]))
            groups.add(count_groups(spec, [rows])[0])
        return groups.totals

    def _compare_source(self, row: Row, rows: int, sums: Mapping[str, Exact], position: int) -> Recount:
        """Compare a source; a difference counts only if the live ledger still has the row of the snapshot."""
        key = row["source_key"]
        if _is_unsettled(row):  # its recount has the reason
            return Recount(key)
        if (row["position"] or 0) > position:  # the table lags behind
            return Recount(key, unverified=CHANGED)
        differences = tuple(self._differences(row, rows, sums))
        if differences and row != self._live(key):
            return Recount(key, unverified=CHANGED)
        return Recount(self.prefix, differences)

    def _differences(self, row: Row, rows: int, sums: Mapping[str, Exact]) -> Iterator[Difference]:
        key = row["source_key"]
        try:
            expected, expected_sums = self._expected(row)
        except UNREADABLE:  # the recount of the source has named it
            return
        if rows != expected:
            found = f"{rows:,} rows"
            if not rows and row["fingerprint"] != self.dataset.fingerprint:
                found += ", left out if its values do not fit the present contract: replay --stale loads it again"
            yield Difference(self.prefix, None, f"rows of {key}", f"{expected:,} rows", found)
            return
        for name, total in expected_sums.items():
            bound = rows * ROUNDING * sums.get(SIZE + name, 0)  # 0 for integers and decimals
            if name not in sums or abs(Fraction(sums[name]) - total) > bound:
                digits = {"exact": SIZE + name not in sums}
                found = _number(sums[name], **digits) if name in sums else "no such column"
                yield Difference(self.prefix, None, f"sum of {name} of {key}", _number(total, **digits), found)

    def _expected(self, row: Row) -> tuple[int, dict[str, Exact]]:
        """Return the rows of a source that the table should have, and the sums of those columns that both know."""
        if self.outputs == REJECTED:
            counts = json.loads(row["problems"]) if row["rejected_etag"] else []
            return sum(count for *_, count in counts), {}
        if not row["clean_etag"]:
            return 0, {}
        sums = dict[str, Exact]()
        for part in json.loads(row["share"]):
            for name in part["sums"].keys() & set(self.dataset.contract.summary.sum):
                sums[name] = sums.get(name, 0) + exact(part["sums"][name])
        return row["rows_kept"], dict(sorted(sums.items()))

    def _stranger(self, key: str | None, rows: int) -> Recount:
        """Judge rows whose source the snapshot does not have."""
        if key and self._live(key):
            return Recount(key, unverified=CHANGED)
        return Recount(self.prefix, (Difference(self.prefix, None, f"rows of {key}", "no rows", f"{rows:,} rows"),))

    def _live(self, key: str) -> Row | None:
        return next(iter(self.ledger.rows(SOURCES + " AND source_key = ?", self.dataset.contract.name, key)), None)


def _is_unsettled(row: Row) -> bool:
    """Return whether the objects of a source may be of another version than the ledger has."""
    unknown = row["loaded_etag"] is None and (row["clean_etag"] or row["rejected_etag"])
    return bool(unknown or row["status"] in ("pending", "failed"))


def _number(total: Exact, *, exact: bool) -> str:
    """Return a sum as a person reads it: one of integers or decimals to the last digit."""
    if total == int(total):
        return str(int(total))
    with localcontext(prec=WIDEST):
        return f"{Decimal(total.numerator) / total.denominator:f}" if exact else str(float(total))
