"""Cast cells that are not in canonical syntax, such as `+5`, `1.234,5` or `31.01.2026`, by pattern."""

from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.field import TYPES, FieldSpec
from pipeline.readers.cells.parse import PARSERS
from pipeline.readers.cells.patterns import (
    CLOCK,
    CURRENCIES,
    DATE,
    DURATION,
    TEXTS,
    TIME,
    YEAR,
    YEAR_MONTH,
    ZONE,
    embedded_number,
    full_match,
    number_pattern,
)
from pipeline.readers.cells.time_columns import iso_column


def _only(cells: pa.Array, pattern: str) -> pa.Array:
    """Null what does not match: Arrow's own casts take more than the contract (`0x1F`, `inf`)."""
    return pc.if_else(pc.match_substring_regex(cells, pattern=full_match(pattern)), cells, pa.scalar(None, pa.string()))


def _cast_all(cells: pa.Array, field: FieldSpec) -> pa.Array:
    """Cast text of the default form; where one value is out of range Arrow gives up on all, so each is parsed alone."""
    try:
        return pc.cast(cells, field.arrow_type)
    except pa.ArrowInvalid:
        parser, plain = PARSERS[field.type], field.plain
        parsed = [None if cell is None else parser(cell, plain) for cell in cells.to_pylist()]
        return pa.array(parsed, field.arrow_type)


def _without_plus(cells: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(cells, pattern=r"\A\+", replacement="")


def _bare(cells: pa.Array, field: FieldSpec) -> pa.Array:
    """Return numbers without the text around them; a cell that has another form stays one that is no number.

    Spaces and signs of currencies are cut off; other text is found by pattern, which takes ten times as long.
    """
    signs = CURRENCIES.replace(field.decimalChar, "")
    texts = pc.utf8_rtrim(pc.utf8_ltrim(cells, characters=signs), characters=signs + "%")
    number = pc.match_substring_regex(texts, pattern=full_match(number_pattern(field)))
    odd = pc.fill_null(pc.invert(number), False)
    if not odd.true_count:
        return texts
    pattern, replacement = embedded_number(field, r"\p{Nd}")
    found = pc.replace_substring_regex(cells.filter(odd), pattern=full_match(pattern), replacement=replacement)
    return pc.replace_with_mask(texts, odd, found)


def _number_texts(cells: pa.Array, field: FieldSpec) -> pa.Array:
    """Return numbers as Arrow takes them, with null for each cell of another form."""
    if not field.bareNumber:
        cells = _bare(cells, field)
    cells = _without_plus(_only(cells, number_pattern(field)))
    if field.groupChar:
        cells = pc.replace_substring(cells, field.groupChar, "")
    return cells if field.decimalChar == "." else pc.replace_substring(cells, field.decimalChar, ".")


def _integers(cells: pa.Array, field: FieldSpec) -> pa.Array:
    return _cast_all(_number_texts(cells, field), field)


def _numbers(cells: pa.Array, field: FieldSpec) -> pa.Array:
    if field.decimal:
        return _decimals(_number_texts(cells, field), field)
    values = _cast_all(_number_texts(cells, field), field)
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


def _decimals(cells: pa.Array, field: FieldSpec) -> pa.Array:
    """Cast the numbers that have few enough digits at once, and the others (`1e3`, `0.500`, too many) one by one."""
    assert field.decimal
    before, after = field.decimal.precision - field.decimal.scale, field.decimal.scale
    short = pc.match_substring_regex(cells, pattern=rf"\A-?[0-9]{{0,{before}}}(?:\.[0-9]{{0,{after}}})?\z")
    values = pc.cast(pc.if_else(short, cells, pa.scalar(None, pa.string())), field.arrow_type)
    if not (odd := pc.fill_null(pc.invert(short), False)).true_count:
        return values
    return pc.replace_with_mask(values, odd, _one_by_one(cells.filter(odd), field.plain))


def _one_by_one(cells: pa.Array, field: FieldSpec) -> pa.Array:
    """Parse each different cell as the plain way does."""
    packed, parser = cells.dictionary_encode(), PARSERS[field.type]
    values = [parser(cell, field) for cell in packed.dictionary.to_pylist()]
    return pa.array(values, field.arrow_type).take(packed.indices)


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


def _times(cells: pa.Array, field: FieldSpec) -> pa.Array:
    cells = _only(_iso(cells, field), CLOCK)
    moments = pc.cast(pc.binary_join_element_wise("1970-01-01", cells, "T"), pa.timestamp("us"))
    return pc.cast(moments, TYPES["time"])


def _matching(pattern: str) -> Callable[[pa.Array, FieldSpec], pa.Array]:
    return lambda cells, field: pc.cast(_only(cells, pattern), field.arrow_type)


CASTS: dict[str, Callable[[pa.Array, FieldSpec], pa.Array]] = {
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "date": _dates,
    "datetime": _datetimes,
    "time": _times,
    "year": _matching(YEAR),
    "yearmonth": _matching(YEAR_MONTH),
    "duration": _matching(DURATION),
    "string": lambda cells, field: _only(cells, TEXTS[field.format]),
    **dict.fromkeys(("list", "object", "array", "geopoint"), _one_by_one),
}
