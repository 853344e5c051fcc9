"""Numbers of problems of the newest files, by rule and column, as published with their loads."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

PROBLEMS = "problems"
MAX_COLUMNS = 1000  # column names that a page distinguishes: files may have any number of names
OTHERS = "(other columns)"
COLUMNS = {"rule": pa.string(), "column": pa.string(), "count": pa.int64()}


@dataclass(frozen=True)
class Counts:
    """`frame` has a row per file, rule and column: dataset, source_key, landed, rule, column, problems.

    `landed` is in UTC seconds.
    """

    frame: pd.DataFrame
    loads: int  # that were published: the newest
    uncounted: int  # loads with problems, by a version of the pipeline that did not count them


def count_problems(loads: pa.Table) -> Counts:
    """Return the counts in `loads.parquet`."""
    bad = loads.filter((pc.field("rows_rejected") > 0) | (pc.field("status") == "refused"))
    if PROBLEMS not in bad.column_names:
        bad = bad.append_column(PROBLEMS, pa.nulls(len(bad), pa.list_(pa.struct(COLUMNS))))
    lists = bad[PROBLEMS].combine_chunks()
    seconds = pc.divide(bad["landed_at"].cast(pa.int64()), 1_000_000)
    files = bad.select(["dataset", "source_key"]).append_column("landed", seconds)
    table = files.take(pc.list_parent_indices(lists))
    counts = pc.list_flatten(lists)
    for name, shown in zip(COLUMNS, ("rule", "column", PROBLEMS), strict=True):
        table = table.append_column(shown, counts.field(name).cast(COLUMNS[name]))
    table = table.set_column(table.schema.get_field_index("column"), "column", _bounded(table))
    uncounted = pc.sum(pc.equal(pc.fill_null(pc.list_value_length(lists), 0), 0)).as_py() or 0
    # Categories, because a page adds them up twice a second.
    frame = table.to_pandas(categories=["dataset", "source_key", "rule", "column"])
    return Counts(frame, len(loads), uncounted)


def _bounded(counts: pa.Table) -> pa.ChunkedArray:
    """Return the column names of counts; all but the `MAX_COLUMNS` names with the most problems become `OTHERS`."""
    sums = counts.group_by("column").aggregate([(PROBLEMS, "sum")])
    if len(sums) <= MAX_COLUMNS:
        return counts["column"]
    most = sums.sort_by([(f"{PROBLEMS}_sum", "descending")])["column"].slice(0, MAX_COLUMNS)
    named = pc.or_(pc.is_null(counts["column"]), pc.is_in(counts["column"], most.combine_chunks()))
    return pc.if_else(named, counts["column"], OTHERS)


def by_rule(counts: pd.DataFrame, problems: pd.DataFrame) -> pd.DataFrame:
    """Return problems and files by rule and column, the most first, each with a message of `problems` as an example."""
    by = ["rule", "column"]
    groups = counts.groupby(by, dropna=False, sort=False, observed=True)
    sums = groups.agg(problems=("problems", "sum"), files=("source_key", "nunique")).reset_index()
    examples = problems.drop_duplicates(by)[[*by, "message"]].rename(columns={"message": "example"})
    sums = sums.astype(dict.fromkeys(by, "string[pyarrow]")).merge(examples, how="left", on=by)  # null equals null
    return sums.sort_values("problems", ascending=False, kind="stable", ignore_index=True)
