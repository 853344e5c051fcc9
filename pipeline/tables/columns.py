"""The columns of a dataset's tables, in the types that Delta has."""

import pyarrow as pa

from lake.schemas import LINEAGE


def clean_table_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of a clean table: the lineage, and those of the contract and the transform as Delta has them.

    The lineage comes first, because a commit has statistics of the first 32 columns, by which engines skip files.
    """
    return pa.schema([*LINEAGE, *(pa.field(field.name, _delta_type(field.type)) for field in schema)])


def rejected_table_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of a rejected table."""
    return pa.schema([pa.field(field.name, _delta_type(field.type)) for field in schema])


def _delta_type(type_: pa.DataType) -> pa.DataType:
    """Return the type that Delta has for values of a type; one that it has not is left as it is."""
    types = pa.types
    if types.is_dictionary(type_):
        return _delta_type(type_.value_type)
    if types.is_large_string(type_) or types.is_string_view(type_):
        return pa.string()
    if types.is_time(type_):
        return pa.string()
    if types.is_timestamp(type_):
        return pa.timestamp("us", "UTC" if type_.tz else None)
    if types.is_uint8(type_) or types.is_uint16(type_) or types.is_uint32(type_):
        return pa.int64()
    if types.is_float16(type_):
        return pa.float32()
    return type_
