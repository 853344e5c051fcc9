"""Contract: the fields, types and checks of a dataset, as a Data Resource (Data Package v2) declares them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, StringConstraints

from lake.layout import DATASET_NAME
from pipeline.model.problem import VALUE_LIMIT, shortened

TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", "UTC"),
}

_OneCharacter = Annotated[str, StringConstraints(pattern=r"^[!-~ \t]$")]  # one ASCII character that ends no line


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def as_cell(value: str | float | bool) -> str:
    """Return a bound or an option of a contract as a cell would have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


_Options = Annotated[tuple[str | int | float | bool, ...] | None, Field(strict=False)]


class Constraints(_Part):
    """The checks of one field, by the standard's names; bounds and `enum` are written as a cell would be."""

    required: bool = False
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    minLength: int | None = None  # noqa: N815
    maxLength: int | None = None  # noqa: N815
    pattern: str | None = None
    enum: Annotated[_Options, AfterValidator(lambda options: options and tuple(map(as_cell, options)))] = None

    @cached_property
    def rules(self) -> list[tuple[str, Any]]:
        """The checks that there are of a value, by name, in the order in which a reject tells them."""
        checks = {rule: getattr(self, rule) for rule in Constraints.model_fields if rule != "required"}
        return [(rule, bound) for rule, bound in checks.items() if bound is not None]


class Heading(NamedTuple):
    """One column of a header: its name, and which it is of those with this name, from 1."""

    text: str
    number: int = 1

    def __str__(self) -> str:
        """Return it for a message."""
        return repr(shortened(self.text)) + (f" number {self.number}" if self.number > 1 else "")


def headings(names: Iterable[str]) -> list[Heading]:
    """Return the columns of a header: each name, and which of those with this name it is."""
    counts, columns = Counter[str](), list[Heading]()
    for name in names:
        counts[name] += 1
        columns.append(Heading(name, counts[name]))
    return columns


def _name(name: str) -> str:
    if not 0 < len(name) <= VALUE_LIMIT or "\0" in name:
        raise ValueError(
            f'expected 1 to {VALUE_LIMIT:,} characters, none of them NUL: "header" says what the file calls it'
        )
    return name


def _header(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) == 2:
        text, number = value
        if isinstance(text, str) and type(number) is int and number > 0:
            return text, number
    raise ValueError('expected the name of a column in the file, or with which it is of several, such as ["a", 2]')


class FieldSpec(_Part):
    """One field of the schema; `header` (ours) is what the file calls its column, if not by the field's name."""

    name: Annotated[str, AfterValidator(_name)]
    header: Annotated[str | tuple[str, int] | None, PlainValidator(_header)] = None
    type: Literal["string", "integer", "number", "boolean", "date", "datetime"] = "string"
    format: str = "default"
    decimalChar: _OneCharacter = "."  # noqa: N815 (the standard's name)
    groupChar: _OneCharacter | None = None  # noqa: N815
    title: str = ""
    description: str = ""
    constraints: Constraints = Constraints()

    @cached_property
    def heading(self) -> Heading:
        """The column of the file that is this field."""
        header = self.name if self.header is None else self.header
        return Heading(header) if isinstance(header, str) else Heading(*header)

    @property
    def says_which(self) -> bool:
        """Return whether the contract says which of several columns with one name this field is."""
        return isinstance(self.header, tuple)

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.type, self.constraints))

    def __hash__(self) -> int:
        """Return what is worked out once: a field is a key of caches, and its `enum` may be long."""
        return self._hash


class _Dialect(_Part):
    delimiter: _OneCharacter = ","
    quoteChar: _OneCharacter = '"'  # noqa: N815


class _Schema(_Part):
    fields: tuple[FieldSpec, ...] = Field(min_length=1, strict=False)
    missingValues: tuple[str, ...] = Field(default=("",), strict=False)  # noqa: N815
    fieldsMatch: Literal["exact", "equal", "subset"] = "exact"  # noqa: N815


class Summary(_Part):
    """Our one addition: row count and sums by group, over the rows that are kept."""

    groupBy: tuple[str, ...] = Field(default=(), strict=False)  # noqa: N815
    sum: tuple[str, ...] = Field(default=(), strict=False)


class Resource(_Part):
    """Contract file as it is written: a Data Resource of the Data Package standard, and `summary`."""

    schema_url: str = Field(default="", alias="$schema")
    name: Annotated[str, StringConstraints(pattern=DATASET_NAME)]
    path: str = ""
    title: str = ""
    description: str = ""
    encoding: str = "utf-8"
    dialect: _Dialect = _Dialect()
    table: _Schema = Field(alias="schema")
    summary: Summary = Summary()


@dataclass(frozen=True)
class Contract:
    """The rules for a dataset's files: header, type and checks of each field, and which cells are null."""

    name: str
    fields: tuple[FieldSpec, ...]
    match: Literal["exact", "equal", "subset"]
    encoding: str
    delimiter: str
    quote: str
    missing: frozenset[str]
    summary: Summary

    @cached_property
    def header(self) -> tuple[str, ...] | None:
        """The header that has a column for each field, in order; None where the contract has them in no such order."""
        columns: list[Heading] = list(map(attrgetter("heading"), self.fields))
        names: list[str] = list(map(attrgetter("text"), columns))
        return tuple(names) if headings(names) == columns else None

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the typed rows, before the transform; a required field has no nulls."""
        columns: list[pa.Field] = []
        for field in self.fields:
            columns.append(pa.field(field.name, TYPES[field.type], not field.constraints.required))  # noqa: PERF401
        return pa.schema(columns)
