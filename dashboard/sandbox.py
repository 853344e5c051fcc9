"""One SQL query over the lake, in a process of its own that can read the views it is given and nothing else.

DuckDB's own limits are not enough: `SELECT len(range(1000000000))` takes 8 GB whatever its memory limit says, and hears
no interrupt for a minute. A process can be ended.
"""

import contextlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from dashboard.rejects import SCHEMA
from storage import ObjectStore
from storage.layout import REJECTED

MAX_ROWS = 10_000  # of a result
MAX_BYTES = 16_000_000  # of a result, for one value may be long
BATCH = 1000
PROCESS_BYTES = 3 << 30  # of address space with data in it: 1.3 GiB at rest, most of it never touched
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": "256MB",
    "temp_directory": "",
    "threads": 2,
}
OTHER_TABLE = r'(?<=does not exist!\n)Did you mean "(?!clean_|rejected_|published_)\w+"\?'  # one of DuckDB's own
CUT = b"lakelet.cut"  # in a result's metadata: there are more rows


class QueryError(ValueError):
    """The query was refused or failed; the message is for the person who wrote it, and points at the place."""


def bound_process() -> None:
    """Let this process take a bounded part of the memory, and be the first to go where memory is short."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # each system bounds what it can
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (PROCESS_BYTES, PROCESS_BYTES))
        Path("/proc/self/oom_score_adj").write_text("1000")


def answer(store: ObjectStore, views: Mapping[str, str], sql: str) -> pa.Table:
    """Run one query over `views`, each a name and the prefix of its objects; give at most the rows that a page shows.

    Raises:
        QueryError: it is not one query, it is wrong, or it may not be run.
    """
    try:
        connection = connect({name: _dataset(store, prefix) for name, prefix in named(views, sql).items()})
        check(connection, sql)
        return _first_rows(_relation(connection, sql).to_arrow_reader(BATCH))
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise QueryError(explained(error)) from error


def named(views: Mapping[str, str], sql: str) -> Mapping[str, str]:
    """Give the views whose name stands in the query, so that no other is listed; all of them if there is none."""
    return {name: prefix for name, prefix in views.items() if name.lower() in sql.lower()} or views


def _dataset(store: ObjectStore, prefix: str) -> ds.Dataset:
    dataset = store.dataset(prefix)
    if not dataset.schema.names and prefix.startswith(REJECTED):  # nothing was rejected, and that can be asked too
        return ds.dataset(SCHEMA.empty_table())
    return dataset


def connect(views: Mapping[str, ds.Dataset]) -> duckdb.DuckDBPyConnection:
    """Open a database in memory that has the views that have a column, no way out, and settings that stay."""
    connection = duckdb.connect(config=SETTINGS)
    connection.execute("SET python_enable_replacements = false")  # no variable of this program is a table
    for name, dataset in views.items():
        if dataset.schema.names:
            connection.register(name, dataset)
    connection.execute("SET lock_configuration = true")
    return connection


def check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse what is not one query."""
    kinds = [statement.type for statement in connection.extract_statements(sql)]
    if not kinds:
        raise QueryError("Expected one query, found none: write one, or start from an example.")
    if len(kinds) > 1:
        raise QueryError(f"Expected one query, found {len(kinds)} statements: run one at a time.")
    if kinds[0] not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise QueryError(f"{kinds[0].name} is refused: this page reads and changes nothing. Begin with SELECT or FROM.")


def _relation(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    try:
        return connection.sql(sql)  # which gives rows as they come, while `execute` waits for the last one
    except duckdb.Error:
        connection.execute(sql)  # fails in the same way, but its words point at the place
        raise


def _first_rows(reader: pa.RecordBatchReader) -> pa.Table:
    batches, rows, memory = [], 0, 0
    for batch in reader:
        batches.append(batch)
        rows, memory = rows + batch.num_rows, memory + batch.nbytes
        if rows > MAX_ROWS or memory > MAX_BYTES:
            break
    kept = _plain(pa.Table.from_batches(batches, reader.schema).slice(0, MAX_ROWS))
    while len(kept) > 1 and kept.nbytes > MAX_BYTES:
        kept = kept.slice(0, len(kept) // 2)
    cut = len(kept) < rows or memory > MAX_BYTES
    return kept.replace_schema_metadata({CUT: b"1"} if cut else None)


def _plain(table: pa.Table) -> pa.Table:
    """Give a table that a page can show: each name once, and as text what is no number, text or time."""
    names: list[str] = []
    for name in table.column_names:
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return pa.table([_plain_column(column) for column in table.columns], names)


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    shown = (pa.types.is_string, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating)
    if any(is_kind(column.type) for is_kind in (*shown, pa.types.is_date, pa.types.is_timestamp)):
        return column
    if pa.types.is_decimal(column.type):  # the sum of integers is one, of no decimals
        with contextlib.suppress(pa.ArrowInvalid):
            return column.cast(pa.float64() if column.type.scale else pa.int64())
    texts = [None if value is None else str(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def explained(error: Exception) -> str:
    """Say what a person can do where DuckDB's own words do not."""
    said = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return "The query needs more memory than this page may take: ask for fewer columns or rows, or add up first."
    if isinstance(error, duckdb.PermissionException):
        return f"Refused: this page reads its views, no files, network or settings.\n\n{said}"
    if "FileNotFoundError" in said:
        return "A file was loaded again while the query read it: run the query again."
    return re.sub(OTHER_TABLE, "The views are in the list beside the query.", said)


def run(store: ObjectStore, views: Mapping[str, str], sql: str) -> int:
    """Write the answer to stdout as an Arrow stream, or what is wrong to stderr; give the exit code."""
    try:
        table = answer(store, views, sql)
    except QueryError as error:
        sys.stderr.write(str(error))
        return 1
    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)
    return 0
