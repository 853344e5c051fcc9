"""What the ledger tells the world: the status, the loads and the summaries, as they are published."""

import json
import logging
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from sqlite3 import Row
from typing import Any, Literal, get_args

import pyarrow as pa

from common.errors import SettingError
from lake.published import LOADS_SCHEMA, PROBLEM_COUNT, TIME
from pipeline.ledger.last_reason import last_reason
from pipeline.ledger.ledger import Ledger, key_text
from pipeline.model.load_record import Counts

NEWEST_LOADS = 5_000

NAMED = 10  # folders without a contract that a status names

LATENCY_LOADS = 1_000  # the newest loads found by event, over which percentiles are taken

FileStatus = Literal["pending", "loaded", "refused", "failed", "missing", "ignored"]

STATUSES: tuple[FileStatus, ...] = get_args(FileStatus)

Status = dict[str, Any]

log = logging.getLogger(__name__)


def status(ledger: Ledger) -> Status:
    """Return what `status.json` holds: counts, backlog, latency, writer; in all and by dataset.

    Folders without a contract are no datasets. They are counted together, in `no_contract`, however many there are.
    """
    tally = ledger.rows("SELECT * FROM tally WHERE files <> 0")
    datasets = sorted(row["dataset"] for row in ledger.rows("SELECT dataset FROM fingerprint"))
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
    return pa.array(values, pa.int64() if type_ in (TIME, pa.bool_()) else type_).cast(type_)


def _counts(files: list[Counts]) -> pa.ListArray:
    """Give how many problems each file has, by rule and column; column by column, for it is made with every change."""
    flat = list(zip(*(one for counts in files for one in counts), strict=True)) or [(), (), ()]
    columns = [pa.array(values, field.type) for values, field in zip(flat, PROBLEM_COUNT, strict=True)]
    offsets = accumulate((len(counts) for counts in files), initial=0)
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.StructArray.from_arrays(columns, fields=list(PROBLEM_COUNT))
    )


def selected(ledger: Ledger, keys: Sequence[str], status: str | None, *, stale: bool) -> tuple[str, list[object]]:
    """Give a condition on the table `source`, and the values for its marks: of these keys, this status, and stale.

    What is not asked for is not in it. `SettingError` names the keys which the ledger does not know.
    """
    listed = json.dumps([key_text(key) for key in keys])
    query = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT source_key FROM source)"
    if unknown := [row["value"] for row in ledger.rows(query, listed)]:
        raise SettingError(
            f"KEY: the ledger knows no {', '.join(map(repr, unknown))}: expected a key as `status` shows it, "
            "like raw/companydata/companydata.csv"
        )
    asked: list[tuple[str, object]] = [("status = ?", status)] if status else []
    asked += [("source_key IN (SELECT value FROM json_each(?))", listed)] if keys else []
    asked += [("stale = ?", 1)] if stale else []
    return " AND ".join(["TRUE", *(condition for condition, _ in asked)]), [value for _, value in asked]
