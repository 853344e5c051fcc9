"""A contract file (Data Package v2, a Data Resource) to the fields, types and checks of a dataset."""

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, ValidationError

from common.errors import SettingError
from lake.layout import DATASET_NAME
from pipeline.model.problem import LIST_LIMIT, VALUE_LIMIT, listed, shortened
from pipeline.model.text_encoding import encoding_problem

TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", "UTC"),
}
_ORDERED = {"integer", "number", "date", "datetime"}
_TEXT = {"string"}
_ALLOWED = {"minimum": _ORDERED, "maximum": _ORDERED, "minLength": _TEXT, "maxLength": _TEXT, "pattern": _TEXT}

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
    seen, found = Counter[str](), list[Heading]()
    for name in names:
        seen[name] += 1
        found.append(Heading(name, seen[name]))
    return found


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
        """Whether the contract says which of several columns with one name this field is."""
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


class _Resource(_Part):
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
    """What a dataset's files must be: the header, each field's type and checks, what counts as null."""

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
        names = [field.heading.text for field in self.fields]
        return tuple(names) if headings(names) == [field.heading for field in self.fields] else None

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the typed rows, before the transform; a required field has no nulls."""
        return pa.schema([pa.field(one.name, TYPES[one.type], not one.constraints.required) for one in self.fields])


def read_contract(path: Path) -> Contract:
    """Read a contract file; `SettingError` names the file, the field and the property that is not right."""
    content = _read_json(path)
    try:
        resource = _Resource.model_validate(content)
    except ValidationError as error:
        raise SettingError(_say(path, content, error)) from None
    _check(path, resource)
    table, dialect = resource.table, resource.dialect
    return Contract(
        resource.name,
        table.fields,
        table.fieldsMatch,
        resource.encoding,
        dialect.delimiter,
        dialect.quoteChar,
        frozenset(table.missingValues),
        resource.summary,
    )


def _read_json(path: Path) -> Any:
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SettingError(f"{path}: it is UTF-16 or UTF-32: save it as UTF-8")
    try:
        made = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_number)
        json.dumps(made, ensure_ascii=False).encode()  # JSON may name half a character, which no file has
    except UnicodeDecodeError as error:
        raise SettingError(f"{path}: byte {error.start + 1:,} is not UTF-8: save it as UTF-8") from None
    except RecursionError:
        raise SettingError(f"{path}: it is nested too deep: expected a Data Resource") from None
    except ValueError as error:
        raise SettingError(f"{path}: it is no valid JSON: {shortened(str(error))}") from None
    return made


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the key {shortened(key)!r} is there twice in one object: keep one of them")
        made[key] = value
    return made


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _check(path: Path, resource: _Resource) -> None:
    if resource.name != path.stem:
        raise SettingError(f"{path}: name is {shortened(resource.name)!r}: expected {path.stem!r}, like the file")
    if wrong := encoding_problem(resource.encoding):
        raise SettingError(f"{path}: encoding: {shortened(resource.encoding)!r} {wrong}")
    if resource.dialect.delimiter == resource.dialect.quoteChar:
        raise SettingError(f"{path}: dialect.quoteChar: it is the delimiter as well")
    fields = resource.table.fields
    if alike := alike_names([field.name for field in fields]):
        raise SettingError(f"{path}: schema.fields: {alike}: {WAY_OUT}")
    if twice := [str(heading) for heading, count in Counter(field.heading for field in fields).items() if count > 1]:
        raise SettingError(f"{path}: schema.fields: the column {listed(twice)} is there more than once: {WAY_OUT}")
    for field in fields:
        for problem in _field_problems(field):
            raise SettingError(f"{path}: field {shortened(field.name)!r}: {problem}")


WAY_OUT = 'give one of them another name, and say by "header" what the file calls it'


def alike_names(names: Iterable[str]) -> str:
    """Return which names SQL or another reader of the results would take for the same; empty if none are."""
    known: dict[str, str] = {}
    for name in names:
        if (other := known.get(name.casefold())) is not None:
            first, second = (repr(shortened(one)) for one in (other, name))
            return f"{first} is there more than once" if other == name else f"{first} and {second} differ in case alone"
        known[name.casefold()] = name
    return ""


def _field_problems(field: FieldSpec) -> Iterator[str]:
    for constraint, types in _ALLOWED.items():
        if getattr(field.constraints, constraint) is not None and field.type not in types:
            takes = ", ".join(sorted(types))
            yield f"constraints.{constraint} does not go with type {field.type!r}: it takes {takes}"
    if field.type != "number" and (field.decimalChar != "." or field.groupChar is not None):
        yield "decimalChar and groupChar go with type 'number' alone"
    if field.groupChar == field.decimalChar:
        yield "groupChar: it is the decimalChar as well"
    if field.format != "default" and field.type not in ("date", "datetime"):
        yield f"format {shortened(field.format)!r} is not supported for type {field.type!r}"


def _say(path: Path, content: Any, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    what = "this is not supported" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    steps = list(first["loc"])
    if steps[:2] == ["schema", "fields"] and len(steps) > 2:
        field = content["schema"]["fields"][steps[2]]
        name = field.get("name") if isinstance(field, dict) else field
        named = shortened(name) if isinstance(name, str) else name
        steps = [f"field {named!r}: {steps[3] if len(steps) > 3 else ''}", *steps[4:]]
    return f"{path}: {shortened('.'.join(map(str, steps)) or 'the file', LIST_LIMIT)}: {shortened(what, LIST_LIMIT)}"
