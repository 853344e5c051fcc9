"""Cast cells that are not in canonical syntax, such as `+5`, `1.234,5` or `31.01.2026`, by pattern."""

from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.field import TYPES, FieldSpec
from pipeline.readers.cells.parse import PARSERS
from pipeline.readers.cells.patterns import DATE, TIME, ZONE, embedded_number, full_match, number_pattern
from pipeline.readers.cells.time_columns import iso_column


def _only(cells: pa.Array, pattern: str) -> pa.Array:
    """Null what does not match: Arrow's own casts take more than the contract (`0x1F`, `inf`)."""
    return pc.if_else(pc.match_substring_regex(cells, pattern=full_match(pattern)), cells, pa.scalar(None, pa.string()))


def _cast_all(cells: pa.Array, field: FieldSpec) -> pa.Array:
    """Cast text of the default form; where one value is out of range Arrow gives up on all, so each is parsed alone."""
    try:
        return pc.cast(cells, TYPES[field.type])
    except pa.ArrowInvalid:
        parser, plain = PARSERS[field.type], field.plain
        parsed = [None if cell is None else parser(cell, plain) for cell in cells.to_pylist()]
        return pa.array(parsed, TYPES[field.type])


def _without_plus(cells: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(cells, pattern=r"\A\+", replacement="")


def _number_texts(cells: pa.Array, field: FieldSpec) -> pa.Array:
    """Return numbers as Arrow takes them, with null for each cell of another form."""
    if not field.bareNumber:
        pattern, number = embedded_number(field, r"\p{Nd}")
        cells = pc.replace_substring_regex(_only(cells, pattern), pattern=full_match(pattern), replacement=number)
    cells = _without_plus(_only(cells, number_pattern(field)))
    if field.groupChar:
        cells = pc.replace_substring(cells, field.groupChar, "")
    return cells if field.decimalChar == "." else pc.replace_substring(cells, field.decimalChar, ".")


def _integers(cells: pa.Array, field: FieldSpec) -> pa.Array:
    return _cast_all(_number_texts(cells, field), field)


def _numbers(cells: pa.Array, field: FieldSpec) -> pa.Array:
    values = _cast_all(_number_texts(cells, field), field)
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


def _booleans(cells: pa.Array, field: FieldSpec) -> pa.Array:
    words = pa.array((*field.trueValues, *field.falseValues), pa.string())
    return pc.less(pc.index_in(cells, value_set=words), len(field.trueValues))


def _iso(cells: pa.Array, field: FieldSpec) -> pa.Array:
    return cells if field.format == "default" else iso_column(cells, field)


def _dates(cells: pa.Array, field: FieldSpec) -> pa.Array:
    return _cast_all(_only(_iso(cells, field), DATE), field)


def _datetimes(cells: pa.Array, field: FieldSpec) -> pa.Array:
    cells = _only(_iso(cells, field), f"{TIME}{ZONE}?")
    has_zone = pc.match_substring_regex(cells, pattern=rf"{ZONE}\z")
    values = _cast_all(pc.if_else(has_zone, cells, pc.binary_join_element_wise(cells, "Z", "")), field)
    low, high = (pa.scalar(one.replace(tzinfo=UTC), TYPES["datetime"]) for one in (datetime.min, datetime.max))
    # A zone may lead out of the years.
    exists = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    return pc.if_else(exists, values, pa.scalar(None, TYPES["datetime"]))


CASTS: dict[str, Callable[[pa.Array, FieldSpec], pa.Array]] = {
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "date": _dates,
    "datetime": _datetimes,
}
