"""Report of the ledger as a whole: the status and the newest loads, as they are published."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, chain
from operator import itemgetter
from sqlite3 import Row
from typing import Any

import pyarrow as pa

from lake.layout import CLEAN, REJECTED, table_prefix
from lake.schemas import LOADS_SCHEMA, PROBLEM_COUNT, TIME
from lake.status import BuiltAnew, Executor, Status, Tables, Writer
from pipeline.ledger import mended
from pipeline.ledger.changes import are_off, behind, count_after, has_tables, read_built_anew, read_mark
from pipeline.ledger.last_error import last_reason
from pipeline.ledger.ledger import Ledger
from pipeline.model.load_record import Counts

NEWEST_LOADS = 5_000

NAMED = 10  # folders without a contract that a status names, and datasets whose tables are behind

MENDED_LINES = 2_000  # of one file that are published, the first: more than a page reads of its problems

LATENCY_LOADS = 1_000  # the newest loads found by event, over which percentiles are taken

EXECUTOR = "executor"  # fact of the ledger: the description of the pipeline's executor, as JSON

EDITS = "edits"  # fact of the ledger: contracts and transforms that the pipeline found and does not use, as JSON

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Sections are the datasets and these two; no dataset has a slash in its name.
_ALL, _STRAYS = "/all", "/no contract"

_HAS_CONTRACT = "dataset IN (SELECT dataset FROM fingerprint)"

_MENDED = ("rows_mended", "mended")  # columns of the loads that come from the marks of other files

_SECTION = f"iif({_HAS_CONTRACT}, dataset, '{_STRAYS}') AS section"

_SUMS = f"""
WITH part AS (SELECT {_SECTION}, * FROM tally WHERE dataset <> '' UNION ALL SELECT '{_ALL}', * FROM tally)
SELECT section,
    sum(iif(status = 'pending', files, 0)) AS "files.pending",
    sum(iif(status = 'loaded', files, 0)) AS "files.loaded",
    sum(iif(status = 'refused', files, 0)) AS "files.refused",
    sum(iif(status = 'failed', files, 0)) AS "files.failed",
    sum(iif(status = 'missing', files, 0)) AS "files.missing",
    sum(iif(status = 'ignored', files, 0)) AS "files.ignored",
    sum(stale) AS "files.stale",
    sum(rows_read) AS "rows.read", sum(rows_kept) AS "rows.kept",
    sum(rows_dropped) AS "rows.dropped", sum(rows_rejected) AS "rows.rejected",
    sum(iif(status = 'pending', files, 0)) AS "backlog.files",
    sum(iif(status = 'pending', bytes, 0)) AS "backlog.bytes",
    min(iif(status = 'pending', (
        SELECT min(landed_at) FROM source WHERE status = 'pending' AND source.dataset = part.dataset
    ), NULL)) AS "backlog.oldest_at",
    sum(event) AS "found_by.event", sum(sweep) AS "found_by.sweep"
FROM part GROUP BY section
"""

_LATENCIES = f"""
SELECT {_SECTION}, (loaded_at - landed_at) / 1000.0 AS ms FROM (
    SELECT * FROM history WHERE found_by = 'event' ORDER BY id DESC LIMIT {LATENCY_LOADS}
) ORDER BY ms
"""

_STALE = """
SELECT dataset, coalesce(sum(stale), 0) AS stale FROM fingerprint LEFT JOIN tally USING (dataset) GROUP BY dataset
"""

# A folder whose files are all gone, with their rows, is not there any more.
_FOLDERS = f"""
SELECT DISTINCT dataset FROM tally
WHERE files <> 0 AND dataset <> '' AND NOT {_HAS_CONTRACT} AND (status <> 'missing' OR rows_kept <> 0) ORDER BY dataset
"""


def status(ledger: Ledger) -> Status:
    """Return the status of the lake: counts, backlog, latency, tables, writer, executor; in all and by dataset.

    Folders without a contract are no datasets. They are counted together, in `no_contract`, however many there are.
    """
    latencies: dict[str, list[float]] = {_ALL: []}
    for row in ledger.rows(_LATENCIES):
        latencies[_ALL].append(row["ms"])
        latencies.setdefault(row["section"], []).append(row["ms"])
    sections = {}
    for row in ledger.rows(_SUMS):
        sections[row["section"]] = _progress(row, latencies.get(row["section"], []))
    names = [row["dataset"] for row in ledger.rows("SELECT dataset FROM fingerprint ORDER BY dataset")]
    tables = _tables(ledger, names)
    datasets = {name: {**sections.get(name, {}), "tables": tables.get(name)} for name in names}
    folders = ledger.rows(_FOLDERS)
    strays = {"folders": len(folders), "names": list(map(itemgetter("dataset"), folders[:NAMED]))}
    return Status.model_validate(
        {
            **sections.get(_ALL, {}),
            "tables": _all_tables(list(tables.values())),
            "lake": ledger.get("lake"),
            "writer": writer(ledger),
            "problem": last_reason(ledger.path.parent),
            "executor": executor(ledger),
            "edits": json.loads(ledger.get(EDITS) or "[]") if writer(ledger) else [],
            "datasets": datasets,
            "no_contract": {**sections.get(_STRAYS, {}), **strays},
        }
    )


def _progress(row: Row, ordered: list[float]) -> dict[str, dict[str, Any]]:
    """Return the parts of a `Progress`, from the sums of a section and its ordered latencies (milliseconds)."""
    parts: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, value in zip(row.keys()[1:], row[1:], strict=True):
        part, _, field = name.partition(".")
        parts[part][field] = value
    parts["backlog"]["oldest_at"] = _time(parts["backlog"]["oldest_at"])
    for share in (50, 95, 99) if ordered else ():
        parts["latency_ms"][f"p{share}"] = round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 3)
    return parts


def _tables(ledger: Ledger, datasets: Sequence[str]) -> dict[str, Tables]:
    """Return what the tables of each dataset lack, for the datasets that have tables."""
    tables, off = {}, are_off(ledger)
    for name in datasets:
        if has_tables(ledger, name):
            # Tables that are off lack more and more, and to count that takes longer and longer.
            lag = Tables(off=True) if off else _lag(ledger, name)
            tables[name] = lag.model_copy(update={"built_anew": _built_anew(ledger, name)})
    return tables


def _lag(ledger: Ledger, dataset: str) -> Tables:
    files, oldest = behind(ledger, dataset) or (0, None)
    return Tables(files=files, oldest_at=_time(oldest))


def _built_anew(ledger: Ledger, dataset: str) -> list[BuiltAnew]:
    events = []
    for outputs in (CLEAN, REJECTED):
        prefix = table_prefix(outputs, dataset)
        if event := read_built_anew(ledger, prefix):
            at, reason = event
            events.append(BuiltAnew(table=prefix, at=EPOCH + timedelta(microseconds=at), reason=reason))
    return events


def _all_tables(tables: Sequence[Tables]) -> Tables | None:
    """Return what several datasets' tables lack together; None if no dataset has tables."""
    if not tables:
        return None
    files, times = sum(part.files for part in tables), [part.oldest_at for part in tables if part.oldest_at]
    anew = [event for part in tables for event in part.built_anew]
    off = any(part.off for part in tables)
    return Tables(files=files, oldest_at=min(times, default=None), off=off, built_anew=anew)


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)


def writer(ledger: Ledger) -> Writer | None:
    """Return the pipeline that works with this ledger, as it last signed; None if it has ended in order."""
    signed = json.loads(ledger.get("writer") or "null")
    return Writer.model_validate(signed) if signed else None


def executor(ledger: Ledger) -> Executor | None:
    """Return the executor of the pipeline that works with this ledger; None if the pipeline has ended in order."""
    described = json.loads(ledger.get(EXECUTOR) or "null")
    return Executor.model_validate(described) if described and writer(ledger) else None


def loads(ledger: Ledger, rejected: mended.RejectedLines | None) -> pa.Table:
    """Return the newest loads, one row per source, the newest first."""
    return sources(ledger, rejected, "changed_at IS NOT NULL")


def sources(ledger: Ledger, rejected: mended.RejectedLines | None, condition: str, *values: object) -> pa.Table:
    """Return the sources that meet a condition, with `LOADS_SCHEMA`; those that changed last, the newest first.

    `rejected` says which of the lines with marks are rejected; without it `rows_mended` of their sources is null.
    """
    problem = "iif(status IN ('failed', 'ignored') OR status = 'pending' AND retry_at, error, first_problem)"
    names = ", ".join(name if name not in _MENDED else "NULL" for name in LOADS_SCHEMA.names)
    rows = ledger.rows(
        f"SELECT {names.replace('first_problem', problem)}, {mended.COLUMNS} FROM source WHERE {condition}"
        f" ORDER BY changed_at DESC LIMIT {NEWEST_LOADS}",
        *values,
    )
    lines = mended.mended(rows, mended.passed_lines(ledger), rejected)
    of_others = {
        "rows_mended": [None if some is None else len(some) for some in lines],
        "mended": [(some or [])[:MENDED_LINES] for some in lines],
    }
    columns, cells = [], list(zip(*rows, strict=True)) or [()] * len(LOADS_SCHEMA)
    for field, values_of in zip(LOADS_SCHEMA, cells[: len(LOADS_SCHEMA)], strict=True):
        if field.name in of_others:
            columns.append(pa.array(of_others[field.name], field.type))
        elif field.name == "problems":
            columns.append(_problem_counts(json.loads(f"[{','.join(values_of)}]")))  # a call for each: 6 times as long
        else:
            stored = pa.int64() if field.type in (TIME, pa.bool_()) else field.type
            columns.append(pa.array(values_of, stored).cast(field.type))
    return pa.table(columns, LOADS_SCHEMA)


def loads_metadata(ledger: Ledger) -> bytes:
    """Return what a reader needs to put the newest loads beside a table, as JSON.

    `ledger` is the id of the ledger that numbered the results. `tables` has for the prefix of each table the `position`
    that it has reached, of how many `files` the results come after it, and how many files of the dataset are `stale`.
    """
    tables = {}
    for row in [] if are_off(ledger) else ledger.rows(_STALE):
        for outputs in (CLEAN, REJECTED):
            prefix = table_prefix(outputs, row["dataset"])
            if ledger.get(prefix):
                position = read_mark(ledger, prefix).position
                files = count_after(ledger, row["dataset"], position)
                tables[prefix] = {"position": position, "files": files, "stale": row["stale"]}
    return json.dumps({"ledger": ledger.id, "tables": tables}).encode()


def _problem_counts(files: Sequence[Counts]) -> pa.ListArray:
    """Return the problems of each file by rule and column, as `PROBLEM_COUNT`; built by column, which is fast."""
    columns = []
    flat = list(zip(*chain.from_iterable(files), strict=True)) or [(), (), ()]
    for field, values in zip(PROBLEM_COUNT, flat, strict=True):
        columns.append(pa.array(values, field.type))
    counts = pa.StructArray.from_arrays(columns, fields=list(PROBLEM_COUNT))
    return pa.ListArray.from_arrays(pa.array(accumulate(map(len, files), initial=0), pa.int32()), counts)
