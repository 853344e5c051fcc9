"""The peers, each the short program that its own documentation leads to; run by a Python that has them.

    python benchmarks/peers.py NAME SOURCE TARGET

One line of JSON says how long it took (imports left out), how many rows were kept, and how many records were given
as bad.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

TYPES = {
    "id": "BIGINT",
    "sold_at": "TIMESTAMP",
    "due": "DATE",
    "customer": "VARCHAR",
    "city": "VARCHAR",
    "product": "VARCHAR",
    "country": "VARCHAR",
    "quantity": "BIGINT",
    "price": "DOUBLE",
    "paid": "BOOLEAN",
}
REQUIRED = ("id", "sold_at", "customer", "product", "country", "quantity", "price")
COUNTRIES = ("AT", "CH", "DE", "FR", "IT", "NL", "PL", "SE")
ZSTD = "(FORMAT parquet, COMPRESSION zstd)"

Counts = tuple[int, int]  # rows kept, records given as bad


def duckdb_copy(duckdb: Any, source: Path, target: Path, _: Path) -> Counts:
    """Types only: the first record that does not fit ends it."""
    duckdb.execute(f"COPY (FROM {_duckdb_csv(source, TYPES)}) TO '{target}' {ZSTD}")
    return _duckdb_rows(duckdb, target), 0


def duckdb_store_rejects(duckdb: Any, source: Path, target: Path, bad: Path) -> Counts:
    """Types only, with a table of the lines that did not fit, and why."""
    duckdb.execute(f"COPY (FROM {_duckdb_csv(source, TYPES, 'store_rejects = true')}) TO '{target}' {ZSTD}")
    duckdb.execute(f"COPY (FROM reject_errors) TO '{bad}' {ZSTD}")
    [[found]] = duckdb.execute("SELECT count(DISTINCT line) FROM reject_errors").fetchall()
    return _duckdb_rows(duckdb, target), found


def duckdb_try_cast(duckdb: Any, source: Path, target: Path, bad: Path) -> Counts:
    """All as text, cast and checked by SQL, good and bad rows to a file each: no line, no reason."""
    texts = _duckdb_csv(source, dict.fromkeys(TYPES, "VARCHAR"), "null_padding = true")
    casts = ", ".join(f"TRY_CAST({name} AS {type_}) AS {name}" for name, type_ in TYPES.items())
    fits = " AND ".join(
        [f"({name} IS NULL OR TRY_CAST({name} AS {type_}) IS NOT NULL)" for name, type_ in TYPES.items()]
        + [f"{name} IS NOT NULL" for name in REQUIRED]
        + ["TRY_CAST(id AS BIGINT) >= 1", "TRY_CAST(quantity AS BIGINT) >= 1", "TRY_CAST(price AS DOUBLE) >= 0"]
        + [f"country IN {COUNTRIES}"]
    )
    duckdb.execute(f"COPY (SELECT {casts} FROM {texts} WHERE {fits}) TO '{target}' {ZSTD}")
    duckdb.execute(f"COPY (FROM {texts} WHERE NOT coalesce({fits}, false)) TO '{bad}' {ZSTD}")
    return _duckdb_rows(duckdb, target), _duckdb_rows(duckdb, bad)


def _duckdb_csv(source: Path, types: dict[str, str], more: str = "strict_mode = true") -> str:
    dialect = "header = true, auto_detect = false, delim = ',', quote = '\"'"
    return f"read_csv('{source}', {dialect}, columns = {types}, {more})"


def _duckdb_rows(duckdb: Any, path: Path) -> int:
    return duckdb.execute(f"SELECT count(*) FROM read_parquet('{path}')").fetchone()[0]


def polars_sink(pl: Any, source: Path, target: Path, _: Path) -> Counts:
    """Types only: the first record that does not fit ends it."""
    schema = {name: pl.String if type_ == "TIMESTAMP" else _polars_type(pl, type_) for name, type_ in TYPES.items()}
    typed = pl.scan_csv(source, schema=schema).with_columns(pl.col("sold_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ"))
    typed.sink_parquet(target, compression="zstd")
    return pl.scan_parquet(target).select(pl.len()).collect().item(), 0


def polars_split(pl: Any, source: Path, target: Path, bad: Path) -> Counts:
    """All as text, cast and checked, good and bad rows to a file each in one pass: the first reason alone, no line."""
    texts = pl.scan_csv(source, schema=dict.fromkeys(TYPES, pl.String), truncate_ragged_lines=True)
    typed = {name: _polars_cast(pl, name, type_) for name, type_ in TYPES.items()}
    faults = {f"{name}: type": value.is_null() & pl.col(name).is_not_null() for name, value in typed.items()}
    faults |= {f"{name}: required": pl.col(name).is_null() for name in REQUIRED}
    faults |= {f"{name}: minimum": typed[name] < low for name, low in (("id", 1), ("quantity", 1), ("price", 0))}
    faults |= {"country: enum": ~pl.col("country").is_in(COUNTRIES)}
    reasons = [pl.when(found).then(pl.lit(words)) for words, found in faults.items()]
    checked = texts.with_columns(reason=pl.coalesce(reasons))
    good = checked.filter(pl.col("reason").is_null()).select(value.alias(name) for name, value in typed.items())
    rejected = checked.filter(pl.col("reason").is_not_null())
    parts = {target: good, bad: rejected}
    pl.collect_all([part.sink_parquet(path, compression="zstd", lazy=True) for path, part in parts.items()])
    counts = [pl.scan_parquet(path).select(pl.len()).collect().item() for path in (target, bad)]
    return counts[0], counts[1]


def _polars_type(pl: Any, type_: str) -> Any:
    numbers = {"BIGINT": pl.Int64, "DOUBLE": pl.Float64, "BOOLEAN": pl.Boolean}
    return {**numbers, "DATE": pl.Date, "VARCHAR": pl.String}[type_]


def _polars_cast(pl: Any, name: str, type_: str) -> Any:
    text = pl.col(name)
    if type_ == "TIMESTAMP":
        return text.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False)
    if type_ == "DATE":
        return text.str.to_date("%Y-%m-%d", strict=False)
    if type_ == "BOOLEAN":
        return text.replace_strict({"true": True, "false": False}, default=None)
    return text if type_ == "VARCHAR" else text.cast(_polars_type(pl, type_), strict=False)


def pandas(pd: Any, source: Path, target: Path, _: Path) -> Counts:
    """Types only, the whole file in memory, read by Arrow."""
    frame = pd.read_csv(source, engine="pyarrow", dtype_backend="pyarrow", parse_dates=["sold_at", "due"])
    frame.to_parquet(target, compression="zstd", index=False)
    return len(frame), 0


def dlt(dlt: Any, source: Path, target: Path, _: Path) -> Counts:
    """Types as DuckDB infers them, from folder to folder, with a load package and its state."""
    files = importlib.import_module("dlt.sources.filesystem")
    folder = target.with_suffix(".dlt")
    pipeline = dlt.pipeline(
        "bulk",
        pipelines_dir=str(folder / "state"),
        destination=dlt.destinations.filesystem(str(folder / "lake")),
        dataset_name="sales",
    )
    found = files.filesystem(bucket_url=str(source.parent), file_glob=source.name)
    pipeline.run(found | files.read_csv_duckdb(use_pyarrow=True), table_name="sales", loader_file_format="parquet")
    return pipeline.last_trace.last_normalize_info.row_counts["sales"], 0


def main() -> None:
    """Run one peer."""
    name, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    module = importlib.import_module(name.partition("_")[0])
    if name.startswith("duckdb"):
        module = module.connect()
    started = time.perf_counter()
    kept, bad = globals()[name](module, source, target, target.with_suffix(".bad"))
    print(json.dumps({"seconds": time.perf_counter() - started, "kept": kept, "rejected": bad}))


if __name__ == "__main__":
    main()
