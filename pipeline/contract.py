"""A contract file (Data Package v2, a Data Resource) to the fields, types and checks of a dataset."""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from storage.console import SettingError
from storage.layout import DATASET_NAME

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


class Constraints(_Part):
    """The checks of one field, by the standard's names; bounds and `enum` are written as a cell would be."""

    required: bool = False
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    minLength: int | None = None  # noqa: N815
    maxLength: int | None = None  # noqa: N815
    pattern: str | None = None
    enum: tuple[str | int | float | bool, ...] | None = Field(default=None, strict=False)

    @cached_property
    def rules(self) -> list[tuple[str, Any]]:
        """The checks that there are of a value, by name, in the order in which a reject tells them."""
        checks = {rule: getattr(self, rule) for rule in Constraints.model_fields if rule != "required"}
        return [(rule, bound) for rule, bound in checks.items() if bound is not None]


class FieldSpec(_Part):
    """One field of the schema."""

    name: str
    type: Literal["string", "integer", "number", "boolean", "date", "datetime"] = "string"
    format: str = "default"
    decimalChar: _OneCharacter = "."  # noqa: N815 (the standard's name)
    groupChar: _OneCharacter | None = None  # noqa: N815
    title: str = ""
    description: str = ""
    constraints: Constraints = Constraints()


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

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the typed rows, before the transform; a required field has no nulls."""
        return pa.schema([pa.field(one.name, TYPES[one.type], not one.constraints.required) for one in self.fields])


def read_contract(path: Path) -> Contract:
    """Read a contract file; `SettingError` names the file, the field and the property that is not right."""
    try:
        resource = _Resource.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SettingError(_say(path, error)) from None
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


def _check(path: Path, resource: _Resource) -> None:
    if resource.name != path.stem:
        raise SettingError(f"{path}: name is {resource.name!r}: expected {path.stem!r}, like the file")
    try:
        codecs.lookup(resource.encoding)
    except LookupError:
        raise SettingError(f"{path}: encoding: {resource.encoding!r} is not known: expected one like utf-8") from None
    if resource.dialect.delimiter == resource.dialect.quoteChar:
        raise SettingError(f"{path}: dialect.quoteChar: it is the delimiter as well")
    names = [field.name for field in resource.table.fields]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingError(f"{path}: schema.fields: {', '.join(sorted(twice))} is there more than once")
    for field in resource.table.fields:
        for problem in _field_problems(field):
            raise SettingError(f"{path}: field {field.name!r}: {problem}")


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
        yield f"format {field.format!r} is not supported for type {field.type!r}"


def _say(path: Path, error: ValidationError) -> str:
    first = error.errors()[0]
    what = "this is not supported" if first["type"] == "extra_forbidden" else first["msg"]
    steps = list(first["loc"])
    if steps[:2] == ["schema", "fields"] and len(steps) > 2:
        field = json.loads(path.read_bytes())["schema"]["fields"][steps[2]]
        name = field.get("name") if isinstance(field, dict) else field
        steps = [f"field {name!r}: {steps[3] if len(steps) > 3 else ''}", *steps[4:]]
    return f"{path}: {'.'.join(map(str, steps)) or 'the file'}: {what}"
