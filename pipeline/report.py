"""What the ledger tells the world: the status, the loads and the summaries, as they are published."""

import json
import logging
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from sqlite3 import Row
from typing import Any, Literal, get_args

import pyarrow as pa

from pipeline.contract import Contract
from pipeline.health import last_reason
from pipeline.ledger import Ledger
from pipeline.recipe import Dataset
from pipeline.shares import exact_sums
from pipeline.stage import FOOTER, Counts
from pipeline.summary import Exact, Totals, merge, rounded
from storage.console import fields

NEWEST_LOADS = 5_000
NAMED = 10  # folders without a contract that a status names
LATENCY_LOADS = 1_000  # the newest loads found by event, over which percentiles are taken
FileStatus = Literal["pending", "loaded", "refused", "failed", "missing", "ignored"]
STATUSES: tuple[FileStatus, ...] = get_args(FileStatus)

_TIME = pa.timestamp("us", "UTC")
_COUNT = pa.struct([("rule", pa.string()), ("column", pa.string()), ("count", pa.int64())])
LOADS_SCHEMA = pa.schema(
    [("source_key", pa.string()), ("dataset", pa.string()), ("status", pa.string()), ("etag", pa.string())]
    + [(name, pa.int64()) for name in ("size", "rows_read", "rows_kept", "rows_dropped", "rows_rejected")]
    + [("first_problem", pa.string()), ("found_by", pa.string()), ("attempts", pa.int64()), ("stale", pa.bool_())]
    + [(name, _TIME) for name in ("landed_at", "noticed_at", "started_at", "loaded_at")]
    + [("problems", pa.list_(_COUNT))]
)

Status = dict[str, Any]

log = logging.getLogger(__name__)


def status(ledger: Ledger) -> Status:
    """Return what `status.json` holds: counts, backlog, latency, writer; in all and by dataset.

    Folders without a contract are no datasets. They are counted together, in `no_contract`, however many there are.
    """
    tally = ledger.rows("SELECT * FROM tally WHERE files <> 0")
    datasets = sorted(row["dataset"] for row in ledger.rows("SELECT dataset FROM recipe"))
    strays = sorted({row["dataset"] for row in tally} - {"", *datasets})
    took = ledger.rows(
        "SELECT dataset, (loaded_at - landed_at) / 1000.0 AS ms FROM history WHERE found_by = 'event'"
        f" ORDER BY id DESC LIMIT {LATENCY_LOADS}"
    )
    waiting = {row["dataset"] for row in tally if row["status"] == "pending"}
    first = "SELECT min(landed_at) AS oldest FROM source WHERE status = 'pending' AND dataset = ?"
    found = {name: ledger.rows(first, name)[0]["oldest"] for name in waiting}
    oldest = {name: moment for name, moment in found.items() if moment is not None}  # else it was loaded meanwhile

    def section(names: Collection[str]) -> Status:
        rows, loads = ([row for row in some if row["dataset"] in names] for some in (tally, took))
        return _section(rows, loads, min((moment for name, moment in oldest.items() if name in names), default=None))

    return {
        "lake": ledger.get("lake"),
        "writer": json.loads(ledger.get("writer") or "null"),
        "problem": last_reason(ledger.path.parent),
        **section({"", *datasets, *strays}),
        "datasets": {name: section({name}) for name in datasets},
        "no_contract": {**section(set(strays)), **_folders(tally, strays)},
    }


def _folders(tally: list[Row], names: list[str]) -> Status:
    """Count the folders without a contract, and name some; one whose files are gone is not there any more."""
    present = {row["dataset"] for row in tally if row["status"] != "missing" or row["rows_kept"]}
    folders = [name for name in names if name in present]
    return {"folders": len(folders), "names": folders[:NAMED]}


def _section(tally: list[Row], took: list[Row], oldest: int | None) -> Status:
    def total(name: str, status: str | None = None) -> int:
        return sum(row[name] for row in tally if status in (None, row["status"]))

    ordered = sorted(row["ms"] for row in took)
    return {
        "files": {name: total("files", name) for name in STATUSES} | {"stale": total("stale")},
        "rows": {name: total(f"rows_{name}") for name in ("read", "kept", "dropped", "rejected")},
        "backlog": {"files": total("files", "pending"), "bytes": total("bytes", "pending"), "oldest_at": iso(oldest)},
        "latency_ms": {f"p{share}": _percentile(ordered, share) for share in (50, 95, 99)},
        "found_by": {"event": total("event"), "sweep": total("sweep")},
    }


def _percentile(ordered: list[float], share: int) -> float | None:
    return round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 3) if ordered else None


def iso(microseconds: int | None) -> str | None:
    """Write a ledger's time as ISO 8601, UTC."""
    if microseconds is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def loads(ledger: Ledger) -> pa.Table:
    """Give the newest loads, one row per source, the newest first."""
    return sources(ledger, "changed_at IS NOT NULL")


def sources(ledger: Ledger, condition: str, *values: object) -> pa.Table:
    """Give the sources that meet a condition, as `LOADS_SCHEMA` has them; those that changed last, the newest first."""
    problem = "iif(status IN ('failed', 'ignored') OR status = 'pending' AND retry_at, error, first_problem)"
    names = ", ".join(problem if name == "first_problem" else name for name in LOADS_SCHEMA.names)
    rows = ledger.rows(
        f"SELECT {names} FROM source WHERE {condition} ORDER BY changed_at DESC LIMIT {NEWEST_LOADS}",
        *values,
    )
    columns = zip(*rows, strict=True) if rows else [()] * len(LOADS_SCHEMA)
    return pa.table(
        [_cells(cells, field.type) for cells, field in zip(columns, LOADS_SCHEMA, strict=True)], LOADS_SCHEMA
    )


def _cells(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    if type_ == LOADS_SCHEMA.field("problems").type:
        return _counts(json.loads(f"[{','.join(values)}]"))  # a call for each takes six times as long
    return pa.array(values, pa.int64() if type_ in (_TIME, pa.bool_()) else type_).cast(type_)


def _counts(files: list[Counts]) -> pa.ListArray:
    """Give how many problems each file has, by rule and column; column by column, for it is made with every change."""
    flat = list(zip(*(one for counts in files for one in counts), strict=True)) or [(), (), ()]
    columns = [pa.array(values, field.type) for values, field in zip(flat, _COUNT, strict=True)]
    offsets = accumulate((len(counts) for counts in files), initial=0)
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.StructArray.from_arrays(columns, fields=list(_COUNT))
    )


def summary(ledger: Ledger, dataset: Dataset) -> pa.Table:
    """Give a dataset's merged summary: the groupBy columns, `rows`, and each sum; groups in order."""
    spec = dataset.contract.summary
    totals: Totals = {}
    for row in ledger.rows('SELECT "group", rows, sums FROM summary WHERE dataset = ?', dataset.contract.name):
        # A share that another contract left behind is counted under what it still has in common with this one.
        group = {name: json.loads(row["group"]).get(name) for name in spec.groupBy}
        merge(totals, group, row["rows"], exact_sums(row["sums"]))
    groups = sorted(totals.items())
    types = {name: dataset.schema.field(name).type for name in (*spec.groupBy, *spec.sum)}
    columns = {name: _column([json.loads(group)[name] for group, _ in groups], types[name]) for name in spec.groupBy}
    columns["rows"] = pa.array([rows for _, (rows, _) in groups], pa.int64())
    for name in spec.sum:
        wide = pa.int64() if pa.types.is_integer(types[name]) else pa.float64()
        totals_of = [_shown(sums.get(name, 0), types[name], name) for _, (_, sums) in groups]
        columns[name] = pa.array(totals_of, wide)
    described = {"groupBy": spec.groupBy, "sum": spec.sum, "file": _file(dataset.contract)}
    return pa.table(columns).replace_schema_metadata({FOOTER: json.dumps(described, ensure_ascii=False).encode()})


def _file(contract: Contract) -> dict[str, Any]:
    """Return how a dataset's files are written, which a reader must know to show their lines."""
    renamed = {field.name: field.heading for field in contract.fields if field.heading != (field.name, 1)}
    return {
        "encoding": contract.encoding,
        "delimiter": contract.delimiter,
        "quoteChar": contract.quote,
        "headers": renamed,  # field to what the file calls it, and which it is of the columns with this name
    }


def _column(values: list[Any], type_: pa.DataType) -> pa.Array:
    """Give group values in their type; one that a contract of before left behind, and that has another, is null."""
    as_text = pa.types.is_temporal(type_) or pa.types.is_decimal(type_) or any(isinstance(one, str) for one in values)
    try:
        return pa.array(values, pa.string() if as_text else type_).cast(type_)
    except (pa.ArrowException, OverflowError):
        return pa.concat_arrays([_column([one], type_) if len(values) > 1 else pa.nulls(1, type_) for one in values])


def _shown(total: Exact, type_: pa.DataType, name: str) -> int | float | None:
    """Round a merged sum for showing; one that its type cannot hold is null, and said."""
    try:
        return rounded(total, type_, name)
    except OverflowError as error:
        log.warning(fields("sum not shown", reason=error))
        return None
