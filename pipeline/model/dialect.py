"""Dialect of a contract: how its files are written, by the names of the standard's Table Dialect."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from lake.layout import TABBED
from pipeline.model.field import OneCharacter, Part

MAX_FOOTER = 100  # records that are held back until the end of a file: each may be as large as its limit

_FIRST, _JOIN = (1,), " "  # the standard's defaults, which a contract may name


def _ascending(rows: tuple[int, ...]) -> tuple[int, ...]:
    if not rows or list(rows) != sorted(set(rows)):
        raise ValueError("expected numbers of lines in ascending order, such as [1, 2]")
    return rows


_Rows = tuple[Annotated[int, Field(ge=1, strict=True)], ...]
_Comment = Annotated[str, StringConstraints(min_length=1, max_length=16, pattern=r"^[^\x00-\x08\x0a-\x1f]+$")]


class Dialect(Part):
    """Way in which a file is written, by the names of the standard's Table Dialect; `footerRows` is our addition."""

    schema_url: str = Field(default="", alias="$schema")
    name: str = ""
    title: str = ""
    description: str = ""
    delimiter: OneCharacter = ","
    quoteChar: OneCharacter = '"'  # noqa: N815
    header: bool = True
    headerRows: Annotated[_Rows, AfterValidator(_ascending)] = Field(default=_FIRST, strict=False)  # noqa: N815
    headerJoin: str = _JOIN  # noqa: N815
    commentChar: _Comment | None = None  # noqa: N815
    commentRows: _Rows = Field(default=(), strict=False)  # noqa: N815
    footerRows: Annotated[int, Field(ge=0, le=MAX_FOOTER)] = 0  # noqa: N815
    skipInitialSpace: bool = False  # noqa: N815
    escapeChar: OneCharacter | None = None  # noqa: N815
    doubleQuote: bool = True  # noqa: N815
    lineTerminator: Literal["\n", "\r\n", "\r"] | None = None  # noqa: N815
    nullSequence: str | None = None  # noqa: N815
    sheetName: str | None = None  # noqa: N815 (of a workbook; it goes before the number)
    sheetNumber: Annotated[int | None, Field(ge=1)] = None  # noqa: N815

    @cached_property
    def is_rare(self) -> bool:
        """True where quotes follow rules of their own: then records are cut one by one, in the plain way."""
        return self.escapeChar is not None or self.skipInitialSpace or not self.doubleQuote

    @cached_property
    def first_lines(self) -> int:
        """The number of lines of which each is a row of the header or no record; 0 where the first record is it."""
        return self.headerRows[-1] if self.header and self.headerRows != _FIRST else 0

    @cached_property
    def has_comments(self) -> bool:
        """True where some lines are no records, by their first characters or their number."""
        return bool(self.commentChar or self.commentRows or self.first_lines)

    def is_comment_row(self, line: int) -> bool:
        """Return whether a line is no record because of its number."""
        return line in self.commentRows or (line < self.first_lines and line not in self.headerRows)

    def of_file(self, key: str) -> "Dialect":
        """Return the dialect of one file: `.tsv` has tabs, unless the contract names its delimiter."""
        if "delimiter" in self.model_fields_set or not key.lower().endswith(TABBED):
            return self
        return self._tabbed

    @cached_property
    def _tabbed(self) -> "Dialect":
        return self.model_copy(update={"delimiter": "\t"})


def dialect_problems(dialect: Dialect) -> Iterator[str]:
    """Yield each contradiction: the property, what is wrong with it, and the way out."""
    yield from _character_problems(dialect, "delimiter")
    if (tabbed := dialect.of_file(".tsv")) is not dialect:
        yield from _character_problems(tabbed, "delimiter of a .tsv file")
    if not dialect.header and dialect.headerRows != _FIRST:
        yield "headerRows: header is false, so no line is a header: remove one of the two"
    if dialect.headerJoin != _JOIN and not (dialect.header and len(dialect.headerRows) > 1):
        yield "headerJoin: it joins the rows of a header that has several: name these in headerRows, or remove it"
    if dialect.sheetName is not None and dialect.sheetNumber not in (None, 1):
        yield f"sheetNumber: it is {dialect.sheetNumber}, and sheetName names a sheet as well: remove one of the two"
    if both := set(dialect.commentRows).intersection(dialect.headerRows if dialect.first_lines else ()):
        yield f"commentRows: line {min(both)} is one of the headerRows as well: remove it from one of the two"


def _character_problems(dialect: Dialect, between: str) -> Iterator[str]:
    delimiter, quote, escape = dialect.delimiter, dialect.quoteChar, dialect.escapeChar
    if quote == delimiter:
        yield f"quoteChar: it is the {between} as well: name the character that is in the files"
    if escape == quote:
        yield "escapeChar: it is the quoteChar as well: remove it, for a quote that is written twice is doubleQuote"
    if escape == delimiter:
        yield f"escapeChar: it is the {between} as well: name the character that is in the files"
    for name, mark in {between: delimiter, "quoteChar": quote, "escapeChar": escape}.items():
        if mark and mark in (dialect.commentChar or ""):
            yield f"commentChar: {mark!r} is the {name} as well: no line with data may begin with it"
        if mark == " " and dialect.skipInitialSpace:
            yield f"skipInitialSpace: the {name} is a space itself: remove one of the two"
