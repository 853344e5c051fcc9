"""Explain why a record is rejected: one record against its contract, with every problem it has."""

from collections.abc import Sequence

from pipeline.model.contract import Contract
from pipeline.model.dialect import Dialect
from pipeline.model.field import FieldSpec
from pipeline.model.problem import VALUE_LIMIT, Problem
from pipeline.readers.cells.explain import explain

Column = tuple[str | None, FieldSpec | None]  # of a file: what a problem calls it, and the field that it is


def explain_record(
    raw: bytes, cells: Sequence[bytes], line: int, columns: Sequence[Column], contract: Contract
) -> list[Problem]:
    """Return every problem of a record, whose cells are given; an empty list if the record is good."""
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
    "lineTerminator": "it ends in another way than the lineTerminator of the contract: quote a value with a line end",
}


def fault_text(rule: str, dialect: Dialect) -> str:
    """Return what is wrong with a line that is not a record."""
    if rule == "quote" and not dialect.doubleQuote:
        wrong = FAULTS[rule].partition(":")[0]
        written = f"as {dialect.escapeChar}{dialect.quoteChar}" if dialect.escapeChar else "in another way"
        return f"{wrong}: write a quote inside a quoted value {written}"
    return FAULTS[rule]


def explain_fault(rule: str, line: int, raw: bytes, dialect: Dialect) -> Problem:
    """Return the problem of a line that is not a record: `rule` is a key of `FAULTS`."""
    return Problem(rule, fault_text(rule, dialect), line, raw=shown_text(raw))


def _cell_problems(cell: bytes, field: FieldSpec | None, contract: Contract, *, checked: bool) -> list[tuple[str, str]]:
    try:
        text = cell.decode()
    except UnicodeDecodeError as error:
        wrong = f"the bytes {cell[error.start : error.end].hex(' ')} are not UTF-8"
        return [("encoding", f"{wrong}: save the file as UTF-8, or name its encoding in the contract")]
    if "\0" in text:
        return [("encoding", "it has a NUL byte: is this text?")]
    return explain(text, field, contract.missing_of(field)) if field and checked else []


def shown_text(raw: bytes) -> str:
    """Return bytes as text for a person: escapes for what is not text, 4 KiB at most."""
    return raw[:VALUE_LIMIT].decode("utf-8", "backslashreplace")
