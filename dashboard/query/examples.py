"""Queries to start from, made for the views that there are."""

import re
from collections.abc import Mapping

import pyarrow as pa

BY_RULE = """SELECT rule, "column", count(*) AS problems, any_value(message) AS example
FROM {}
GROUP BY ALL
ORDER BY problems DESC"""
EXAMPLES = {  # by kind of view and title
    "clean": {
        "the first rows": "SELECT *\nFROM {}\nLIMIT 100",
        "rows by file": "SELECT _source_key, count(*) AS rows\nFROM {}\nGROUP BY ALL\nORDER BY rows DESC",
    },
    "rejected": {"what is rejected, and how often": BY_RULE},
}
SLOWEST = """SELECT source_key, date_diff('millisecond', landed_at, loaded_at) AS ms, rows_read
FROM published_loads
WHERE status = 'loaded'
ORDER BY ms DESC
LIMIT 20"""


def examples(schemas: Mapping[str, pa.Schema]) -> dict[str, str]:
    """Return queries to start from, by title."""
    queries = {}
    for name, schema in schemas.items():
        kind, _, dataset = name.partition("_")
        for title, sql in EXAMPLES.get(kind, {}).items() if schema.names else ():
            queries[f"{dataset}: {title}"] = sql.format(quoted(name))
        if kind == "clean":
            queries |= _sums(dataset, quoted(name), schema)
    if "published_loads" in schemas:
        queries["The slowest loads"] = SLOWEST
    return queries


def _sums(dataset: str, view: str, schema: pa.Schema) -> dict[str, str]:
    fields = [field for field in schema if not field.name.startswith("_")]
    text = next((field.name for field in fields if pa.types.is_string(field.type)), None)
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    numbers = [field.name for field in fields if any(is_kind(field.type) for is_kind in kinds)][:3]
    if not text or not numbers:
        return {}
    sums = ", ".join(f"sum({quoted(name)}) AS {quoted(name)}" for name in numbers)
    return {f"{dataset}: sums by {text}": f"SELECT {quoted(text)}, {sums}\nFROM {view}\nGROUP BY ALL\nORDER BY ALL"}


def quoted(name: str) -> str:
    """Return a name as SQL reads it."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
