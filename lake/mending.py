"""Mending: names of fixed files, and the marks that say which rejected record each of their records mends.

A person corrects rejected records in a file of their own, a fixed file, and puts it beside the source. Its column
`_mends` has a mark for each record: the line of the rejected record, and the version of the source that it is in.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lake.layout import RAW, SUFFIXES, TEXT_SUFFIXES

MENDS = "_mends"  # the column of marks

_SUFFIXES = SUFFIXES + TEXT_SUFFIXES
_MARK = re.compile(r"([1-9][0-9]{0,17})@([0-9a-f]{12})")
_FIXED = re.compile(r"(.*[^/])\.fixed-([1-9][0-9]{0,8})", re.DOTALL)
_PACKED = re.compile(r"\.(gz|zst)$", re.IGNORECASE)
_OLDER_BOOK = re.compile(r"\.(xls|ods)$", re.IGNORECASE)

Mark = tuple[int, str]  # the line of a rejected record, and the version of its source
Passed = Mapping[tuple[str, str], Collection[int]]  # lines that marks mend, by stem of their fixed files and version


@dataclass(frozen=True)
class Mends:
    """The marks of a fixed file, by version: what passed, and what is rejected again.

    Of a record that passed there is the line that it mends; of one that is rejected again its own line, too.
    """

    passed: dict[str, list[int]] = field(default_factory=dict)
    rejected: dict[str, list[list[int]]] = field(default_factory=dict)


def fixed_dialect(dialect: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dialect of a fixed file with marks: no record of it is a footer, or a comment by its number.

    A person may remove records and add some, so lines get other numbers: what is taken for a footer or a comment would
    be lost in silence. Only the comments that fill the first lines, above the header, are still found by their number.
    The sheet of a workbook is found by its name, or is the first: it is the only one.
    """
    rows = sorted(set(dialect.get("commentRows") or ())) if dialect.get("header", True) else []
    dialect = {name: value for name, value in dialect.items() if name != "sheetNumber"}
    return {**dialect, "footerRows": 0, "commentRows": [row for line, row in enumerate(rows, 1) if row == line]}


def read_mends(record: dict[str, Any]) -> Mends | None:
    """Return the marks in the record of a load, as it is in a footer; None if its file has no marks."""
    return Mends(**record["mends"]) if record.get("mends") else None


def version_of(source_key: str, etag: str) -> str:
    """Return the short name of a version of a source, as a mark has it."""
    return hashlib.sha256(f"{source_key}\n{etag}".encode()).hexdigest()[:12]


def mark_of(line: int, version: str) -> str:
    """Return the mark of a record that mends the rejected record of a line."""
    return f"{line}@{version}"


def read_mark(text: str | None) -> Mark | None:
    """Return line and version of a mark; None for any other text."""
    match = _MARK.fullmatch((text or "").strip())
    return (int(match[1]), match[2]) if match else None


def last_mark(raw: str) -> Mark | None:
    """Return line and version of the last mark in the text of a record; None if it has none."""
    marks = _MARK.findall(raw)
    return (int(marks[-1][0]), marks[-1][1]) if marks else None


def suffix_of(source_key: str) -> str:
    """Return the suffix of a source's name, as it is written there: `.csv.gz` of `a.csv.gz`."""
    length = max((len(suffix) for suffix in _SUFFIXES if source_key.lower().endswith(suffix)), default=0)
    return source_key[len(source_key) - length :]


def fixed_number(source_key: str) -> int | None:
    """Return the number in the name of a fixed file; None for any other file."""
    match = _FIXED.fullmatch(source_key.removesuffix(suffix_of(source_key)))
    return int(match[2]) if match else None


def stem(source_key: str) -> str:
    """Return the key of a source without its suffix; of a fixed file, that of the source that it mends."""
    name = source_key.removesuffix(suffix_of(source_key))
    match = _FIXED.fullmatch(name)
    return match[1] if match else name


def fixed_key(source_key: str, number: int) -> str:
    """Return the key of a fixed file, which is not packed: of `raw/a/b.csv.gz` it is `raw/a/b.fixed-1.csv`.

    That of a workbook is `.xlsx`.
    """
    return f"{stem(source_key)}.fixed-{number}{_OLDER_BOOK.sub('.xlsx', _PACKED.sub('', suffix_of(source_key)))}"


def stems(source_key: str) -> list[str]:
    """Return the stems of the fixed files that mend a source: beside it, and right in the folder of the dataset."""
    beside = stem(source_key)
    dataset, _, rest = beside.removeprefix(RAW).partition("/")
    return list(dict.fromkeys((beside, f"{RAW}{dataset}/{rest.rpartition('/')[2]}")))


def fixed_prefixes(source_key: str) -> list[str]:
    """Return the prefixes of a source's fixed files, without `raw/`."""
    return [f"{place.removeprefix(RAW)}.fixed-" for place in stems(source_key)]
