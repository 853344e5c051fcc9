"""One SQL query over the lake, in a process of its own that can read the views it is given and nothing else.

DuckDB's own limits are not enough: `SELECT len(range(1000000000))` takes 8 GB whatever its memory limit says, and hears
no interrupt for a minute. A process can be ended.
"""

import contextlib
import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from lake.layout import REJECTED
from lake.published import REJECTED_SCHEMA
from lake.stores.base import ObjectChanged, ObjectStore
from lake.stores.dataset import ObjectDataset, SchemaChanged
from lake.stores.unify import SchemaConflict

MAX_ROWS = 10_000  # of a result
MAX_BYTES = 16_000_000  # of a result, for one value may be long
BATCH = 1000
AT_ONCE = 3  # queries that run beside each other
MORE_BYTES = 640 << 20  # of address space with data in it, beyond what the process has before its query
NO_THREAD = "can't start new thread"  # there is no memory for its stack
ATTEMPTS = 6  # to read objects that are replaced meanwhile
MAX_SHOWN = 61  # views that are opened for a query that asks which there are
SHOWN = {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
SHOWN |= {"DOUBLE", "VARCHAR"}  # as they are; all others as DuckDB writes them
WRAPPED = 2  # lines that DuckDB puts before a query that another one reads from
HUGE = ("HUGEINT", "UHUGEINT")
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
CUT = b"lakelet.cut"  # in a result's metadata: there are more rows
NOTE = b"lakelet.note"  # in a result's metadata: what a reader should know of it
REPLAY = "`python -m pipeline replay --stale` loads them anew."


class QueryError(ValueError):
    """The query was refused or failed; the message is for the person who wrote it, and points at the place."""


def bound_process() -> None:
    """Let this process take a bounded part of the memory, and be the first to go where memory is short."""
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):  # each system bounds what it can
        import resource

        used = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
        most = MORE_BYTES + (int(used[1]) << 10 if used else 0)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        Path("/proc/self/oom_score_adj").write_text("1000")


def answer(store: ObjectStore, views: Mapping[str, str], sql: str) -> pa.Table:
    """Run one query over `views`, each a name and the prefix of its objects; return at most the rows that a page shows.

    A read that met a replacement of its object is repeated.

    Raises:
        QueryError: it is not one query, it is wrong, or it may not be run.
    """
    names, opened = set(named(views, sql)), dict[str, ds.Dataset]()
    for _ in range(ATTEMPTS):
        try:
            for name in names - opened.keys():
                opened[name] = _dataset(store, views[name])
            return _answered(opened, sql)
        except duckdb.CatalogException as error:
            sought = _sought(error)
            missing = {name for name in views if name.lower() == sought} - names
            if not missing:
                raise QueryError(_with_proposal(error, sought, views)) from error
            names |= missing
        except (duckdb.Error, pa.ArrowException, OSError, SchemaConflict) as error:
            cause = next((one.error for one in opened.values() if getattr(one, "error", None)), error)
            if not isinstance(cause, SchemaChanged | ObjectChanged):
                raise QueryError(explained(cause)) from error
            if not isinstance(cause, SchemaChanged):
                opened.clear()
            for dataset in opened.values():
                dataset.error = None
    raise QueryError("Files were loaded again each time that the query read them: run it again in a moment.")


def _answered(views: Mapping[str, ds.Dataset], sql: str) -> pa.Table:
    connection = connect(views)
    result = first_rows(_relation(connection, check(connection, sql)))
    older = [_older(name, view) for name, view in views.items() if isinstance(view, ObjectDataset) and view.older]
    if older:
        note = f"Files loaded under an older contract: {', '.join(older)}. Their values are shown in today's types."
        metadata = {**(result.schema.metadata or {}), NOTE: f"{note} {REPLAY}".encode()}
        result = result.replace_schema_metadata(metadata)
    return result


def _older(name: str, view: ObjectDataset) -> str:
    return f"{'at least ' if view.more else ''}{view.older} in {name}"


def named(views: Mapping[str, str], sql: str) -> Mapping[str, str]:
    """Return the views whose name stands in the query, be it in a comment, so that no other is listed.

    Where none does and the query asks which views there are, these are the first of `views`.
    """
    text = sql.lower()
    found = {name: prefix for name, prefix in views.items() if name.lower().replace('"', '""') in text}
    return found or (dict(islice(views.items(), MAX_SHOWN)) if CATALOG.search(sql) else {})


def _sought(error: duckdb.CatalogException) -> str:
    """Return the table that is not there, which the text of a query need not spell, as with `query_table`."""
    found = re.search(r"Table with name (.+?) does not exist", str(error), re.DOTALL)
    return found[1].lower() if found else ""


def _with_proposal(error: duckdb.CatalogException, sought: str, views: Mapping[str, str]) -> str:
    """Return what is wrong with a view that is like this in name, rather than like a table of the database's own."""
    alike = get_close_matches(sought, views, 1) if sought else []
    proposal = f'Did you mean "{alike[0]}"?' if alike else "The views are in the list beside the query."
    return re.sub(r'(?<=does not exist!\n)Did you mean "[^"\n]+"\?', proposal, str(error))


def _dataset(store: ObjectStore, prefix: str) -> ds.Dataset:
    dataset = store.dataset(prefix)
    if not dataset.schema.names and prefix.startswith(REJECTED):  # nothing was rejected, and that can be asked too
        return ds.dataset(REJECTED_SCHEMA.empty_table())
    return dataset


def connect(views: Mapping[str, ds.Dataset]) -> duckdb.DuckDBPyConnection:
    """Open a database in memory that has the views that have a column, no way out, and settings that stay."""
    connection = duckdb.connect(config=SETTINGS)
    connection.execute("SET python_enable_replacements = false")  # no variable of this program is a table
    connection.execute("SET TimeZone = 'UTC'")  # and not the host's
    for name, dataset in views.items():
        if dataset.schema.names:
            connection.register(name, dataset)
    connection.execute("SET lock_configuration = true")
    return connection


def check(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return the query without a semicolon and comments at its end; refuse what is not one query."""
    kinds = [statement.type for statement in connection.extract_statements(sql)]
    if not kinds:
        raise QueryError("Expected one query, found none: write one, or start from an example.")
    if len(kinds) > 1:
        raise QueryError(f"Expected one query, found {len(kinds)} statements: run one at a time.")
    ends = [sql[: end.start()] for end in re.finditer(";", sql) if END.fullmatch(sql, end.start())]
    query = next((bare for bare in ends if _is_one(connection, bare)), sql)  # what only looks like it is in a text
    # DuckDB runs a PIVOT as several statements. It may stand in FROM, and nothing that changes something may.
    if kinds[0] == duckdb.StatementType.MULTI and _is_one(connection, f"FROM (\n{query}\n)"):
        return query
    if kinds[0] not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise QueryError(f"{kinds[0].name} is refused: this page reads and changes nothing. Begin with SELECT or FROM.")
    return query


def _is_one(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    try:
        return len(connection.extract_statements(sql)) == 1
    except duckdb.Error:
        return False


def _relation(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    try:
        return connection.sql(sql)  # which gives rows as they come, while `execute` waits for the last one
    except duckdb.Error:
        connection.execute(sql)  # fails in the same way, but its words point at the place
        raise


def first_rows(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    """Read the first rows of a result, with each name once, and as text what is no number, text or boolean."""
    columns = [_column(place, type_) for place, type_ in enumerate(map(str, relation.types), 1)]
    batches, rows, memory = [], 0, 0
    try:
        reader = relation.project(", ".join(columns)).to_arrow_reader(BATCH)
        for batch in reader:
            batches.append(batch)
            rows, memory = rows + batch.num_rows, memory + batch.nbytes
            if rows > MAX_ROWS or memory > MAX_BYTES:
                break
    except duckdb.Error as error:
        raise _as_asked(error) from error
    kept = pa.Table.from_batches(batches, reader.schema).slice(0, MAX_ROWS)
    integers = [type_ in HUGE for type_ in map(str, relation.types)]
    kept = pa.table(
        [_integers(column) if huge else column for column, huge in zip(kept.columns, integers, strict=True)],
        unique(relation.columns),
    )
    while len(kept) > 1 and kept.nbytes > MAX_BYTES:
        kept = kept.slice(0, len(kept) // 2)
    cut = len(kept) < rows or memory > MAX_BYTES
    return kept.replace_schema_metadata({CUT: b"1"} if cut else None)


def _column(place: int, type_: str) -> str:
    if type_ in SHOWN or type_.startswith("DECIMAL"):
        return f"#{place}"
    # DuckDB writes what Arrow, pandas or a browser cannot hold: infinite times, those before Christ, 39 digits, bits.
    text = f"CAST(#{place} AS VARCHAR)"
    return f"CAST({text} AS DOUBLE)" if type_ == "FLOAT" else text  # 0.1, and not 0.10000000149


def _integers(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return large integers as numbers, such as the sum of a column is, or as their text where they are too large."""
    try:
        return texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return texts


def unique(names: list[str]) -> list[str]:
    """Return the names of a result's columns with none empty, and none twice."""
    found: list[str] = []
    for place, name in enumerate(names, 1):
        number, wanted = 1, name or f"column {place}"
        while wanted in found or (number > 1 and wanted in names):
            number += 1
            wanted = f"{name} ({number})"
        found.append(wanted)
    return found


def explained(error: Exception) -> str:
    """Return what a person can do where the error's own words do not say it."""
    said = str(error)
    if isinstance(error, SchemaConflict):
        dataset = error.files[0].key.split("/")[1] if error.files else "this view"
        one = len(error.files) == 1 and not error.more
        count = f"{'At least ' if error.more else ''}{len(error.files)} file{'' if one else 's'}"
        loaded = f"{count} of {dataset} {'was' if one else 'were'} loaded under an older contract"
        return f"{loaded}: {REPLAY}\n\n{said[:1].upper()}{said[1:]}."
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError | pa.ArrowMemoryError) or NO_THREAD in said:
        return "The query needs more memory than this page may take: ask for fewer columns or rows, or add up first."
    if isinstance(error, duckdb.PermissionException):
        return f"Refused: this page reads its views, no files, network or settings.\n\n{said}"
    return said


def _as_asked(error: duckdb.Error) -> duckdb.Error:
    """Return an error of a query that stands in another one, with the lines counted as its writer does."""
    said = re.sub(r"LINE (\d+):", lambda line: f"LINE {int(line[1]) - WRAPPED}:".ljust(len(line[0])), str(error))
    return type(error)(said)


def run(store: ObjectStore, views: Mapping[str, str], sql: str) -> int:
    """Write the answer to stdout as an Arrow stream, or what is wrong to stderr; give the exit code."""
    try:
        table = answer(store, views, sql)
    except QueryError as error:
        sys.stderr.write(str(error))
        return 1
    except Exception as error:  # a fault of ours or of a library: a sentence for the reader, who has no use for more
        sys.stderr.write(
            f"The query could not be answered: {type(error).__name__}: {' '.join(str(error).split()):.300}"
        )
        return 1
    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)
    return 0
