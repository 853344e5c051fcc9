"""The first rows of a query's result, in types that a page can show."""

import re

import duckdb
import pyarrow as pa

MAX_ROWS = 10_000  # of a result
MAX_BYTES = 16_000_000  # of a result, because one value may be long
BATCH = 1000  # rows that are read at once
SHOWN = {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
SHOWN |= {"DOUBLE", "VARCHAR"}  # types that are shown as they are; all others as DuckDB writes them
WRAPPED = 2  # lines that DuckDB puts before a query inside another query
HUGE = ("HUGEINT", "UHUGEINT")
CUT = b"lakelet.cut"  # in a result's metadata, if there are more rows


def first_rows(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    """Return the first rows of a result, with unique names; what is not number, text or boolean becomes text."""
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
    """Return large integers, such as sums, as int64; as text if they do not fit."""
    try:
        return texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return texts


def unique(names: list[str]) -> list[str]:
    """Return the names of a result's columns, with empty and repeated names replaced."""
    chosen: list[str] = []
    for place, name in enumerate(names, 1):
        number, candidate = 1, name or f"column {place}"
        while candidate in chosen or (number > 1 and candidate in names):
            number += 1
            candidate = f"{name} ({number})"
        chosen.append(candidate)
    return chosen


def _as_asked(error: duckdb.Error) -> duckdb.Error:
    """Return an error of a query inside another query, with the line numbers of the inner query."""
    text = re.sub(r"LINE (\d+):", lambda line: f"LINE {int(line[1]) - WRAPPED}:".ljust(len(line[0])), str(error))
    return type(error)(text)
