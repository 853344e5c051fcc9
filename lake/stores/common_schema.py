"""One schema for files of several schemas: which types can hold the values of other types without a change."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from lake.stores.base import ObjectInfo


class Conflict(ValueError):
    """No type holds all values of a column; the message names the column and its types."""


class SchemaConflict(ValueError):
    """The schemas of files contradict each other; `files` are those that differ from the newest."""

    def __init__(self, reason: str, files: Sequence[ObjectInfo]) -> None:
        super().__init__(reason)
        self.files = list(files)
        self.more = False  # there are files beyond the sample


def unified(files_by_schema: Mapping[pa.Schema, Sequence[ObjectInfo]]) -> pa.Schema:
    """Return a schema with all columns of all files.

    A column has its type in the newest file that has the column, which was written under the newest contract. The
    values of older files must fit that type. File names do not matter.

    Raises:
        SchemaConflict: the values of some files do not fit.
    """
    latest = {schema: max(info.modified for info in infos) for schema, infos in files_by_schema.items()}
    by_age = sorted(files_by_schema, key=lambda schema: (latest[schema], str(schema)), reverse=True)
    fields: dict[str, pa.DataType] = {}
    for schema in by_age:
        for field in schema:
            known = fields.setdefault(field.name, field.type)
            # Of two files of the same moment, either can be the newer one.
            if latest[schema] == latest[by_age[0]] and not fits(field.type, known) and fits(known, field.type):
                fields[field.name] = field.type
    _check_names(list(fields), by_age, files_by_schema)
    for name, type_ in fields.items():
        wrong = {schema: misfit for schema in by_age if (misfit := _misfit(schema, name, type_))}
        if wrong:
            reason = f"column {name!r} is {next(iter(wrong.values()))} in them, and {type_} in the newest"
            raise SchemaConflict(reason, [info for schema in wrong for info in files_by_schema[schema]])
    return pa.schema(list(fields.items()))


def _check_names(
    names: list[str], by_age: list[pa.Schema], files_by_schema: Mapping[pa.Schema, Sequence[ObjectInfo]]
) -> None:
    first: dict[str, str] = {}
    for name in names:
        known = first.setdefault(name.lower(), name)
        if known != name:
            both = [schema for schema in by_age if {known, name} <= set(schema.names)]
            files = [info for schema in both or by_age[1:] for info in files_by_schema[schema]]
            raise SchemaConflict(f"columns {known!r} and {name!r} differ in case alone, which SQL does not see", files)


def _misfit(schema: pa.Schema, name: str, target: pa.DataType) -> pa.DataType | None:
    """Return the type of the first column of a name that does not fit; a file may have a name twice."""
    types_ = (schema.field(place).type for place in schema.get_all_field_indices(name))
    return next((type_ for type_ in types_ if not fits(type_, target)), None)


def is_held(schema: pa.Schema, target: pa.Schema) -> bool:
    """Return whether no value of `schema` has another type in `target`."""
    return all(field.type == target.field(field.name).type for field in schema)


def fits(type_: pa.DataType, target: pa.DataType) -> bool:
    """Return whether values of a type may stand as another one; `convert` refuses the values that do not fit."""
    if type_ == target or types.is_null(type_):
        return True
    if types.is_integer(type_):  # text that was loaded as text keeps its zeros, which an integer never had
        return _is_number(target) or _is_text(target)
    if types.is_floating(type_):
        return bool(types.is_floating(target) and type_.bit_width < target.bit_width)
    if types.is_decimal(type_) and types.is_decimal(target):
        digits = type_.precision - type_.scale
        return bool(type_.scale <= target.scale and digits <= target.precision - target.scale)
    if types.is_date(type_):
        return types.is_date(target) or (types.is_timestamp(target) and target.tz in (None, "UTC"))
    if types.is_timestamp(type_) and types.is_timestamp(target):
        return bool(type_.tz == target.tz)
    return (_is_text(type_) or types.is_time(type_)) and _is_text(target)  # a Delta table has no times of day


def _is_number(type_: pa.DataType) -> bool:
    return bool(types.is_integer(type_) or types.is_float64(type_) or types.is_decimal(type_))


def _is_text(type_: pa.DataType) -> bool:
    type_ = type_.value_type if types.is_dictionary(type_) else type_
    return bool(types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_))


def convert(table: pa.Table, target: pa.Schema) -> pa.Table:
    """Return the rows with the columns of `target`; one that is not there is null.

    Raises:
        Conflict: a value has no right form there.
    """
    columns = []
    for field in target:
        if field.name not in table.schema.names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table[field.name]
        try:
            columns.append(pc.cast(column, field.type, safe=True))
        except pa.ArrowException as error:
            reason = f"column {field.name!r} is {column.type} in them, and {field.type} in the newest: {error}"
            raise Conflict(reason) from error
    return pa.table(columns, schema=target)
