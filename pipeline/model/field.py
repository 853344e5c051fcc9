"""Fields of a contract: types, formats and constraints, by the names of the standard's Table Schema."""

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    model_validator,
)

from common.messages import shortened
from pipeline.model.problem import VALUE_LIMIT

TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", "UTC"),
    "time": pa.time64("us"),
    "year": pa.int64(),
    "yearmonth": pa.string(),
    "duration": pa.string(),
    "list": pa.string(),
    "object": pa.string(),
    "array": pa.string(),
    "geopoint": pa.string(),
    "any": pa.string(),
}
SPACED = {"string", "any"}  # whose spaces are a part of the value

Type = Literal[
    "string",
    "integer",
    "number",
    "boolean",
    "date",
    "datetime",
    "time",
    "year",
    "yearmonth",
    "duration",
    "list",
    "object",
    "array",
    "geopoint",
    "any",
]
ItemType = Literal["string", "integer", "boolean", "number", "datetime", "date", "time"]
OneCharacter = Annotated[str, StringConstraints(pattern=r"^[!-~ \t]$")]  # one ASCII character that ends no line
Separator = Annotated[str, StringConstraints(pattern=r"^[^0-9\r\n\x00]$")]  # such as the narrow space of the French
TRUE, FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")  # the standard's words


class Part(BaseModel):
    """Part of a contract file; a property that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def as_cell(value: str | float | bool) -> str:
    """Return a bound or an option of a contract as a cell would have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


_Option = str | int | float | bool
_Options = Annotated[tuple[_Option, ...], Field(strict=False, min_length=1)]


_OF_ALL = ("required", "unique")  # checks that are not of a value alone


class Constraints(Part):
    """The checks of one field, by the standard's names; bounds and `enum` are written as a cell would be."""

    required: bool = False
    unique: bool = False
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    exclusiveMinimum: int | float | str | None = None  # noqa: N815
    exclusiveMaximum: int | float | str | None = None  # noqa: N815
    minLength: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None  # noqa: N815
    maxLength: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None  # noqa: N815
    pattern: str | None = None
    enum: Annotated[_Options, AfterValidator(lambda options: tuple(map(as_cell, options)))] | None = None

    @cached_property
    def rules(self) -> list[tuple[str, Any]]:
        """The checks that there are of a value, by name, in the order in which a reject tells them."""
        checks = {rule: getattr(self, rule) for rule in Constraints.model_fields if rule not in _OF_ALL}
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


class Digits(Part):
    """The digits of a number that is exact, which is our addition: so many in all, and so many after the point."""

    precision: int = Field(ge=1, le=38)
    scale: int = Field(ge=0)

    @model_validator(mode="after")
    def _check(self) -> "Digits":
        if self.scale > self.precision:
            raise ValueError(f"scale is {self.scale}: expected at most the precision, which counts all digits")
        return self


def _type(name: object) -> object:
    if name == "geojson":
        raise ValueError('geojson is not supported: write "object", which is checked to be JSON')
    return name


def _words(value: object) -> object:
    """Return missing values as words: the standard lets each be an object with a label, which has no effect."""
    if not isinstance(value, list) or not any(isinstance(one, dict) for one in value):
        return value
    for one in value:
        if not isinstance(one, dict) or "value" not in one or not one.keys() <= {"value", "label"}:
            raise ValueError('expected words alone, or objects alone, such as {"value": "-99", "label": "refused"}')
    return [one["value"] for one in value]


Words = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
MissingValues = Annotated[tuple[str, ...], BeforeValidator(_words), Field(strict=False)]


class FieldSpec(Part):
    """One field of the schema; `header` (ours) is what the file calls its column, if not by the field's name."""

    name: Annotated[str, AfterValidator(_name)]
    header: Annotated[str | tuple[str, int] | None, PlainValidator(_header)] = None
    type: Annotated[Type, BeforeValidator(_type)] = "string"
    format: Annotated[str, AfterValidator(lambda form: form.removeprefix("fmt:"))] = "default"
    decimalChar: OneCharacter = "."  # noqa: N815 (the standard's name)
    groupChar: Separator | None = None  # noqa: N815
    bareNumber: bool = True  # noqa: N815
    trueValues: Words = TRUE  # noqa: N815
    falseValues: Words = FALSE  # noqa: N815
    missingValues: MissingValues | None = None  # noqa: N815
    decimal: Digits | None = None
    delimiter: Annotated[str, StringConstraints(min_length=1)] = ","
    itemType: ItemType = "string"  # noqa: N815
    title: str = ""
    description: str = ""
    example: Any = None
    rdfType: str = ""  # noqa: N815
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
    def plain(self) -> "FieldSpec":
        """The field of this type whose cells are in the default form: bounds and options are written so."""
        return FieldSpec(name=self.name, type=self.type, decimal=self.decimal)

    @property
    def arrow_type(self) -> pa.DataType:
        """The type of the values in Arrow and Parquet."""
        digits = self.decimal
        return pa.decimal128(digits.precision, digits.scale) if digits else TYPES[self.type]

    @cached_property
    def missing(self) -> frozenset[str] | None:
        """The words for null in this field alone; None if it has those of the schema."""
        return None if self.missingValues is None else frozenset(self.missingValues)

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.type, self.format, self.constraints))

    def __hash__(self) -> int:
        """Return what is worked out once: a field is a key of caches, and its `enum` may be long."""
        return self._hash
