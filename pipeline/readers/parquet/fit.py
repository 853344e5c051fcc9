"""Match the columns of a Parquet file with the fields of a contract, or refuse the file."""

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.types as at

from common.messages import listed, shortened
from pipeline.model.contract import Contract
from pipeline.model.field import FieldSpec
from pipeline.model.problem import Problem, Refused
from pipeline.readers.csv.header import Header, map_header

Test = Callable[[pa.DataType], bool]


def is_text(type_: pa.DataType) -> bool:
    """Return whether the values of a column are text; some writers call it binary, and UTF-8 is checked anyway."""
    text = (at.is_string, at.is_large_string, at.is_string_view, at.is_binary, at.is_large_binary, at.is_binary_view)
    return any(test(type_) for test in text)


def _is_json(type_: pa.DataType) -> bool:
    """Return whether a nested column can be written as JSON: nothing in it is binary."""
    if at.is_nested(type_):
        return all(_is_json(type_.field(number).type) for number in range(type_.num_fields))
    plain = (at.is_string, at.is_large_string, at.is_boolean, at.is_integer, at.is_floating, at.is_decimal, at.is_date)
    return any(test(type_) for test in (*plain, at.is_timestamp, at.is_null))


def _is_list(type_: pa.DataType) -> bool:
    return any(test(type_) for test in (at.is_list, at.is_large_list, at.is_fixed_size_list))


def is_nested_json(type_: pa.DataType) -> bool:
    """Return whether a column is nested, and can be written as JSON."""
    return at.is_nested(type_) and _is_json(type_)


# What a field takes beside text: in words, and as tests of a type.
_FITS: dict[str, tuple[str, Sequence[Test]]] = {
    "string": ("a nested column, which becomes JSON,", [is_nested_json]),
    "integer": ("integers, or whole floats or decimals,", [at.is_integer, at.is_floating, at.is_decimal]),
    "number": ("floats, decimals, integers", [at.is_integer, at.is_floating, at.is_decimal]),
    "boolean": ("booleans", [at.is_boolean]),
    "date": ("dates, or timestamps at midnight,", [at.is_date, at.is_timestamp]),
    "datetime": ("timestamps", [at.is_timestamp]),
    "time": ("times of day", [at.is_time]),
    "year": ("integers", [at.is_integer]),
    "object": ("structs or maps, which become JSON,", [lambda type_: is_nested_json(type_) and not _is_list(type_)]),
    "array": ("lists, which become JSON,", [lambda type_: is_nested_json(type_) and _is_list(type_)]),
    "geopoint": ("a nested column, which becomes JSON,", [is_nested_json]),
    "any": ("values", [lambda type_: _is_json(type_) or at.is_time(type_)]),
}


def value_type(type_: pa.DataType) -> pa.DataType:
    """Return the type of a column's values, however they are stored."""
    return type_.value_type if at.is_dictionary(type_) else type_


def fit(schema: pa.Schema, contract: Contract) -> Header:
    """Match the columns of a file with the fields, or refuse the file: by its names, or by the types of its columns."""
    header = map_header(schema.names, contract)
    places = header.places
    names = [*(schema.names[place] for place in places if place is not None), *header.more_names]
    if twice := [*map(repr, sorted({name for name in names if schema.names.count(name) > 1}))]:
        raise Refused(Problem("header", f"columns have the same name, {listed(twice)}: rename them"))
    misfits = list[tuple[str, str]]()
    for field, place in zip(contract.fields, places, strict=True):
        if place is None:
            continue
        type_ = value_type(schema.types[place])
        expected, tests = _FITS.get(field.type, ("", []))
        if not (is_text(type_) or at.is_null(type_) or any(test(type_) for test in tests)):
            words = f"{expected} or text" if expected else "text"
            misfits.append((field.name, f"{shortened(field.name)}: expected {words}, found {shortened(str(type_))}"))
    if misfits:
        messages = "; ".join(message for _, message in misfits)
        message = f"columns have another type than their fields: {messages}: change the file, or the contract"
        raise Refused(Problem("type", message, column=misfits[0][0] if len(misfits) == 1 else None))
    return header


def native(field: FieldSpec, type_: pa.DataType) -> FieldSpec:
    """Return a field for a column's cells: typed values are written in the default form, text and JSON as they are."""
    if is_text(value_type(type_)) or at.is_nested(type_):
        return field
    own = {"format", "decimalChar", "groupChar", "bareNumber", "trueValues", "falseValues"}
    return FieldSpec.model_construct(
        **{name: getattr(field, name) for name in FieldSpec.model_fields if name not in own}
    )
