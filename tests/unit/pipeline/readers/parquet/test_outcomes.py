"""Parquet files by several writers, whose outcomes were worked out by hand, and by both readers."""

import io
import json
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.problem import Refused
from pipeline.readers.base import Limits, batch_schema
from pipeline.readers.formats import reader_of
from pipeline.readers.parquet.read import read_parquet, read_parquet_plainly
from tests.support.generated_csv import batches_of, contract_of

NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
DAY = date(2026, 1, 31)


def written(columns, **options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), sink, **options)
    return sink.getvalue()


def outcome(data: bytes, fields, tmp_path, **settings):
    """Return rows by line, problems as (line, column, rule), and the reason of a refusal, of both readers."""
    contract = contract_of(tmp_path, schema={"fields": fields})
    results = []
    for reader in (read_parquet, read_parquet_plainly):
        batches, refusal = batches_of(reader, io.BytesIO(data), "a.parquet", contract, **settings)
        rows = pa.concat_tables([batch_schema(contract).empty_table(), *(batch.rows for batch in batches)])
        problems = [problem for batch in batches for problem in batch.problems]
        assert len({problem.line for problem in problems}) == sum(batch.rejected for batch in batches)
        results.append((rows.to_pylist(), problems, refusal))
    assert results[0] == results[1]
    return results[0]


def values(data: bytes, field: dict, tmp_path):
    """Return the values of the one column by line, and the rejects."""
    rows, problems, refusal = outcome(data, [{"name": "a", **field}], tmp_path)
    assert refusal is None
    return {row["_line"]: row["a"] for row in rows}, [(one.line, one.column, one.rule) for one in problems]


INTEGER, NUMBER, STRING = {"type": "integer"}, {"type": "number"}, {"type": "string"}
DATE, DATETIME, BOOLEAN = {"type": "date", "format": "%d.%m.%Y"}, {"type": "datetime"}, {"type": "boolean"}
TIME = {"type": "time", "format": "%-I:%M %p"}
NAIVE = NOON.replace(tzinfo=None)
NS = pa.array([1_769_860_800_000_000_000, 1_769_860_800_000_000_001], pa.timestamp("ns"))

COLUMNS = {
    "int32": (pa.array([1, None, -7], pa.int32()), INTEGER, [1, None, -7]),
    "int64": (pa.array([2**63 - 1, 9007199254740993]), INTEGER, [2**63 - 1, 9007199254740993]),
    "uint64": (pa.array([1, 2**63], pa.uint64()), INTEGER, [1, "type"]),
    "floats that are whole": (
        pa.array([12.0, -0.0, 1e15, 1.5, 1e19, float("nan")]),
        INTEGER,
        [12, 0, 10**15, *["type"] * 3],
    ),
    "exact decimals": (
        pa.array([Decimal("1.50"), Decimal("1.505"), None], pa.decimal128(20, 3)),
        {**NUMBER, "decimal": {"precision": 5, "scale": 2}},
        [Decimal("1.50"), "type", None],
    ),
    "times of day": (pa.array([0, 54_420_000_001], pa.time64("us")), TIME, [time(0), time(15, 7, 0, 1)]),
    "times in seconds": (pa.array([54_420, None], pa.time32("s")), TIME, [time(15, 7), None]),
    "times in nanoseconds": (pa.array([54_420_000_001_000, 1], pa.time64("ns")), TIME, [time(15, 7, 0, 1), "type"]),
    "years": (pa.array([2026, 20260], pa.int16()), {"type": "year"}, [2026, "type"]),
    "lists": (pa.array([[1, 2], None, []]), {"type": "array"}, ["[1, 2]", None, "[]"]),
    "structs": (pa.array([{"a": 1}]), {"type": "object"}, ['{"a": 1}']),
    "integers as they are": (pa.array([1, None]), {"type": "any"}, ["1", None]),
    "decimals that are whole": (pa.array([Decimal("12.00"), Decimal("1.50")]), INTEGER, [12, "type"]),
    "float": (pa.array([0.1, 1e300, 1e-7, float("inf"), None]), NUMBER, [0.1, 1e300, 1e-7, "type", None]),
    "float32": (pa.array([0.5, 0.1], pa.float32()), NUMBER, [0.5, 0.10000000149011612]),
    "decimal": (pa.array([Decimal("1.10"), Decimal("-0.05")]), NUMBER, [1.1, -0.05]),
    "integers in a number": (pa.array([1, 2]), NUMBER | {"decimalChar": ","}, [1.0, 2.0]),
    "booleans": (pa.array([True, False, None]), BOOLEAN | {"trueValues": ["ja"]}, [True, False, None]),
    "dates": (pa.array([DAY, date.max, None]), DATE, [DAY, date.max, None]),
    "date64": (pa.array([DAY], pa.date64()), DATE, [DAY]),
    "a day after all years": (pa.array([2932897, -800000], pa.date32()), DATE, ["type", "type"]),
    "dates as timestamps": (pa.array([datetime(2026, 1, 31), NAIVE]), DATE, [DAY, "type"]),
    "a time without a zone": (pa.array([NAIVE]), DATETIME, [NOON]),
    "a time of another zone": (
        pa.array([NOON.astimezone(timezone(timedelta(hours=2)))], pa.timestamp("ms", "Europe/Berlin")),
        DATETIME,
        [NOON],
    ),
    "seconds": (pa.array([NAIVE], pa.timestamp("s")), DATETIME | {"format": "%d.%m.%Y %H:%M"}, [NOON]),
    "a midnight beyond the years": (pa.array([253_402_300_800], pa.timestamp("s")), DATE, ["type"]),
    "nanoseconds": (NS, DATETIME, [NOON, "type"]),
    "text": (pa.array(["a", "", None, " b"]), STRING, ["a", None, None, " b"]),
    "large text": (pa.array(["a", "é"], pa.large_string()), STRING, ["a", "é"]),
    "text views": (
        pa.array(["a", "a text that is longer than a view"], pa.string_view()),
        STRING,
        ["a", "a text that is longer than a view"],
    ),
    "a dictionary": (pa.array(["a", "b", "a"]).dictionary_encode(), STRING, ["a", "b", "a"]),
    "binary that is text, or none": (
        pa.array([b"a", b"caf\xe9", b"\0", "é".encode()], pa.binary()),
        STRING,
        ["a", "encoding", "encoding", "é"],
    ),
    "text in a typed field": (pa.array(["12", " +5", "x", ""]), INTEGER, [12, 5, "type", None]),
    "text in a date": (pa.array(["31.01.2026", "2026-01-31"]), DATE, [DAY, "type"]),
    "nothing but nulls": (pa.nulls(2), INTEGER, [None, None]),
    "a list": (pa.array([[1, None], [], None]), STRING, ["[1, null]", "[]", None]),
    "a struct": (
        pa.array([{"x": "é", "d": DAY, "f": float("nan")}]),
        STRING,
        ['{"x": "é", "d": "2026-01-31", "f": "nan"}'],
    ),
    "a struct with a time beyond the years": (
        pa.array([{"t": 253_402_300_800}, {"t": 0}], pa.struct([("t", pa.timestamp("s"))])),
        STRING,
        ['{"t": "10000-01-01 00:00:00.000"}', '{"t": "1970-01-01 00:00:00"}'],
    ),
    "a map": (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), STRING, ['[["k", 1]]']),
    "a map in an object": (
        pa.array([[("k", 1)], [("k", 1), ("k", 2)], None], pa.map_(pa.string(), pa.int64())),
        {"type": "object"},
        ['{"k": 1}', "type", None],
    ),
    "an exact decimal": (
        pa.array([Decimal("12345678901234.56"), Decimal("0.10")]),
        NUMBER | {"decimal": {"precision": 16, "scale": 2}},
        [Decimal("12345678901234.56"), Decimal("0.10")],
    ),
    "times of day with nanoseconds": (
        pa.array([43_200_000_000_000, 43_200_000_000_001], pa.time64("ns")),
        {"type": "time"},
        [NAIVE.time(), "type"],
    ),
    "a list in an array": (pa.array([[1, 2]]), {"type": "array"}, ["[1, 2]"]),
    "a pair in a geopoint": (pa.array([[1.5, 2.0]]), {"type": "geopoint", "format": "array"}, ["[1.5, 2.0]"]),
    "missing words": (pa.array([-99, 1]), INTEGER | {"missingValues": ["-99"]}, [None, 1]),
    "required": (pa.array([1, None]), INTEGER | {"constraints": {"required": True}}, [1, "required"]),
    "a minimum": (pa.array([1, -1]), INTEGER | {"constraints": {"minimum": 0}}, [1, "minimum"]),
    "a maximum of dates": (
        pa.array([DAY, date(2027, 1, 1)]),
        DATE | {"constraints": {"maximum": "2026-12-31"}},
        [DAY, "maximum"],
    ),
}


@pytest.mark.parametrize(("column", "field", "expected"), COLUMNS.values(), ids=COLUMNS)
def test_a_column(column, field, expected, tmp_path):
    """In the expected values, a word is the rule of a reject."""
    rules = {"type", "required", "minimum", "maximum", "encoding"}
    kept = {line: value for line, value in enumerate(expected, 1) if value not in rules}
    rejected = [(line, "a", value) for line, value in enumerate(expected, 1) if value in rules]
    assert values(written({"a": column}), field, tmp_path) == (kept, rejected)


MISFITS = {
    "text for a number": (
        pa.array([1]),
        STRING,
        r"a: expected a nested column, which becomes JSON, or text, found int64",
    ),
    "a boolean": (pa.array([True]), INTEGER, "found bool"),
    "a number in a date": (pa.array([1]), DATE, "expected dates, or timestamps at midnight, or text, found int64"),
    "a date in a datetime": (pa.array([DAY]), DATETIME, "found date32"),
    "a time of day": (pa.array([NOON.time()]), DATETIME, "found time64"),
    "a list in a number": (pa.array([[1]]), NUMBER, "found list"),
    "a struct with binary": (pa.array([{"x": b"\xff"}]), STRING, "found struct"),
    "a list in an object": (pa.array([[1, 2]]), {"type": "object"}, "expected structs or maps"),
    "bytes of one size": (pa.array([b"ab"], pa.binary(2)), STRING, "found fixed_size_binary"),
}


@pytest.mark.parametrize(("column", "field", "message"), MISFITS.values(), ids=MISFITS)
def test_a_column_of_another_type_refuses_the_file(column, field, message, tmp_path):
    _, _, refusal = outcome(written({"a": column}), [{"name": "a", **field}], tmp_path)
    assert (refusal.rule, refusal.column) == ("type", "a")
    assert message in refusal.message


def test_columns_are_found_by_name(tmp_path):
    fields = [{"name": "a"}, {"name": "b", "type": "integer", "header": "B é"}]
    table = pa.table({"a": ["x"], "B é": [1]})
    assert outcome(written(table), fields, tmp_path)[0] == [{"a": "x", "b": 1, "_line": 1}]
    for other in (table.select(["a"]), table.append_column("c", [[1]]), table.select(["B é", "a"])):
        assert outcome(written(other), fields, tmp_path)[2].rule == "header"
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    contract = [{"name": "a", "type": "integer"}, {"name": "b", "header": ["a", 2], "type": "integer"}]
    assert "same name, 'a'" in outcome(written(twice), contract, tmp_path)[2].message


def test_a_reject_has_its_row_number_and_the_row_as_json(tmp_path):
    fields = [
        {"name": "a", "constraints": {"maxLength": 2}},
        {"name": "b", "type": "number", "constraints": {"maximum": 9}},
    ]
    data = written({"a": ["x", 'y"é', "z"], "b": [1.5, 10.0, 2.0]}, row_group_size=1)
    rows, problems, _ = outcome(data, fields, tmp_path)
    assert [row["_line"] for row in rows] == [1, 3]
    assert [(one.line, one.column, one.rule, one.value, one.raw) for one in problems] == [
        (2, "a", "maxLength", 'y"é', '{"a": "y\\"é", "b": "10"}'),
        (2, "b", "maximum", "10", '{"a": "y\\"é", "b": "10"}'),
    ]


ROWS = {"id": [1, 2, None], "text": ["a", "é", None], "price": [1.5, None, 2.0], "at": [NAIVE, None, NAIVE]}
FIELDS = [
    {"name": "id", "type": "integer"},
    {"name": "text"},
    {"name": "price", "type": "number"},
    {"name": "at", "type": "datetime"},
]


def by_pandas() -> bytes:
    return pd.DataFrame(ROWS).to_parquet()  # `id` is a column of floats


def by_polars() -> bytes:
    sink = io.BytesIO()
    pl.DataFrame(ROWS).with_columns(pl.col("text").cast(pl.Categorical)).write_parquet(sink)
    return sink.getvalue()


def by_duckdb(folder) -> bytes:
    table = pa.table(ROWS)
    with duckdb.connect() as connection:
        connection.register("made", table)
        connection.execute(f"COPY made TO '{folder}/made.parquet' (FORMAT parquet, COMPRESSION zstd)")
    return (folder / "made.parquet").read_bytes()


def test_other_writers(tmp_path):
    expected = [
        {"id": 1, "text": "a", "price": 1.5, "at": NOON, "_line": 1},
        {"id": 2, "text": "é", "price": None, "at": None, "_line": 2},
        {"id": None, "text": None, "price": 2.0, "at": NOON, "_line": 3},
    ]
    old = written(ROWS, use_deprecated_int96_timestamps=True, version="1.0", compression="gzip")
    for data in (by_pandas(), by_polars(), by_duckdb(tmp_path), old):
        assert outcome(data, FIELDS, tmp_path) == (expected, [], None)


def test_no_rows(tmp_path):
    assert outcome(written(pa.table(ROWS).slice(0, 0)), FIELDS, tmp_path) == ([], [], None)


BROKEN = {
    "empty": (b"", "an empty file"),
    "text": (b"id,text\n1,a\n", "found 69 64 2c 74: name the file by what it is"),
    "encrypted": (b"PARE and so on", "is encrypted"),
    "cut short": (written(ROWS)[:-20], "not whole Parquet"),
    "a footer that is too long": (written(ROWS)[:-8] + struct.pack("<I", 1 << 30) + b"PAR1", "not whole Parquet"),
    "only its name": (b"PAR1", "not whole Parquet"),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_parquet_is_refused(data, message, tmp_path):
    rows, _, refusal = outcome(data, FIELDS, tmp_path)
    assert (rows, refusal.rule) == ([], "parquet")
    assert message in refusal.message


def test_a_page_that_is_damaged_refuses_the_file(tmp_path):
    data = bytearray(
        written({"a": list(range(1000))}, compression="none", use_dictionary=False, write_page_checksum=True)
    )
    data[200] ^= 1
    _, _, refusal = outcome(bytes(data), [{"name": "a", "type": "integer"}], tmp_path)
    assert (refusal.rule, "CRC" in refusal.message) == ("parquet", True)


def test_a_text_that_is_repeated_beyond_the_limit_refuses_the_file(tmp_path):
    """In its dictionary the text is there once: it must not be written out."""
    data = written({"a": pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 100_000])})
    assert len(data) < 300_000
    rows, _, refusal = outcome(data, [{"name": "a"}], tmp_path, limits=Limits(grown=1 << 24, ratio=20))
    assert (refusal.rule, len(rows) < 1000) == ("size", True)


def test_a_row_above_the_limit_is_rejected(tmp_path):
    rows, problems, _ = outcome(written({"a": ["x", "y" * 99]}), [{"name": "a"}], tmp_path, limits=Limits(record=50))
    assert ([row["_line"] for row in rows], [(one.line, one.rule) for one in problems]) == ([1], [(2, "size")])


def test_blocks_of_a_few_bytes(tmp_path):
    data = written({"a": [f"text {number}" for number in range(300)]}, row_group_size=70)
    rows, _, _ = outcome(data, [{"name": "a"}], tmp_path, block_size=20)
    assert [(row["_line"], row["a"]) for row in rows] == [(number + 1, f"text {number}") for number in range(300)]


@given(st.data())
def test_damaged_bytes_never_crash_a_reader(tmp_path_factory, data):
    whole = bytearray(written(ROWS, compression=data.draw(st.sampled_from(["none", "snappy", "zstd"]))))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    contract = contract_of(tmp_path_factory.getbasetemp(), schema={"fields": FIELDS})
    _, refusal = batches_of(read_parquet, io.BytesIO(bytes(whole)), "a.parquet", contract)
    assert refusal is None or refusal.rule in ("parquet", "header", "type", "size")


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.floats(), st.none() | st.text(max_size=3),
            st.none() | st.integers(-(2**53), 2**53), st.none() | st.integers(-(10**6), 4 * 10**6),
        ), max_size=6,
    ), st.sampled_from(["s", "ms", "us", "ns"]), st.sampled_from(["integer", "number"]),
)  # fmt: skip
def test_both_readers_agree(tmp_path_factory, rows, unit, type_):
    columns = [*zip(*rows, strict=True)] or [()] * 5
    types = [pa.int64(), pa.float64(), pa.string(), pa.timestamp(unit), pa.date32()]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    kinds = ["integer", type_, "string", "datetime", "date"]
    fields = [{"name": name, "type": kind} for name, kind in zip("abcde", kinds, strict=True)]
    outcome(written(pa.table(arrays, names=list("abcde"))), fields, tmp_path_factory.getbasetemp())


def test_small_files_are_read_one_by_one(tmp_path):
    contract = contract_of(tmp_path, schema={"fields": [{"name": "a"}]})
    files = [("a.parquet", written({"a": ["x"]})), ("b.parquet", b"text")]
    one, refusal = reader_of("raw/d/A.PARQUET").read_small_files(files, contract, Limits())
    assert one.rows["a"].to_pylist() == ["x"]
    assert isinstance(refusal, Refused)


def test_what_the_contract_does_not_know_is_kept_as_text(tmp_path):
    texts = pa.array([b"caf\xc3\xa9", b"caf\xe9", None], pa.binary())
    data = written({"a": [1, 2, 3], "b": texts, "c": texts.view(pa.string()), "d": pa.array(["x", None, "x"])})
    contract = contract_of(tmp_path, more=True, schema={"fields": [{"name": "a"} | INTEGER], "fieldsMatch": "subset"})
    for reader in (read_parquet, read_parquet_plainly):
        [batch], _ = batches_of(reader, io.BytesIO(data), "a.parquet", contract)
        assert batch.rows["_more"].to_pylist() == [
            '{"b": "café", "c": "café", "d": "x"}',
            r'{"b": "caf\\xe9", "c": "caf\\xe9", "d": null}',
            '{"b": null, "c": null, "d": "x"}',
        ]


BEYOND = 253_402_300_800_000  # milliseconds: the first of the year 10000, which no time of Python has
ODD_VALUES = {
    "a time": (pa.array([BEYOND, 0], pa.timestamp("ms")), ["10000-01-01 00:00:00.000", "1970-01-01 00:00:00"]),
    "one of a zone": (pa.array([BEYOND], pa.timestamp("ms", "UTC")), ["10000-01-01 00:00:00.000Z"]),
    "one of a year with six digits": (
        pa.array([1 << 62], pa.timestamp("us", "UTC")),
        ["<value out of range: 4611686018427387904>"],
    ),
    "text in a list that is no UTF-8": (
        pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array([b"caf\xe9"]).view(pa.string())),
        [[r"caf\xe9"]],
    ),
    "one that repeats": (pa.array([BEYOND], pa.timestamp("ms")).dictionary_encode(), ["10000-01-01 00:00:00.000"]),
    "nanoseconds": (pa.array([1, None], pa.timestamp("ns")), ["1970-01-01 00:00:00.000000001", None]),
    "a day": (pa.array([2_932_897], pa.date32()), ["10000-01-01"]),
    "a time of day": (
        pa.array([1, 1000, 0, None], pa.time64("ns")),
        ["00:00:00.000000001", "00:00:00.000001", "00:00:00", None],
    ),
    "a list": (pa.array([[BEYOND, None]], pa.list_(pa.timestamp("ms"))), [["10000-01-01 00:00:00.000", None]]),
    "a map": (
        pa.array([[("k", BEYOND)]], pa.map_(pa.string(), pa.timestamp("ms"))),
        [[["k", "10000-01-01 00:00:00.000"]]],
    ),
}


@pytest.mark.parametrize(("column", "expected"), ODD_VALUES.values(), ids=ODD_VALUES)
def test_a_surplus_value_that_python_cannot_hold_is_kept_as_text(column, expected, tmp_path):
    contract = contract_of(tmp_path, more=True, schema={"fields": [{"name": "a"} | INTEGER], "fieldsMatch": "subset"})
    data = written({"a": pa.array([1] * len(column)), "b": column})
    for reader in (read_parquet, read_parquet_plainly):
        [batch], refusal = batches_of(reader, io.BytesIO(data), "a.parquet", contract)
        assert refusal is None
        assert [json.loads(text)["b"] for text in batch.rows["_more"].to_pylist()] == expected
