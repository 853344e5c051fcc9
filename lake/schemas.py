"""Schemas of the published Parquet objects, and the key of their metadata."""

import pyarrow as pa

METADATA_KEY = b"lakelet"  # in a Parquet footer: the load record, or the description of a summary or of the loads

TEXT, COUNT, TIME = pa.string(), pa.int64(), pa.timestamp("us", "UTC")
PROBLEM_COUNT = pa.struct([("rule", TEXT), ("column", TEXT), ("count", COUNT)])

LINEAGE = [pa.field("_source_key", TEXT), pa.field("_line", COUNT)]  # of every clean row

LOADS_SCHEMA = pa.schema({
    "source_key": TEXT, "dataset": TEXT, "status": TEXT, "etag": TEXT, "size": COUNT,
    "rows_read": COUNT, "rows_kept": COUNT, "rows_dropped": COUNT, "rows_rejected": COUNT,
    "first_problem": TEXT, "found_by": TEXT, "attempts": COUNT, "stale": pa.bool_(),
    "landed_at": TIME, "noticed_at": TIME, "started_at": TIME, "loaded_at": TIME,
    "problems": pa.list_(PROBLEM_COUNT), "position": COUNT, "rows_mended": COUNT, "mended": pa.list_(COUNT),
    "drift": TEXT,
})  # fmt: skip

REJECTED_SCHEMA = pa.schema({
    "source_key": TEXT, "line": COUNT, "column": TEXT, "rule": TEXT, "value": TEXT, "message": TEXT, "raw": TEXT,
})  # fmt: skip
