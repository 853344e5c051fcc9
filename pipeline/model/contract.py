"""Contract: the rules for the files of a dataset, as the readers use them."""

from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter

import pyarrow as pa

from lake.layout import TEXT_SUFFIXES
from pipeline.model.data_resource import NO_LIMIT, Match, RejectsLimit, Summary
from pipeline.model.descriptive import Fixity
from pipeline.model.dialect import Dialect
from pipeline.model.field import FieldSpec, Heading, headings
from pipeline.model.keys import Key

MORE = "_more"  # column for what the contract does not know of a record, as a JSON object


@dataclass(frozen=True)
class Contract:
    """The rules for a dataset's files: header, type and checks of each field, and which cells are null."""

    name: str
    fields: tuple[FieldSpec, ...]
    match: Match
    encoding: str
    dialect: Dialect
    missing: frozenset[str]
    summary: Summary
    rejects: RejectsLimit = NO_LIMIT
    fixity: Fixity | None = None
    reads_text: bool = False  # files that end in .txt are sources
    keys: tuple[Key, ...] = ()
    more: bool = False

    @cached_property
    def header(self) -> tuple[str, ...] | None:
        """The header that has a column for each field, in order; None where the contract has them in no such order."""
        columns: list[Heading] = list(map(attrgetter("heading"), self.fields))
        names: list[str] = list(map(attrgetter("text"), columns))
        return tuple(names) if headings(names) == columns else None

    def missing_of(self, field: FieldSpec) -> frozenset[str]:
        """Return the words for null in a field: its own, or those of the schema."""
        return self.missing if field.missing is None else field.missing | self._null

    @cached_property
    def common_missing(self) -> frozenset[str]:
        """The words that are null in every field."""
        return frozenset.intersection(*map(self.missing_of, self.fields))

    @cached_property
    def _null(self) -> frozenset[str]:
        null = self.dialect.nullSequence
        return frozenset() if null is None else frozenset([null])

    def reads(self, key: str) -> bool:
        """Return whether a file is a source: one that ends in .txt is, where the contract asks for it."""
        return self.reads_text or not key.lower().endswith(TEXT_SUFFIXES)

    def of_file(self, key: str) -> "Contract":
        """Return the contract of one file, whose dialect may depend on its suffix."""
        return self if self.dialect.of_file(key) is self.dialect else self._of_tabs

    @cached_property
    def _of_tabs(self) -> "Contract":
        return replace(self, dialect=self.dialect.of_file(".tsv"))

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the typed rows, before the transform; a required field has no nulls."""
        columns: list[pa.Field] = []
        for field in self.fields:
            columns.append(pa.field(field.name, field.arrow_type, not field.constraints.required))  # noqa: PERF401
        if self.more:
            columns.append(pa.field(MORE, pa.string()))
        return pa.schema(columns)
