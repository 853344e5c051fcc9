"""One SQL query over the lake, in a process of its own that can read the given views and nothing else.

DuckDB's own limits are not enough: `SELECT len(range(1000000000))` takes 8 GB whatever the memory limit is, and reacts
to no interrupt for a minute. A process can be ended.
"""

import contextlib
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake.exceptions import DeltaError

from dashboard.query.newest import newest_loads
from dashboard.query.result import first_rows
from dashboard.query.tables import NoSuchVersion, TableView, has_table, table_at, table_view
from lake.layout import REJECTED
from lake.schemas import REJECTED_SCHEMA
from lake.stores.arrow_dataset import ObjectDataset, SchemaChanged
from lake.stores.base import ObjectChanged, ObjectStore
from lake.stores.common_schema import SchemaConflict

AT_ONCE = 3  # queries that run at the same time
MORE_BYTES = 640 << 20  # bytes of data that a query may add to those of its process
NO_THREAD = "can't start new thread"  # because there is no memory for its stack
ATTEMPTS = 6  # to read objects that are replaced meanwhile
MAX_SHOWN = 61  # views that are opened for a query of the catalog
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": f"{512 // AT_ONCE}MB",
    "temp_directory": "",
    "threads": 2,
}
END = re.compile(r";(\s|;|--[^\n]*(\n|\Z)|/\*.*?\*/)*", re.DOTALL)
CATALOG = re.compile(r"(?i)\bshow\b|\bduckdb_|information_schema|\bpg_|sqlite_master")
NOTE = b"lakelet.note"  # in the metadata of a result or a schema: a note for the reader
REPLAY = "`python -m pipeline replay --stale` loads them again."


class QueryError(ValueError):
    """The query was refused or failed; the message is for the person who wrote it, and points at the place."""


def bound_process() -> None:
    """Bound the memory of this process, and make it the first that the system ends if memory is short."""
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):  # not every system can
        import resource

        used = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
        most = MORE_BYTES + (int(used[1]) << 10 if used else 0)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        Path("/proc/self/oom_score_adj").write_text("1000")


def answer(store: ObjectStore, views: Mapping[str, str], sql: str, at: datetime | None = None) -> pa.Table:
    """Run one query over `views`, each a name and the prefix of its objects; return at most the rows that a page shows.

    With `at` the query reads what the tables had at that time. It is repeated if objects are replaced while it reads
    them.

    Raises:
        QueryError: the text is not one query, or the query is wrong or refused.
    """
    names, opened, by_tables = set(named(views, sql)), dict[str, ds.Dataset](), True
    for _ in range(ATTEMPTS):
        try:
            opened |= _open({name: views[name] for name in names - opened.keys()}, store, at, by_tables=by_tables)
            return _answered(opened, sql)
        except duckdb.CatalogException as error:
            sought = _sought(error)
            missing = {name for name in views if name.lower() == sought} - names
            if not missing:
                raise QueryError(_with_proposal(error, sought, views)) from error
            names |= missing
        except (duckdb.Error, pa.ArrowException, OSError, DeltaError, SchemaConflict, NoSuchVersion) as error:
            cause = next((view.error for view in opened.values() if getattr(view, "error", None)), error)
            if not isinstance(cause, SchemaChanged | ObjectChanged | FileNotFoundError | DeltaError):
                raise QueryError(explained(cause)) from error
            if not isinstance(cause, SchemaChanged) or by_tables:
                opened.clear()
            if not isinstance(cause, ObjectChanged):
                by_tables = False  # a file of a table is gone, or a newest object has columns that the table lacks
            for dataset in opened.values():
                if hasattr(dataset, "error"):
                    dataset.error = None
    raise QueryError("The query was not completed: files were replaced each time it read them. Run it again.")


def _answered(views: Mapping[str, ds.Dataset], sql: str) -> pa.Table:
    connection = connect(views)
    result = first_rows(_relation(connection, check(connection, sql)))
    if notes := _notes(views):
        result = result.replace_schema_metadata({**(result.schema.metadata or {}), NOTE: "\n\n".join(notes).encode()})
    return result


def _notes(views: Mapping[str, ds.Dataset]) -> list[str]:
    """Return what a reader of the answer has to know about the views."""
    notes = [view.note for view in views.values() if isinstance(view, TableView) and view.note]
    older = [_older(name, view) for name, view in views.items() if isinstance(view, ObjectDataset) and view.older]
    if older:
        note = f"Files loaded under an older contract: {', '.join(older)}. Their values are shown in today's types."
        notes.append(f"{note} {REPLAY}")
    return notes


def _older(name: str, view: ObjectDataset) -> str:
    return f"{'at least ' if view.more else ''}{view.older} in {name}"


def named(views: Mapping[str, str], sql: str) -> Mapping[str, str]:
    """Return the views whose name stands in the query, even in a comment, so that no others are listed.

    For a query of the catalog that names no view, return the first of `views`.
    """
    text, found = sql.lower(), set[str]()
    for name in sorted(views, key=len, reverse=True):  # a name may be the beginning of another one
        if (written := name.lower().replace('"', '""')) in text:
            found.add(name)
            text = text.replace(written, " ")
    matches = {name: prefix for name, prefix in views.items() if name in found}
    return matches or (dict(islice(views.items(), MAX_SHOWN)) if CATALOG.search(sql) else {})


def _sought(error: duckdb.CatalogException) -> str:
    """Return the name of the missing table, which the query may not contain, as with `query_table`."""
    match = re.search(r"Table with name (.+?) does not exist", str(error), re.DOTALL)
    return match[1].lower() if match else ""


def _with_proposal(error: duckdb.CatalogException, sought: str, views: Mapping[str, str]) -> str:
    """Return the error with a proposal from `views`, where DuckDB proposes one of its own tables."""
    alike = get_close_matches(sought, views, 1) if sought else []
    proposal = f'Did you mean "{alike[0]}"?' if alike else "The views are in the list beside the query."
    return re.sub(r'(?<=does not exist!\n)Did you mean "[^"\n]+"\?', proposal, str(error))


def _open(
    views: Mapping[str, str], store: ObjectStore, at: datetime | None, *, by_tables: bool
) -> dict[str, ds.Dataset]:
    """Return the datasets of views: `by_tables` where these have all rows, else by their objects."""
    with_table = {name: prefix for name, prefix in views.items() if has_table(prefix)}
    if at:
        for name in views.keys() - with_table.keys():
            raise NoSuchVersion(f"{name} has no earlier versions: only clean_… and rejected_… have.")
        return {name: table_at(store, prefix, at) for name, prefix in views.items()}
    # Before the tables are opened, which then have at least what was published.
    newest = newest_loads(store) if with_table and by_tables else None
    opened: dict[str, ds.Dataset] = {}
    for name, prefix in views.items():
        view = table_view(store, prefix, newest) if newest and name in with_table else None
        opened[name] = _objects(store, prefix) if view is None else view
    return opened


def _objects(store: ObjectStore, prefix: str) -> ds.Dataset:
    dataset = store.dataset(prefix)
    if not dataset.schema.names and prefix.startswith(REJECTED):  # nothing was rejected: a view without rows
        return ds.dataset(REJECTED_SCHEMA.empty_table())
    return dataset


def connect(views: Mapping[str, ds.Dataset]) -> duckdb.DuckDBPyConnection:
    """Open a database in memory with the `views` that have columns, no access to anything else, and locked settings."""
    connection = duckdb.connect(config=SETTINGS)
    connection.execute("SET python_enable_replacements = false")  # a variable of this program is not a table
    connection.execute("SET TimeZone = 'UTC'")
    for name, dataset in views.items():
        if dataset.schema.names:
            connection.register(name, dataset)
    connection.execute("SET lock_configuration = true")
    return connection


def check(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return the query without a semicolon and comments at its end; raise `QueryError` unless it is one query."""
    kinds = [statement.type for statement in connection.extract_statements(sql)]
    if not kinds:
        raise QueryError("Expected one query, found none: write one, or start from an example.")
    if len(kinds) > 1:
        raise QueryError(f"Expected one query, found {len(kinds)} statements: run one at a time.")
    ends = [sql[: end.start()] for end in re.finditer(";", sql) if END.fullmatch(sql, end.start())]
    query = next((bare for bare in ends if _is_one(connection, bare)), sql)  # a semicolon may stand in a text
    # DuckDB runs a PIVOT as several statements. A PIVOT may stand in FROM; no statement that changes something may.
    if kinds[0] == duckdb.StatementType.MULTI and _is_one(connection, f"FROM (\n{query}\n)"):
        return query
    if kinds[0] not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise QueryError(f"{kinds[0].name} is refused: this page only reads. Begin with SELECT or FROM.")
    return query


def _is_one(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    try:
        return len(connection.extract_statements(sql)) == 1
    except duckdb.Error:
        return False


def _relation(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    try:
        return connection.sql(sql)  # yields rows as they come, while `execute` waits for the last one
    except duckdb.Error:
        connection.execute(sql)  # fails in the same way, with a message that shows the place
        raise


def explained(error: Exception) -> str:
    """Return the error's message, with what a person can do where the message does not say it."""
    message = str(error)
    if isinstance(error, SchemaConflict):
        dataset = error.files[0].key.split("/")[1] if error.files else "this view"
        single = len(error.files) == 1 and not error.more
        count = f"{'At least ' if error.more else ''}{len(error.files)} file{'' if single else 's'}"
        loaded = f"{count} of {dataset} {'was' if single else 'were'} loaded under an older contract"
        return f"{loaded}: {REPLAY}\n\n{message[:1].upper()}{message[1:]}."
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError | pa.ArrowMemoryError) or NO_THREAD in message:
        return "The query needs more memory than this page may take: ask for fewer columns or rows, or sum first."
    if isinstance(error, duckdb.PermissionException):
        return f"Refused: this page reads its views, no files, network or settings.\n\n{message}"
    return message


def run(store: ObjectStore, views: Mapping[str, str], sql: str, at: str | None = None) -> int:
    """Write the answer to stdout as an Arrow stream, or a message to stderr; return the exit code."""
    try:
        table = answer(store, views, sql, datetime.fromisoformat(at) if at else None)
    except QueryError as error:
        sys.stderr.write(str(error))
        return 1
    except Exception as error:  # a fault of this program or of a library: one sentence is enough for the reader
        reason = f"{' '.join(str(error).split()):.300}"
        sys.stderr.write(f"The query could not be answered: {type(error).__name__}: {reason}")
        return 1
    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)
    return 0
