"""Explain why a record is rejected: one record against its contract, with every problem it has."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.contract import Contract, FieldSpec
from pipeline.model.problem import VALUE_LIMIT, Problem, listed, shortened
from pipeline.readers.csv.parse import literal, parse, split_record
from pipeline.readers.csv.patterns import full_match

Column = tuple[str | None, FieldSpec | None]  # of a file: what a problem calls it, and the field that it is


def explain_record(raw: bytes, line: int, columns: Sequence[Column], contract: Contract) -> list[Problem]:
    """Return every problem of a record whose quotes are in order; an empty list if the record is good."""
    cells = split_record(raw, contract.delimiter, contract.quote)
    shown = shown_text(raw)
    problems = []
    if len(cells) != len(columns):
        message = f"expected {len(columns)} fields, found {len(cells)}"
        problems.append(Problem("fields", message, line, raw=shown))
    beyond: list[Column] = [(None, None)] * (len(cells) - len(columns))
    for (name, field), cell in zip([*columns, *beyond], cells, strict=False):
        broken = _cell_problems(cell, field, contract, checked=len(cells) == len(columns))
        problems += [Problem(rule, message, line, name, shown_text(cell), shown) for rule, message in broken]
    return problems


def explain_cell(cell: bytes, shown: str, line: int, field: FieldSpec, contract: Contract) -> list[Problem]:
    """Return every problem of one cell; `shown` is the text of its record, which has the right number of fields."""
    broken = _cell_problems(cell, field, contract, checked=True)
    return [Problem(rule, message, line, field.name, shown_text(cell), shown) for rule, message in broken]


FAULTS = {
    "quote": "a quote stands where none may, or is never closed: write a quote inside a quoted value twice",
    "size": "it does not end within the size limit: is a quote not closed? Else raise PIPELINE_RECORD_MIB",
}


def explain_fault(rule: str, line: int, raw: bytes) -> Problem:
    """Return the problem of a physical line that is not a record: `rule` is `quote` or `size`."""
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


def shown_text(raw: bytes) -> str:
    """Return bytes as text for a person: escapes for what is not text, 4 KiB at most."""
    return raw[:VALUE_LIMIT].decode("utf-8", "backslashreplace")


def explain(text: str, field: FieldSpec, missing: frozenset[str]) -> list[tuple[str, str]]:
    """Return `(rule, message)` for every rule that a cell breaks."""
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
