"""Schemas of the published Parquet objects, and the key of their metadata."""

import pyarrow as pa

METADATA_KEY = b"lakelet"  # in a Parquet footer: the record of a load, or what a summary is made of

TIME = pa.timestamp("us", "UTC")
PROBLEM_COUNT = pa.struct([("rule", pa.string()), ("column", pa.string()), ("count", pa.int64())])

LOADS_SCHEMA = pa.schema(
    [("source_key", pa.string()), ("dataset", pa.string()), ("status", pa.string()), ("etag", pa.string())]
    + [(name, pa.int64()) for name in ("size", "rows_read", "rows_kept", "rows_dropped", "rows_rejected")]
    + [("first_problem", pa.string()), ("found_by", pa.string()), ("attempts", pa.int64()), ("stale", pa.bool_())]
    + [(name, TIME) for name in ("landed_at", "noticed_at", "started_at", "loaded_at")]
    + [("problems", pa.list_(PROBLEM_COUNT))]
)

REJECTED_SCHEMA = pa.schema(
    [("source_key", pa.string()), ("line", pa.int64())]
    + [(name, pa.string()) for name in ("column", "rule", "value", "message", "raw")]
)
