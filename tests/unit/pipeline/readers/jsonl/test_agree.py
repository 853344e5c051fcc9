"""Both readers of JSON Lines return the same for generated files, cut into blocks anywhere, and for damaged bytes."""

import io
import json

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.readers.base import Limits, batch_schema
from pipeline.readers.jsonl.read import read_jsonl
from pipeline.readers.jsonl.reference import read_jsonl_plainly
from tests.support.generated_csv import batches_of, contract_of

FIELDS = [
    {"name": "n", "type": "integer", "constraints": {"required": True, "minimum": -5}},
    {"name": "x", "type": "number", "decimalChar": ","},
    {"name": "t", "type": "string", "constraints": {"maxLength": 30}},
    {"name": "b", "type": "boolean", "header": "b é"},
    {"name": "d", "type": "datetime"},
]
KEYS = ["n", "x", "t", "b é", "d"]

WRITTEN = [
    "1", "-7", "0", "12.0", "1e3", "1.5E-2", "9007199254740993", "9223372036854775808", "01", "1.", "-", "+1", "1e400",
    "1e99999999999999999999", "0e999999", "true", "false", "null", "nul", "NaN", "Infinity", "", " ", '"', '""', '"a"',
    '"12"', '"1,5"', '"2026-01-31T12:00:00Z"', '"a\\nb"', '"\\"q\\""', '"\\\\"', '"\\\\\\""', '"\\', '"a\\"', '"\\x"',
    '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud800"', '"é😀"', '"a,b:{}[]"', "{}", "[]", '{"a": [1, {"b": "}"}]}', "[1",
    "1]", "[NaN]", '["\\ud800"]', "{} {}", "[1],[2]", '"a" "b"', "'a'", "\t1", "1\r", '"\t"', "         1", "\x00",
    "[" * 120 + "]" * 120, "\ufeff1", '"a", "c": "b"',
]  # fmt: skip
VALUES = st.sampled_from(WRITTEN)
KEY = st.sampled_from([*KEYS, "more", "\\u006e", "n ", "\\ud800", ""])
SPACE = st.sampled_from(["", "", "", " ", "  ", "\r", "\t", " " * 12])


def written(members: list[tuple[str, str]], space: str, end: str) -> str:
    return f"{space}{{{f',{space}'.join(f'{chr(34)}{key}{chr(34)}:{space}{value}' for key, value in members)}}}{end}"


GOOD = ["1", "2.5", '"a"', "true", "null"]  # a value of each key


def changed(changes: dict[int, str]) -> list[tuple[str, str]]:
    return [(key, changes.get(number, GOOD[number])) for number, key in enumerate(KEYS)]


ALIKE = st.dictionaries(st.integers(0, 4), VALUES, max_size=2).map(changed)
SHORTER = st.lists(st.tuples(KEY, VALUES), max_size=4)
LINE = st.builds(written, st.one_of(ALIKE, SHORTER), SPACE, st.sampled_from(["", "", "\r", " ", "}", "{"]))
PLAIN = ALIKE.map(lambda members: written(members, "", ""))  # most lines of a file are written in the same way
ODD = st.sampled_from(
    ["", " ", "\r", "[1]", "1", '"a"', "null", "{", "}", "{}", "{}{}", "{},", "x", '{"n": 1', "\ufeff{}"]
)
FIRST = st.sampled_from([[], [written(changed({}), "", "")]])
TEXT = st.builds(list.__add__, FIRST, st.lists(st.one_of(PLAIN, PLAIN, LINE, ODD), max_size=10))


def whole(reader, data: bytes, contract, **settings):
    batches, refusal = batches_of(reader, io.BytesIO(data), "x.jsonl", contract, **settings)
    rows = pa.concat_tables([batch_schema(contract).empty_table(), *(batch.rows for batch in batches)])
    problems = [problem for batch in batches for problem in batch.problems]
    return rows, problems, sum(batch.rejected for batch in batches), refusal, batches[-1].drift if batches else None


@pytest.fixture(scope="module")
def contracts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contracts")
    return [
        contract_of(folder, FIELDS, schema={"fields": FIELDS, "fieldsMatch": match}) for match in ("exact", "subset")
    ]


def check(data: bytes, contract, **settings) -> None:
    rows, problems, rejected, refusal, drift = whole(read_jsonl, data, contract, **settings)
    plain_rows, plain_problems, plain_rejected, plain_refusal, plain_drift = whole(read_jsonl_plainly, data, contract)
    assert refusal == plain_refusal
    if refusal is None:
        assert rows.to_pylist() == plain_rows.to_pylist()
        assert problems == plain_problems
        assert (rejected, drift) == (plain_rejected, plain_drift)
        assert len({problem.line for problem in problems}) == rejected


@pytest.mark.parametrize("place", range(5))
def test_each_value_in_a_line_like_the_others(contracts, place):
    """The first line is the template of the second one."""
    for value in WRITTEN:
        for space, end, contract in (("", "\n", contracts[0]), (" " * 12, "\r\n", contracts[1])):
            lines = [written(changed(changes), space, "") for changes in ({}, {place: value})]
            check(end.join(lines).encode(), contract)


@pytest.mark.parametrize(
    "line", [*map(written, [changed({})] * 4, ["", " ", "\t", "\r"], ["", "}", " ", "\t"]), '"{"}', '{"n": 1}}{']
)
def test_a_line_nearly_like_the_others(contracts, line):
    for first in ('{"n": 1}', written(changed({}), "", "")):
        check(f"{first}\n{line}\n{first}".encode(), contracts[0])


def test_keys_that_differ_in_their_escapes_alone_are_not_alike(tmp_path):
    contract = contract_of(tmp_path, [{"name": "a__"}])
    check(b'{"a__": "1"}\n{"a\\\\": "2"}\n{"a\\"": "3"}\n', contract)
    rows, *_ = whole(read_jsonl, b'{"a\\\\": "1"}\n{"a\\"": "2"}\n{"a__": "3"}\n', contract)
    assert rows["a__"].to_pylist() == [None, None, "3"]


@given(TEXT, st.sampled_from(["", "\n"]), st.sampled_from([1, 50, 1 << 20, 1 << 20]), st.integers(0, 1))
@example(['{"n": 1}', '{"t": "a\\\\", "n": 2}', '{"t": "a\\"", "n": 3}'], "", 1 << 20, 0)
def test_both_readers_agree(contracts, lines, end, block_size, number):
    check(("\n".join(lines) + end).encode(), contracts[number], block_size=block_size)


@given(st.data(), st.integers(0, 1))
def test_damaged_bytes_never_crash_a_reader(contracts, data, number):
    lines = [
        json.dumps({"n": n, "x": n / 4, "t": f"é {n}", "b é": n > 2, "d": None}, ensure_ascii=n % 2 == 0)
        for n in range(6)
    ]
    content = bytearray("\n".join(lines).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(content), contracts[number])


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(5, 30), st.sampled_from([1, 7, 1 << 20]))
def test_a_line_above_the_limit_is_rejected_wherever_a_block_ends(contracts, sizes, limit, block_size):
    limits = Limits(record=limit)
    data = "\n".join(f'{{"n": {"7" * size}}}' for size in sizes).encode()
    results = [
        whole(reader, data, contracts[0], limits=limits, block_size=size)
        for reader, size in ((read_jsonl, block_size), (read_jsonl_plainly, 1 << 20))
    ]
    assert results[0][0].equals(results[1][0])
    assert results[0][1:] == results[1][1:]
    long = [line for line, size in enumerate(sizes, 1) if size + 7 > limit]
    assert [problem.line for problem in results[0][1] if problem.rule == "size"] == long


def test_a_line_above_the_limit_in_one_block_with_others_has_no_more(tmp_path):
    contract = contract_of(tmp_path, [{"name": "n"}], more=True)
    data = b'{"n": "1", "x": 2}\n{"n": "' + b"7" * 9000 + b'"}\n{"n": "3", "z": 1}\n'
    rows, _, rejected, *_ = whole(read_jsonl, data, contract, limits=Limits(record=200), block_size=6000)
    assert rows["_more"].to_pylist() == ['{"x": 2}', '{"z": 1}']
    assert rejected == 1


def test_a_string_without_an_end_is_looked_for_once(tmp_path):
    """Were each of its quotes a start of its own, this line would take hours, by its size squared."""
    cut = '{"a":"' + "{" * 201 + '\\"x' * 300_000
    contract = contract_of(tmp_path, [{"name": "a", "type": "object"}])
    data = f'{cut}\n{json.dumps({"a": cut[:900_000]})}\n{{"a": {{}}}}'.encode()
    rows, problems, *_ = whole(read_jsonl, data, contract, limits=Limits(record=2 << 20))
    assert [(problem.line, problem.rule) for problem in problems] == [(1, "json"), (2, "type")]
    assert rows["_line"].to_pylist() == [3]
