"""Columns of dates and times in formats of their own: to ISO 8601, as `time_formats.read_time` does cell by cell."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.field import FieldSpec
from pipeline.readers.cells.patterns import full_match
from pipeline.readers.cells.time_formats import LATE_CENTURY, SHORT, TimeFormat, part_of, time_format

_MONTHS = pa.array([name.lower() for name in SHORT])
_HOURS = pa.array(["12", *(f"{hour:02}" for hour in range(1, 12))])


def iso_column(cells: pa.Array, field: FieldSpec) -> pa.Array:
    """Return ISO 8601 of cells in the format of their field; null for a cell that does not have that form."""
    form = time_format(field)
    pattern = full_match(form.pattern)
    if form.iso:
        cells = pc.if_else(pc.match_substring_regex(cells, pattern=pattern), cells, pa.scalar(None, pa.string()))
        return pc.replace_substring_regex(cells, pattern=pattern, replacement=form.iso)
    return _joined(_parts(pc.extract_regex(cells, pattern=pattern), form), field.type)


def _parts(found: pa.Array, form: TimeFormat) -> dict[str, pa.Array]:
    """Return the parts of times with all their digits, by name."""
    parts = dict[str, pa.Array]()
    for number, directive in enumerate(form.directives):
        text = pc.struct_field(found, number)
        whole = _two_digits if directive.startswith("-") else _WHOLE.get(directive)
        parts[part_of(directive)] = whole(text) if whole else text
    if (half := parts.get("half of the day")) is not None:
        after_noon = pc.equal(pc.ascii_upper(half), "PM")
        hours = pc.index_in(_two_digits(parts["hour"]), value_set=_HOURS)  # null for hours that are none of twelve
        parts["hour"] = _two_digits(pc.add(hours, pc.if_else(after_noon, 12, 0)).cast(pa.string()))
    return parts


def _two_digits(text: pa.Array) -> pa.Array:
    return pc.utf8_lpad(text, width=2, padding="0")


def _year(text: pa.Array) -> pa.Array:
    century = pc.if_else(pc.greater_equal(text, LATE_CENTURY), "19", "20")
    return pc.binary_join_element_wise(century, text, "")


def _month(name: pa.Array) -> pa.Array:
    number = pc.index_in(pc.ascii_lower(pc.utf8_slice_codeunits(name, 0, 3)), value_set=_MONTHS)
    return _two_digits(pc.add(number, 1).cast(pa.string()))


def _zone(text: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(text, pattern=r"\A(.[0-9]{2})([0-9]{2})\z", replacement=r"\1:\2")


_WHOLE: dict[str, Callable[[pa.Array], pa.Array]] = {"y": _year, "b": _month, "B": _month, "z": _zone}


def _joined(parts: dict[str, pa.Array], type_: str) -> pa.Array:
    """Join the parts to ISO 8601."""
    if type_ == "date":
        return pc.binary_join_element_wise(parts["year"], parts["month"], parts["day"], "-")
    clock = pc.binary_join_element_wise(parts["hour"], parts["minute"], parts.get("second", "00"), ":")
    if "fraction" in parts:
        clock = pc.binary_join_element_wise(clock, parts["fraction"], ".")
    if "zone" in parts:
        clock = pc.binary_join_element_wise(clock, parts["zone"], "")
    return clock if type_ == "time" else pc.binary_join_element_wise(_joined(parts, "date"), clock, "T")
