"""Derive column names that Parquet and SQL accept without quotes from those in a header."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import duckdb

LONGEST = 63  # characters: PostgreSQL cuts a longer name off
_RESERVED = ("_line", "_source_key")  # columns that every load adds
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "œ": "oe"})


def field_names(header: Sequence[str]) -> list[str]:
    """Return a name for each column of a header: its own if it is legal, otherwise a similar one.

    No two names differ only in case, and no name is an SQL keyword.
    """
    query = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN ('reserved', 'type_function')"
    with duckdb.connect() as database:
        reserved = {word for (word,) in database.sql(query).fetchall()}
    names = [_legal(text, place, reserved) for place, text in enumerate(header, 1)]
    # A column whose name is legal keeps it, whatever the names of the others become.
    own = {name.casefold(): place for place, name in reversed([*enumerate(names)]) if header[place] == name}
    taken, numbers = set(own), Counter[str]()
    for place, name in enumerate(names):
        if own.get(name.casefold()) != place:
            names[place] = _free(name, taken, numbers)
    return names


def header_of(header: Sequence[str], names: Sequence[str]) -> list[str | list[str | int] | None]:
    """Return the property `header` of each field; None if the column has the field's name."""
    counts, seen = Counter(header), Counter[str]()
    found: list[str | list[str | int] | None] = []
    for text, name in zip(header, names, strict=True):
        seen[text] += 1
        found.append([text, seen[text]] if counts[text] > 1 else text if text != name else None)
    return found


def _legal(text: str, place: int, reserved: set[str]) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS)).encode("ascii", "ignore").decode()
    name = text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) else re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")
    name = name[:LONGEST] if name else f"column_{place}"
    name = name.strip("_") if name.casefold() in _RESERVED or not name.strip("_") else name
    name = name or f"column_{place}"
    name = f"_{name}"[:LONGEST] if name[0].isdigit() else name
    return f"{name}_" if name.casefold() in reserved else name


def _free(name: str, taken: set[str], numbers: Counter[str]) -> str:
    """Reserve and return a name that no other column has; `numbers` holds the last suffix tried for a name."""
    found = name
    while found.casefold() in taken:
        numbers[name] += 1
        end = f"_{numbers[name] + 1}"
        found = name[: LONGEST - len(end)] + end
    taken.add(found.casefold())
    return found
