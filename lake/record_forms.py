"""Forms of the records in a text file: where a record ends, how it takes a mark, what stands above."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from lake.mending import MENDS, fixed_dialect


class Lines(Iterator[str], Protocol):
    """Physical lines with their line ends; `number` is that of the last one, from 1."""

    number: int


class Objects:
    """Records that are JSON objects, one in each line."""

    def header(self, _: Lines) -> str:
        """Return the lines above the first record: none."""
        return ""

    def whole(self, line: str, _: Lines) -> str:
        """Return the record that begins with a line: the line."""
        return line

    def marked(self, record: str, mark: str) -> str:
        """Return a record with its mark; one that is no object, or has a mark, as it is."""
        text, end = _split_end(record, "\n")
        body = text.rstrip()
        if not body.endswith("}") or f'"{MENDS}"' in body:
            return text + end
        comma = "" if body[:-1].rstrip().endswith("{") else ","
        return f"{body[:-1]}{comma}{json.dumps(MENDS)}:{json.dumps(mark)}}}{end}"


class Cells:
    """Records that are cells between delimiters, in a dialect; a quoted cell may have line ends."""

    def __init__(self, dialect: Mapping[str, Any], suffix: str, *, marked: bool) -> None:
        """Take the dialect by the names of the standard's Table Dialect; `marked`: the file has its marks already."""
        dialect = fixed_dialect(dialect) if marked else dialect
        self._delimiter = dialect.get("delimiter") or ("\t" if suffix == ".tsv" else ",")
        self._quote, self._escape = dialect.get("quoteChar") or '"', dialect.get("escapeChar")
        self._end, self._is_marked, self._dialect = dialect.get("lineTerminator") or "", marked, dialect
        self._comment, self._comment_rows = dialect.get("commentChar"), set(dialect.get("commentRows") or ())
        rows = list(dialect.get("headerRows") or (1,)) if dialect.get("header", True) else []
        self._rows = [] if rows == [1] else rows  # lines of the header; if it has none, the first record is it
        self._left_out = self._comment_rows.difference(fixed_dialect(dialect)["commentRows"])

    def header(self, lines: Lines) -> str:
        """Return all lines up to the header, with the column of marks in it."""
        if not self._dialect.get("header", True):
            return ""
        parts, records = list[str](), dict[int, str]()
        for line in lines:
            number = lines.number
            if number in self._rows or not (self._rows or self._is_no_record(line, number)):
                records[len(parts)] = line = self.whole(line, lines)
            elif not self._rows and number in self._left_out:
                continue
            parts.append(line)
            if number in (self._rows[-1:] or [number]) and records:
                break
        for place, text in zip(records, self._with_marks([*records.values()]), strict=True):
            parts[place] = text
        return "".join(parts)

    def _with_marks(self, rows: list[str]) -> list[str]:
        """Return the rows of a header with the name of one more column in the last; other rows are filled up to it."""
        self._end = self._end or (_split_end(rows[0], "\n")[1] if rows else "\n")
        if len(rows) < 2 or self._is_marked:
            return [self.marked(row, MENDS) for row in rows]
        style: dict[str, Any] = {"delimiter": self._delimiter, "quotechar": self._quote, "escapechar": self._escape}
        style |= {
            name.lower(): self._dialect.get(name, name == "doubleQuote") for name in ("doubleQuote", "skipInitialSpace")
        }
        cells = [next(csv.reader(io.StringIO(row, newline=""), **style), [""]) for row in rows]
        width, texts = max(map(len, cells)), list[str]()
        for number, row in enumerate(cells, 1):
            sink = io.StringIO(newline="")
            filled = [*row, *row[-1:] * (width - len(row)), MENDS if number == len(cells) else ""]
            csv.writer(sink, lineterminator=self._end, **style).writerow(filled)
            texts.append(sink.getvalue())
        return texts

    def _is_no_record(self, line: str, number: int) -> bool:
        text = line.strip("\ufeff\r\n")
        return not text or number in self._comment_rows or bool(self._comment and text.startswith(self._comment))

    def whole(self, line: str, lines: Lines) -> str:
        """Return the record that begins with a line, whose quotes are in order.

        It goes on while a quote is open, or where the line end is escaped. Each line is looked at once.
        """
        parts, quotes = [line], 0
        while True:
            plain, ends = self._without_escapes(line), ("\r", "\n")
            quotes += plain.count(self._quote)
            is_escaped = line.endswith(ends) and not plain.endswith(ends)
            if not (quotes % 2 or is_escaped) or not (line := next(lines, "")):
                return "".join(parts)
            parts.append(line)

    def _without_escapes(self, text: str) -> str:
        return re.sub(re.escape(self._escape) + r"(\r\n|.)", "", text, flags=re.DOTALL) if self._escape else text

    def marked(self, record: str, mark: str) -> str:
        """Return a record with one more cell; in a file with marks, as it is. Its line end is the contract's."""
        text, end = _split_end(record, self._end or "\n")
        end = self._dialect.get("lineTerminator") or end
        if self._is_marked:
            return text + end
        cell = f"{self._quote}{mark}{self._quote}" if self._delimiter in mark else mark
        return f"{text}{self._delimiter}{cell}{end}"


def _split_end(record: str, otherwise: str) -> tuple[str, str]:
    """Split a record from its line end; the last record of a file may have none."""
    text = record.removesuffix("\n").removesuffix("\r") if record.endswith("\n") else record.removesuffix("\r")
    return text, record[len(text) :] or otherwise
