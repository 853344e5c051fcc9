"""One record against its contract, plainly: the words of a problem, and the truth that the fast way is held to."""

import functools
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.contract import Contract, FieldSpec, as_cell
from pipeline.model.problem import VALUE_LIMIT, Problem, listed, shortened
from pipeline.readers.csv.patterns import (
    DATE,
    FALSE,
    INTEGER,
    TIME,
    TRUE,
    ZONE,
    format_pattern,
    full_match,
    grouped_number,
)


def _integer(text: str, _: FieldSpec) -> int | None:
    digits = text.lstrip("+-").lstrip("0")
    if not re.fullmatch(INTEGER, text) or len(digits) > 19:  # Python reads no more than 4,300 of them
        return None
    value = int(digits or "0") * (-1 if text.startswith("-") else 1)
    return value if -(2**63) <= value < 2**63 else None


def _number(text: str, field: FieldSpec) -> float | None:
    if not re.fullmatch(grouped_number(field), text):
        return None
    value = float(text.replace(field.groupChar or "", "").replace(field.decimalChar, "."))
    return value if math.isfinite(value) else None


def _boolean(text: str, _: FieldSpec) -> bool | None:
    return True if text in TRUE else False if text in FALSE else None


def _iso(text: str, field: FieldSpec) -> str:
    if field.format == "default":
        return text
    pattern, iso = format_pattern(field)
    return re.sub(pattern, iso, text) if re.fullmatch(pattern, text) else ""


def _date(text: str, field: FieldSpec) -> date | None:
    iso = _iso(text, field)
    try:
        return date.fromisoformat(iso) if re.fullmatch(DATE, iso) else None
    except ValueError:
        return None


def _datetime(text: str, field: FieldSpec) -> datetime | None:
    iso = _iso(text, field)
    try:
        value = datetime.fromisoformat(iso) if re.fullmatch(f"{TIME}{ZONE}?", iso) else None
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def _string(text: str, _: FieldSpec) -> str:
    return text


PARSERS: dict[str, tuple[Callable[[str, FieldSpec], Any], str]] = {
    "string": (_string, "text"),
    "integer": (_integer, "an integer within 64 bits, such as -12"),
    "number": (_number, "a finite number, such as 12.5"),
    "boolean": (_boolean, "true or false"),
    "date": (_date, "a date that exists, as YYYY-MM-DD"),
    "datetime": (_datetime, "a time that exists, as YYYY-MM-DDThh:mm:ssZ"),
}


def parse(text: str, field: FieldSpec, missing: frozenset[str]) -> Any:
    """Give the value of a cell, None for null; `ValueError` if it is not of the field's type."""
    cell = text if field.type == "string" else text.strip(" \t")
    if cell in missing:
        return None
    parser, expected = PARSERS[field.type]
    if (value := parser(cell, field)) is None:
        shape = expected if field.format == "default" else f"a {field.type} that exists, as {shortened(field.format)}"
        raise ValueError(f"expected {shape}, found {shortened(text)!r}")
    return value


@functools.lru_cache(4096, typed=True)
def literal(bound: Any, field: FieldSpec) -> Any:
    """Return a constraint's bound or option as a value of the field's type; it is written in the default format."""
    return parse(as_cell(bound), FieldSpec(name="bound", type=field.type), frozenset())


Column = tuple[str | None, FieldSpec | None]  # of a file: what a problem calls it, and the field that it is


def explain_record(raw: bytes, line: int, columns: Sequence[Column], contract: Contract) -> list[Problem]:
    """Return every problem of one record whose quotes are in order; none if it is good."""
    cells = split_record(raw, contract.delimiter, contract.quote)
    shown = shown_text(raw)
    problems = []
    if len(cells) != len(columns):
        message = f"expected {len(columns)} fields, found {len(cells)}"
        problems.append(Problem("fields", message, line, raw=shown))
    beyond: list[Column] = [(None, None)] * (len(cells) - len(columns))
    for (name, field), cell in zip([*columns, *beyond], cells, strict=False):
        found = _cell_problems(cell, field, contract, checked=len(cells) == len(columns))
        problems += [Problem(rule, message, line, name, shown_text(cell), shown) for rule, message in found]
    return problems


def explain_cell(cell: bytes, shown: str, line: int, field: FieldSpec, contract: Contract) -> list[Problem]:
    """Give every problem of one cell of a record, shown so, that has as many fields as its header."""
    found = _cell_problems(cell, field, contract, checked=True)
    return [Problem(rule, message, line, field.name, shown_text(cell), shown) for rule, message in found]


FAULTS = {
    "quote": "a quote stands where none may, or is never closed: write a quote inside a quoted value twice",
    "size": "it does not end within the size limit: is a quote not closed? Else raise PIPELINE_RECORD_MIB",
}


def explain_fault(rule: str, line: int, raw: bytes) -> Problem:
    """Give the problem of a physical line that is no record: `rule` is `quote` or `size`."""
    return Problem(rule, FAULTS[rule], line, raw=shown_text(raw))


def _cell_problems(cell: bytes, field: FieldSpec | None, contract: Contract, *, checked: bool) -> list[tuple[str, str]]:
    try:
        text = cell.decode()
    except UnicodeDecodeError as error:
        wrong = f"the bytes {cell[error.start : error.end].hex(' ')} are not UTF-8"
        return [("encoding", f"{wrong}: save the file as UTF-8, or name its encoding in the contract")]
    if "\0" in text:
        return [("encoding", "it has a NUL byte: is this text?")]
    return explain(text, field, contract.missing) if field and checked else []


def split_record(raw: bytes, delimiter: str, quote: str) -> list[bytes]:
    """Split a record whose quotes are in order into its cells, unquoted."""
    mark, between = quote.encode(), delimiter.encode()
    cells, at = [], 0
    while True:
        if raw.startswith(mark, at):
            stop = at + 1
            while (stop := raw.index(mark, stop)) + 1 < len(raw) and raw.startswith(mark, stop + 1):
                stop += 2
            cells.append(raw[at + 1 : stop].replace(mark * 2, mark))
            at = stop + 1
        else:
            stop = raw.find(between, at)
            cells.append(raw[at : stop if stop >= 0 else len(raw)])
            at = stop if stop >= 0 else len(raw)
        if at >= len(raw):
            return cells
        at += 1


def shown_text(raw: bytes) -> str:
    """Give bytes as text for a person: escapes for what is not text, 4 KiB at most."""
    return raw[:VALUE_LIMIT].decode("utf-8", "backslashreplace")


def explain(text: str, field: FieldSpec, missing: frozenset[str]) -> list[tuple[str, str]]:
    """Give every `(rule, message)` that a cell breaks."""
    try:
        value = parse(text, field, missing)
    except ValueError as error:
        return [("type", str(error))]
    if value is None:
        return [("required", "a value is required, found none")] if field.constraints.required else []
    return [
        (rule, f"expected {_RULES[rule][0]} {_shown(bound)}, found {shortened(text)!r}")
        for rule, bound in field.constraints.rules
        if _RULES[rule][1](value, bound, field)
    ]


def _matches(text: str, pattern: str) -> bool:
    return bool(pc.match_substring_regex(pa.scalar(text), pattern=full_match(pattern)).as_py())


def _shown(bound: Any) -> str:
    return listed(bound) if isinstance(bound, tuple) else shortened(str(bound))


@functools.lru_cache(4096)
def options(field: FieldSpec) -> frozenset[Any]:
    """Return the values of a field's `enum`."""
    return frozenset(literal(option, field) for option in field.constraints.enum or ())


# The words before a bound, and whether a value breaks it.
_RULES: dict[str, tuple[str, Callable[[Any, Any, FieldSpec], bool]]] = {
    "minimum": ("at least", lambda value, bound, field: value < literal(bound, field)),
    "maximum": ("at most", lambda value, bound, field: value > literal(bound, field)),
    "minLength": ("a length of at least", lambda value, bound, _: len(value) < bound),
    "maxLength": ("a length of at most", lambda value, bound, _: len(value) > bound),
    "pattern": ("all of it to match", lambda value, bound, _: not _matches(value, bound)),
    "enum": ("one of", lambda value, _, field: value not in options(field)),
}
