"""Read a contract file; each error names the file, the field and the property, and what is expected."""

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from common.errors import SettingError
from common.messages import LIST_LIMIT, listed, shortened
from pipeline.model.check_field import field_problems, null_problems
from pipeline.model.contract import MORE, Contract
from pipeline.model.data_resource import Resource, Schema
from pipeline.model.dialect import dialect_problems
from pipeline.model.field import FieldSpec
from pipeline.model.keys import keys_of
from pipeline.model.text_encoding import encoding_problem


def read_contract(path: Path, content: bytes | None = None) -> Contract:
    """Read a contract file, or its `content`; `SettingError` names the file, the field and the property not right."""
    document = _read_json(path, path.read_bytes() if content is None else content)
    try:
        resource = Resource.model_validate(document)
    except ValidationError as error:
        raise SettingError(_error_text(path, document, error)) from None
    _check(path, resource)
    table = resource.table
    contract = Contract(
        resource.name,
        tuple(_with_key(field, table) for field in table.fields),
        table.fieldsMatch,
        resource.encoding,
        resource.dialect,
        _missing(resource),
        resource.summary,
        resource.rejects,
        resource.fixity,
        resource.format.lower() == "txt",
        tuple(dict.fromkeys(keys_of(table))),
        resource.more,
    )
    for field in contract.fields:
        for problem in (*field_problems(field), *null_problems(field, contract.missing_of(field))):
            raise SettingError(f"{path}: field {shortened(field.name)!r}: {problem}")
    return contract


def _with_key(field: FieldSpec, table: Schema) -> FieldSpec:
    """Return a field as it is checked: one of the primary key is required."""
    if field.name not in table.primaryKey:
        return field
    return field.model_copy(update={"constraints": field.constraints.model_copy(update={"required": True})})


def _read_json(path: Path, content: bytes) -> Any:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SettingError(f"{path}: it is UTF-16 or UTF-32: save it as UTF-8")
    try:
        document = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_object, parse_float=_float, parse_constant=_no_number
        )
        json.dumps(document, ensure_ascii=False).encode()  # JSON may name half a character, which no file has
    except UnicodeDecodeError as error:
        raise SettingError(f"{path}: byte {error.start + 1:,} is not UTF-8: save it as UTF-8") from None
    except RecursionError:
        raise SettingError(f"{path}: it is nested too deep: expected a Data Resource") from None
    except ValueError as error:
        raise SettingError(f"{path}: it is no valid JSON: {shortened(str(error))}") from None
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"the key {shortened(key)!r} is there twice in one object: keep one of them")
        content[key] = value
    return content


def _float(text: str) -> float | str:
    """Return a number of JSON; as its text if it has more digits than a float, for a bound of an exact number."""
    value = float(text)
    return value if Decimal(repr(value)) == Decimal(text) else text


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _check(path: Path, resource: Resource) -> None:
    if resource.name != path.stem:
        raise SettingError(f"{path}: name is {shortened(resource.name)!r}: expected {path.stem!r}, like the file")
    if problem := encoding_problem(resource.encoding):
        raise SettingError(f"{path}: encoding: {shortened(resource.encoding)!r} {problem}")
    try:
        _ = resource.fixity
    except ValueError as error:
        raise SettingError(f"{path}: path: {error}") from None
    for problem in _dialect_problems(resource):
        raise SettingError(f"{path}: dialect.{problem}")
    fields = resource.table.fields
    if alike := alike_names(map(attrgetter("name"), fields)):
        raise SettingError(f"{path}: schema.fields: {alike}: {WAY_OUT}")
    columns = Counter(map(attrgetter("heading"), fields))
    if len(columns) < len(fields):
        repeated = [str(column) for column, count in columns.items() if count > 1]
        raise SettingError(f"{path}: schema.fields: the column {listed(repeated)} is there more than once: {WAY_OUT}")
    _check_keys(path, resource.table)
    _check_more(path, resource)


def _dialect_problems(resource: Resource) -> Iterator[str]:
    """Yield what is wrong with the dialect, by itself and beside the schema."""
    yield from dialect_problems(resource.dialect)
    if resource.dialect.header:
        return
    for field in resource.table.fields:
        if field.header is not None:
            yield f"header: it is false, and field {shortened(field.name)!r} has a header: remove one of the two"
    if resource.table.fieldsMatch != "exact":
        yield "header: it is false, so the columns are the fields in their order: remove schema.fieldsMatch"


def _missing(resource: Resource) -> frozenset[str]:
    null = resource.dialect.nullSequence
    return frozenset(resource.table.missingValues) | (frozenset() if null is None else {null})


def _check_keys(path: Path, table: Schema) -> None:
    for key in keys_of(table):
        if unknown := set(key.names) - {field.name for field in table.fields}:
            raise SettingError(f"{path}: schema.{key.rule}: there is no field {listed(sorted(unknown))}")


def _check_more(path: Path, resource: Resource) -> None:
    if resource.more and resource.table.fieldsMatch not in ("subset", "partial"):
        raise SettingError(f"{path}: more: it goes with fieldsMatch 'subset' or 'partial': others refuse such a file")
    names = [field.name for field in resource.table.fields]
    if resource.more and MORE in map(str.casefold, names):
        raise SettingError(f"{path}: schema.fields: {MORE!r} is the column that `more` adds: {WAY_OUT}")


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


def _error_text(path: Path, content: Any, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    words = {"extra_forbidden": "this is not supported", "too_short": "expected at least one value"}
    what = words.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    steps = list(first["loc"])
    if steps[:2] == ["schema", "fields"] and len(steps) > 2:
        field = content["schema"]["fields"][steps[2]]
        name = field.get("name") if isinstance(field, dict) else field
        named = shortened(name) if isinstance(name, str) else name
        steps = [f"field {named!r}: {steps[3] if len(steps) > 3 else ''}", *steps[4:]]
    return f"{path}: {shortened('.'.join(map(str, steps)) or 'the file', LIST_LIMIT)}: {shortened(what, LIST_LIMIT)}"
