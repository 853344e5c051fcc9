"""Writes published objects as the pipeline does, straight from the design's words, so that a test owns its data."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.layout import LOADS, STATUS, rejected_key, summary_key
from lake.schemas import LOADS_SCHEMA, REJECTED_SCHEMA
from lake.stores.base import ObjectStore

COUNTS: dict[str, Any] = {
    "files": dict.fromkeys(("pending", "loaded", "refused", "failed", "missing", "ignored", "stale"), 0),
    "rows": dict.fromkeys(("read", "kept", "dropped", "rejected"), 0),
    "backlog": {"files": 0, "bytes": 0, "oldest_at": None},
    "latency_ms": {"p50": None, "p95": None, "p99": None},
    "found_by": {"event": 0, "sweep": 0},
}


def iso(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def counts(**changes: dict[str, Any]) -> dict[str, Any]:
    return {name: {**part, **changes.get(name, {})} for name, part in COUNTS.items()}


def writer(seconds_ago: float = 0.0) -> dict[str, Any]:
    now = datetime.now(UTC)
    beat = now - timedelta(seconds=seconds_ago)
    return {
        "id": "abc",
        "host": "here",
        "pid": 7,
        "started_at": iso(now - timedelta(hours=1)),
        "heartbeat_at": iso(beat),
    }


def publish_status(store: ObjectStore, **parts: Any) -> None:
    status = {"lake": "a-lake", "writer": writer(), **counts(), "datasets": {}, **parts}
    store.put(STATUS, json.dumps(status).encode())


def publish_summary(
    store: ObjectStore, dataset: str, columns: dict[str, Any], roles: dict[str, list[str]] | None
) -> None:
    table = pa.table(columns)
    table = table.replace_schema_metadata({b"lakelet": json.dumps(roles).encode()} if roles else None)
    store.put(summary_key(dataset), parquet(table))


def publish_companydata(store: ObjectStore, sold: list[int]) -> None:
    departments = ["Garden", "Books", "Toys"]
    columns = {
        "Dept": departments,
        "rows": [8, 8, 8],
        "Sold": sold,
        "Returned": [99, 101, 77],
        "Ordered": [401, 388, 350],
    }
    publish_summary(store, "companydata", columns, {"groupBy": ["Dept"], "sum": ["Sold", "Returned", "Ordered"]})


def load(source_key: str, **changes: Any) -> dict[str, Any]:
    landed = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
    loaded = landed + timedelta(milliseconds=11)
    values = {
        "source_key": source_key, "dataset": source_key.split("/")[1], "status": "loaded", "etag": "e", "size": 600,
        "rows_read": 24, "rows_kept": 24, "rows_dropped": 0, "rows_rejected": 0, "first_problem": None,
        "found_by": "event", "attempts": 1, "stale": False,
        "landed_at": landed, "noticed_at": landed, "started_at": landed, "loaded_at": loaded, "problems": [],
    }  # fmt: skip
    return values | changes


def counted(*counts: tuple[str, str | None, int]) -> list[dict[str, Any]]:
    """Return the `problems` of a load."""
    return [dict(zip(("rule", "column", "count"), one, strict=True)) for one in counts]


def publish_loads(store: ObjectStore, loads: list[dict[str, Any]]) -> None:
    store.put(LOADS, parquet(pa.Table.from_pylist(loads, schema=LOADS_SCHEMA)))


def publish_lake(
    store: ObjectStore, sold: list[int], loads: list[dict[str, Any]], parts: dict[str, Any], **status: Any
) -> None:
    """Publish all of a lake that has company data alone."""
    publish_companydata(store, sold)
    publish_loads(store, loads)
    publish_status(store, datasets={"companydata": parts}, **parts, **status)


def problem(
    line: int | None, rule: str = "type", column: str | None = "Sold", value: str | None = "x"
) -> dict[str, Any]:
    message = f"{value!r} breaks {rule}"
    return {"line": line, "column": column, "rule": rule, "value": value, "message": message, "raw": f"a,{value}"}


def refusal(rule: str = "header") -> dict[str, Any]:
    return problem(None, rule, None, None) | {"raw": None}


def put_rejected(store: ObjectStore, source_key: str, problems: list[dict[str, Any]]) -> None:
    rows = [{"source_key": source_key, **one} for one in problems]
    store.put(rejected_key(source_key), parquet(pa.Table.from_pylist(rows, schema=REJECTED_SCHEMA)))


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
