"""Format of a dataset's files: what its contract says of them, as the pipeline published it."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from lake.layout import TABBED


@dataclass(frozen=True)
class Format:
    """The file format in a dataset's contract; an empty delimiter means unknown.

    `headers` maps a field to its header in the file, and its number among the columns with that header. It has only the
    fields whose header is not their name. `dialect` has what the contract says, by the names of the standard; None
    where it was not published. `columns` are those of a file without a header.
    """

    encoding: str = "utf-8"
    delimiter: str = ""
    quote: str = '"'
    headers: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    dialect: Mapping[str, Any] | None = None
    columns: Sequence[str] = ()

    @property
    def _said(self) -> Mapping[str, Any]:
        return self.dialect or {}

    def of_file(self, key: str) -> "Format":
        """Return the format of one file: `.tsv` has tabs, unless the contract names its delimiter."""
        tabbed = self.delimiter and "delimiter" not in self._said and key.lower().endswith(TABBED)
        return replace(self, delimiter="\t") if tabbed else self

    def names(self, header: str) -> list[str]:
        """Return the names of the columns; `header` are its lines, with a line feed between them."""
        if self.columns:
            return [*self.columns]
        rows = [*filter(None, self._split(header.split("\n")))]
        if len(rows) < 2:
            return rows[0] if rows else []
        width, join = max(map(len, rows)), str(self._said.get("headerJoin", " "))
        filled = [[*row, *[row[-1]] * (width - len(row))] for row in rows]
        return [join.join(filter(None, names)) for names in zip_longest(*filled)]

    def _split(self, lines: Sequence[str]) -> Iterator[list[str]]:
        return csv.reader(
            lines,
            delimiter=self.delimiter or max(",;\t|", key=lines[0].count),
            quotechar=self.quote,
            escapechar=self._said.get("escapeChar"),
            doublequote=bool(self._said.get("doubleQuote", True)),
            skipinitialspace=bool(self._said.get("skipInitialSpace", False)),
        )

    def cells(self, line: str, header: str) -> list[tuple[int, int]]:
        """Return start and end of each cell of a line."""
        delimiter = self.delimiter or max(",;\t|", key=header.count)
        quote, between = re.escape(self.quote), re.escape(delimiter)
        escape = re.escape(self._said.get("escapeChar") or "")
        pair = f"{escape}.|" if escape else ""
        quoted = rf"{quote}(?:{pair}[^{quote}{escape}]|{quote}{quote})*+{quote}"  # it gives back no pair of quotes
        found = re.finditer(rf"((?:{quoted}|{pair}[^{between}{quote}{escape}])*)(?:{between}|$)", line)
        spans = [match.span(1) for match in found]
        if not line.endswith(delimiter):
            spans.pop()  # the empty match at the end
        return spans

    def is_header(self, number: int, line: str, *, found: bool) -> bool:
        """Return whether a line is one of the header; `found` says that there is one above it."""
        rows = self._said.get("headerRows", [1])
        if self.columns or rows != [1]:
            return not self.columns and number in rows
        comment = self._said.get("commentChar")
        is_comment = number in self._said.get("commentRows", ()) or (comment is not None and line.startswith(comment))
        return bool(line) and not found and not is_comment


UNKNOWN = Format()  # where the pipeline did not publish it


def read_format(file: Mapping[str, Any] | None) -> Format:
    """Return the format that the pipeline published."""
    if not file:
        return UNKNOWN
    headers = {name: (str(header), int(number)) for name, (header, number) in file["headers"].items()}
    dialect, columns = file.get("dialect"), tuple(map(str, file.get("columns", ())))
    return Format(str(file["encoding"]), str(file["delimiter"]), str(file["quoteChar"]), headers, dialect, columns)
