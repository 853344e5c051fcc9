"""Check records whose cells are known one by one, such as those of a workbook, and make a batch of them."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.model.contract import MORE, Contract
from pipeline.model.problem import VALUE_LIMIT, Problem
from pipeline.readers.base import Batch, batch_schema
from pipeline.readers.cells.explain import explain
from pipeline.readers.cells.parse import parse
from pipeline.readers.cells.validate import bare, check_cells, nulled

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Records:
    """Records in the order of lines: the text of each cell, or null, by the contract's fields.

    Attributes:
        columns: for each field its cells (`pa.string()`), written as the field's own format has them.
        lines: of the records (`int64[n]`).
        raw: returns the text of a record, by its number.
        more: for each record the text of `_more`, or null, if the contract has this column.
        malformed: by number, the problems of the records that are wrong whatever their cells are.
        wrong: by the number of a record and that of a field, why a cell is wrong whatever its text is.
    """

    columns: Sequence[pa.Array]
    lines: NDArray[np.int64]
    raw: Callable[[int], str]
    malformed: Mapping[int, Sequence[Problem]] = field(default_factory=dict)
    more: pa.Array | None = None
    wrong: Mapping[tuple[int, int], str] = field(default_factory=dict)


def check_records(records: Records, contract: Contract) -> Batch:
    """Cast and check all cells, and return the good rows and the problems of the others."""
    typed, invalid = list[pa.Array](), list[Mask]()
    for spec, text in zip(contract.fields, records.columns, strict=True):
        missing = contract.missing_of(spec)
        values, masks = check_cells(nulled(text, bare(missing)), spec, missing)
        typed.append(values)
        invalid.append(_any([mask.to_numpy(zero_copy_only=False) for mask in masks], len(text)))
    for number, place in records.wrong:
        invalid[place][number] = True
    malformed = np.zeros(len(records.lines), bool)
    malformed[[*records.malformed]] = True
    rejected = _any([malformed, *invalid], len(malformed))
    others = [_more(records)] if contract.more else []
    rows = pa.table([*typed, *others, pa.array(records.lines)], schema=batch_schema(contract))
    texts = partial(_texts, records, rejected)
    if not rejected.any():
        return Batch(rows, (), 0, texts)
    problems = _problems(records, contract, rejected, invalid)
    return Batch(rows.filter(pa.array(~rejected)), problems, int(rejected.sum()), texts)


def _texts(records: Records, rejected: Mask, rows: Sequence[int]) -> list[str]:
    """Return the texts of good records, by their numbers among these."""
    numbers = np.flatnonzero(~rejected)[list(rows)].tolist()
    return [records.raw(number)[:VALUE_LIMIT] for number in numbers]


def _more(records: Records) -> pa.Array:
    return pa.nulls(len(records.lines), pa.string()) if records.more is None else records.more


def _any(masks: Sequence[Mask], size: int) -> Mask:
    return functools.reduce(np.logical_or, masks, np.zeros(size, bool))


def _problems(records: Records, contract: Contract, rejected: Mask, invalid: Sequence[Mask]) -> Iterator[Problem]:
    """Yield all problems in the order of lines."""
    for number in np.flatnonzero(rejected).tolist():
        yield from _explain(number, records, contract, [bool(mask[number]) for mask in invalid])


def _explain(number: int, records: Records, contract: Contract, invalid: Sequence[bool]) -> Iterator[Problem]:
    """Yield the problems of a record; of a malformed one only those that say why it is."""
    if number in records.malformed:
        yield from records.malformed[number]
        return
    line, raw = int(records.lines[number]), records.raw(number)[:VALUE_LIMIT]
    for place, (spec, text, wrong) in enumerate(zip(contract.fields, records.columns, invalid, strict=True)):
        if wrong:
            cell = text[number].as_py()
            value = None if cell is None else cell[:VALUE_LIMIT]
            reason = records.wrong.get((number, place))
            broken = [("type", reason)] if reason else explain(cell, spec, contract.missing_of(spec))
            for rule, message in broken:
                yield Problem(rule, message, line, spec.name, value, raw)


def check_plainly(records: Records, contract: Contract) -> Batch:
    """Do as `check_records`, one cell after the other: the reference for tests and `verify`."""
    rows, problems, rejected = list[dict[str, Any]](), list[Problem](), np.zeros(len(records.lines), bool)
    for number, line in enumerate(records.lines.tolist()):
        if found := [*_explain(number, records, contract, [True] * len(contract.fields))]:
            problems += found
            rejected[number] = True
            continue
        cells = zip(contract.fields, records.columns, strict=True)
        values = {spec.name: parse(text[number].as_py(), spec, contract.missing_of(spec)) for spec, text in cells}
        if contract.more:
            values[MORE] = _more(records)[number].as_py()
        rows.append({**values, "_line": line})
    table = pa.Table.from_pylist(rows, batch_schema(contract))
    return Batch(table, problems, int(rejected.sum()), partial(_texts, records, rejected))
