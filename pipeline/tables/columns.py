"""The columns of a dataset's tables, in the types that Delta has."""

import pyarrow as pa

from lake.schemas import LINEAGE

_STATISTICS = "delta.dataSkippingStatsColumns"
_EXACT_DIGITS = 15  # of a float
_COLUMNS = 32  # that have statistics in a commit, as is usual


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


def statistics_properties(schema: pa.Schema) -> dict[str, str]:
    """Return properties of a table that keep statistics of its commits from telling something wrong; often none.

    There a number is a float: by it, engines would skip a file that has an exact number of more digits. So columns of
    such numbers have no statistics, nor have those whose names need more than quotes.
    """
    if not any(map(_is_wide, schema.types)):
        return {}
    plain = [field.name for field in schema if field.name.isidentifier() and field.name.isascii()]
    columns = [name for name in plain if not _is_wide(schema.field(name).type)][:_COLUMNS]
    return {_STATISTICS: ",".join(f"`{name}`" for name in columns)}


def _is_wide(type_: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(type_) and type_.precision > _EXACT_DIGITS)
