"""Keys that must be unique: the stage over batches is what its plain reference is, whatever is spilled or collides."""

import io
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.contract import Contract
from pipeline.model.field import TYPES
from pipeline.model.problem import Problem
from pipeline.readers.base import Batch, Limits, read_each
from pipeline.readers.csv.read import read_csv
from pipeline.readers.csv.reference import read_csv_plainly
from pipeline.readers.unique import hashes, index, key_log, runs, stage
from pipeline.readers.unique.reference import unique_batches_plainly
from pipeline.readers.unique.stage import unique_batches
from tests.support.generated_csv import BODY, CONTRACT_FIELDS, HEADER, MISSING, RECORD, batches_of, contract_of

VALUES = {
    "string": ["", "a", "b", "abcdefgh", "abcdefgi", "é" * 40, "é" * 41, "x" * 1000, None],
    "integer": [0, 1, -1, 2**62, None],
    "number": [0.0, -0.0, 1.5, 1e300, None],
    "boolean": [True, False, None],
    "date": [date(2026, 1, 31), date(1, 1, 1), None],
    "datetime": [datetime(2026, 1, 31, tzinfo=UTC), datetime(1, 1, 2, tzinfo=UTC), None],
}
ROW = st.tuples(*(st.sampled_from(values) for values in VALUES.values()))
KEYS = st.fixed_dictionaries(
    {"unique": st.sets(st.sampled_from(sorted(VALUES)), max_size=2)},
    optional={
        "uniqueKeys": st.lists(
            st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True), min_size=1, max_size=2
        ),
        "primaryKey": st.sampled_from([["integer"], ["string", "date"]]),
    },
)


def contract_with(folder, unique=(), **keys) -> Contract:
    fields = [{"name": name, "type": name, "constraints": {"unique": name in unique}} for name in VALUES]
    return contract_of(folder, schema={"fields": fields, **keys})


def batches(contract: Contract, groups: list[list[tuple]]) -> list[Batch]:
    """Return batches of typed rows; a row without a value of the primary key has a problem already."""
    line, made = 2, []
    for group in groups:
        rows, problems, texts = [], [], []
        for values in group:
            row = {**dict(zip(VALUES, values, strict=True)), "_line": line}
            line += 1
            if any(row[field.name] is None and field.constraints.required for field in contract.fields):
                problems.append(Problem("required", "…", row["_line"]))
            else:
                rows.append(row)
                texts.append(f"text {row['_line']}")
        schema = pa.schema([*((name, TYPES[name]) for name in VALUES), ("_line", pa.int64())])
        made.append(Batch(pa.Table.from_pylist(rows, schema), problems, len(problems), texts_of(texts)))
    return made


def texts_of(texts: list[str]):
    return lambda numbers: [texts[number] for number in numbers]


def outcome(made) -> list:
    return [(batch.rows.to_pylist(), list(batch.problems), batch.rejected) for batch in made]


@settings(max_examples=200, deadline=None)
@given(KEYS, st.lists(st.lists(ROW, max_size=6), max_size=6), st.integers(1, 4), st.booleans())
def test_the_stage_is_its_reference(tmp_path_factory, keys, groups, spilled, collide):
    folder = tmp_path_factory.getbasetemp()
    contract = contract_with(folder, **keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "SPILLED", spilled)
        patch.setattr(key_log, "LOG_SIZE", 8)
        patch.setattr(runs, "CHUNK", 2)
        if collide:  # every hash is that of another key too, so that only the keys themselves decide
            patch.setattr(stage, "is_exact", lambda _: False)
            patch.setattr(stage, "hash_keys", lambda columns: hashes.hash_keys(columns) % np.uint64(2))
        fast = outcome(unique_batches(batches(contract, groups), contract, folder))
    assert fast == outcome(unique_batches_plainly(batches(contract, groups), contract))
    assert sum(len(rows) + rejected for rows, _, rejected in fast) == sum(map(len, groups))


@settings(max_examples=200, deadline=None)
@given(HEADER, BODY, RECORD, st.integers(1, 90), CONTRACT_FIELDS, MISSING, st.sampled_from(["s", ["n", "t"]]))
def test_both_readers_agree(tmp_path_factory, header, body, rest, block_size, fields, missing, key):
    folder = tmp_path_factory.getbasetemp()
    schema = {"fieldsMatch": "subset", "fields": fields, "missingValues": missing, "primaryKey": key}
    contract, content = contract_of(folder, schema=schema), header + body + rest

    def fast(*given, **named):
        return unique_batches(read_csv(*given, **named), contract, folder)

    def plain(*given, **named):
        return unique_batches_plainly(read_csv_plainly(*given, **named), contract)

    found = [
        batches_of(reader, io.BytesIO(content), "a.csv", contract, block_size=block_size) for reader in (fast, plain)
    ]
    assert found[0] == found[1]


def read(content: bytes, contract: Contract) -> tuple[list[int], list[tuple]]:
    made = [replace(batch, problems=list(batch.problems)) for batch in
            unique_batches(read_csv(io.BytesIO(content), "a.csv", contract), contract, None)]  # fmt: skip
    lines = [line for batch in made for line in batch.rows["_line"].to_pylist()]
    return lines, [(one.line, one.column, one.rule, one.value, one.raw) for batch in made for one in batch.problems]


def test_a_value_counts_as_its_type_reads_it_and_a_null_does_not(tmp_path):
    contract = contract_of(tmp_path, [{"name": "n", "type": "integer", "constraints": {"unique": True}}, {"name": "s"}])
    lines, problems = read(b'n,s\n1,a\n01,b\n,c\n,d\n"+1",e\nx,f\n', contract)
    assert lines == [2, 4, 5]
    assert problems == [
        (3, "n", "unique", "1", "01,b"),
        (6, "n", "unique", "1", '"+1",e'),
        (7, "n", "type", "x", "x,f"),
    ]


def test_what_is_rejected_is_not_the_first(tmp_path):
    """Neither for another problem, nor as a duplicate by another key."""
    fields = [{"name": "a", "type": "integer", "constraints": {"unique": True}}, {"name": "b", "type": "integer"}]
    contract = contract_of(tmp_path, schema={"fields": fields, "uniqueKeys": [["b"]]})
    lines, problems = read(b"a,b\n1,x\n1,1\n1,2\n2,2\n2,1\n3,1\n", contract)
    assert lines == [3, 5]
    assert [one[:3] for one in problems] == [
        (2, "b", "type"), (4, "a", "unique"), (6, "a", "unique"), (6, "b", "uniqueKeys"), (7, "b", "uniqueKeys"),
    ]  # fmt: skip


def test_a_message_names_the_line_of_the_first(tmp_path):
    schema = {"fields": [{"name": "a"}, {"name": "b", "type": "boolean"}], "primaryKey": ["a", "b"]}
    contract = contract_of(tmp_path, schema=schema)
    made = unique_batches(read_csv(io.BytesIO(b"a,b\nx,1\ny,1\nx,true\n,0\n"), "a.csv", contract), contract, None)
    first, second = [problem for batch in made for problem in batch.problems]
    assert str(first) == "line 4: expected values of a, b that no record before has, found 'x, true' in line 2 too"
    assert (second.rule, second.column) == ("required", "a")


def test_the_texts_of_many_duplicates_are_looked_up_together(tmp_path):
    contract = contract_of(tmp_path, schema={"fields": [{"name": "a", "constraints": {"unique": True}}]})
    asked, rows = [], pa.table({"a": ["x"] * 3000, "_line": pa.array(range(2, 3002), pa.int64())})
    each = Batch(rows, (), 0, lambda numbers: asked.append(numbers) or [str(number) for number in numbers])
    [joined] = read_each(
        lambda *_, **__: iter([each, replace(each, rows=rows.slice(0, 0)), each]), [("a", b"")], contract, Limits()
    )
    [batch] = unique_batches([joined], contract, None)
    assert [problem.raw for problem in batch.problems] == [*map(str, [*range(1, 3000), *range(3000)])]
    assert len(asked) <= 4  # and not once for each, which takes hours for a file of 1 MiB


def test_however_many_runs_are_spilled_few_files_are_open(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "SPILLED", 4)
    met, before = index.Index(tmp_path), len([*Path("/dev/fd").iterdir()])
    for first in range(0, 400, 4):
        met.add(np.arange(first, first + 4, dtype=np.uint64), np.arange(first, first + 4))
    assert len([*Path("/dev/fd").iterdir()]) < before + 5
    numbers, lines = met.find(np.array([399, 400, 7], np.uint64))
    assert (numbers.tolist(), lines.tolist()) == ([2, 0], [7, 399])
    met.close()


def test_the_keys_of_the_reference_are_in_the_folder_that_has_room(tmp_path):
    contract = contract_with(tmp_path, unique=["integer"])
    room = tmp_path / "room"
    room.mkdir()
    rest = unique_batches_plainly(batches(contract, [[("a", 1, 1.5, True, None, None)]] * 2), contract, room)
    assert next(rest).rows.num_rows == 1
    assert [*room.rglob("keys")] != []  # where temporary files are otherwise, the stack has 64 MiB
    assert next(rest).rejected == 1
    assert next(rest, None) is None
    assert [*room.iterdir()] == []
