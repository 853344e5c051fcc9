"""One version of one file: its rows, its lines, or why it is refused; and the record in the footer."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.schemas import METADATA_KEY
from pipeline.load import rejected_rows
from pipeline.load.stage import stage
from pipeline.model.load_record import LoadRecord, read_load_record
from pipeline.model.task import NO_CONTRACT, Task

HEADER = b"name,n,x\n"


def test_rows_lines_and_source(loads, write_dataset):
    content = b'\xef\xbb\xbfx,name,n\r\n1.5,"a, b",1\r\n\r\n2,"two\nlines",2\r2.5,last,3'
    record = loads(write_dataset(), content).record
    assert loads.clean().to_pylist() == [
        {"name": "a, b", "n": 1, "x": 1.5, "_source_key": loads.key, "_line": 2},
        {"name": "two\nlines", "n": 2, "x": 2.0, "_source_key": loads.key, "_line": 4},
        {"name": "last", "n": 3, "x": 2.5, "_source_key": loads.key, "_line": 6},
    ]
    assert (record.rows_read, record.rows_kept, record.rows_dropped, record.rows_rejected) == (3, 3, 0, 0)


def test_a_header_alone_is_a_file_with_no_rows(loads, write_dataset):
    assert loads(write_dataset(), HEADER).record.status == "loaded"
    assert loads.clean().num_rows == 0
    assert loads.clean().schema.names == ["name", "n", "x", "_source_key", "_line"]


def test_a_required_column_says_that_it_has_no_nulls(loads, write_dataset):
    loads(write_dataset(), HEADER + b"a,,\n,1,1\n")
    assert loads.clean().to_pylist() == [{"name": "a", "n": None, "x": None, "_source_key": loads.key, "_line": 2}]
    assert [field.nullable for field in loads.clean().schema][:3] == [False, True, True]


@pytest.mark.parametrize(
    ("content", "rule", "words"),
    [
        (b"", "header", "found an empty file"),
        (b"name,n\nx,1\n", "header", "lacks x"),
        (b"name,n,x,y\n", "header", "has 'y'"),
        (b"name,n,x,x\n", "header", "twice"),
        (b"Name,n,x\n", "header", "expected name,n,x, found Name,n,x"),
        (b"\x89PNG\r\n\x1a\n", "binary", "a PNG picture (89 50 4e 47"),
        (HEADER + b"a,9223372036854775807,0\na,1,0\n", "summary", "beyond 64 bits"),
    ],
)
def test_refused_with_the_reason(loads, write_dataset, content, rule, words):
    result = loads(write_dataset(), content)
    assert result.record.status == "refused"
    assert (result.record.rows_read, result.record.rows_kept, result.clean_etag) == (0, 0, None)
    [problem] = loads.rejected()
    assert (problem["rule"], problem["line"]) == (rule, None)
    assert words in problem["message"]
    assert words in result.record.first_problem


@pytest.mark.parametrize(
    ("content", "rule", "line", "words"),
    [
        (b"a,1,1\nb,many,1\n", "type", 3, "'many'"),
        (b"a,1,1\n,1,1\n", "required", 3, "required"),
        (b"a,-1,1\nb,1,1\n", "minimum", 2, "at least 0"),
        (b"a,1\nb,1,1\n", "fields", 2, "expected 3 fields, found 2"),
        (b'a,1,1\n"open,1,1\n', "quote", 3, "never closed"),
        (b"caf\xe9,1,1\nb,1,1\n", "encoding", 2, "e9"),
    ],
)
def test_a_bad_record_is_rejected_and_the_others_are_kept(loads, write_dataset, content, rule, line, words):
    result = loads(write_dataset(), HEADER + content)
    counts = (result.record.rows_read, result.record.rows_kept, result.record.rows_dropped, result.record.rows_rejected)
    assert counts == (2, 1, 0, 1)
    [problem] = loads.rejected()
    assert (problem["rule"], problem["line"]) == (rule, line)
    assert words in problem["message"]
    assert result.record.first_problem.startswith(f"line {line}")
    assert loads.clean()["_line"].to_pylist() == [5 - line]


def test_problems_are_counted_by_rule_and_column(loads, write_dataset):
    content = b"a,many,1\n,-1,1\nb,few,1\nc,1\nd,1,1\n"
    counts = loads(write_dataset(), HEADER + content).record.problems
    assert counts == [["type", "n", 2], ["required", "name", 1], ["minimum", "n", 1], ["fields", None, 1]]
    assert sum(count for _, _, count in counts) == len(loads.rejected())
    assert loads(write_dataset(), HEADER).record.problems == []
    assert loads(write_dataset(), b"").record.problems == [["header", None, 1]]


def test_what_has_too_many_rules_and_columns_is_counted_together(loads, write_dataset, monkeypatch):
    monkeypatch.setattr(rejected_rows, "MAX_COUNTS", 1)
    counts = loads(write_dataset(), HEADER + b",many,1\n,-1,1\n").record.problems
    assert counts == [["required", "name", 2], ["others", None, 2]]


def test_a_load_removes_nothing(loads, write_dataset, monkeypatch):
    """It may have been given up: the service removes what a result does not have any more."""
    monkeypatch.setattr(loads.store, "delete", None)
    dataset = write_dataset()
    for content in (HEADER + b"a,many,1\n", HEADER + b"a,1,1\n", b"a header of something else"):
        loads(dataset, content)
    assert {item.key.partition("/")[0] for item in loads.store.list("")} == {"raw", "clean", "rejected"}


@pytest.mark.parametrize("content", [b"a,1,1e308\na,1,1e308\n", b"a,1,-1e308\na,1,-1e308\n"])
def test_a_sum_that_a_float_cannot_hold_refuses_the_file(loads, write_dataset, content):
    assert loads(write_dataset(), HEADER + content).record.first_problem.startswith("a sum cannot be held")


@pytest.mark.parametrize("digits", ["9" * 5000, "0" * 5000 + "7", "-" + "0" * 30 + "7"])
def test_integers_of_any_length(loads, write_dataset, digits):
    record = loads(write_dataset(), HEADER + f"a,{digits},1\n".encode()).record
    assert (record.status, record.rows_kept) == ("loaded", int(digits == "0" * 5000 + "7"))


def test_no_contract_says_where_to_put_one_and_asks_for_no_restart(loads):
    problem = loads(None, HEADER).record.first_problem
    assert "put numbers.json into the folder of contracts" in problem
    assert "restart" not in problem


@pytest.mark.parametrize(("folder", "better"), [("Sales", "sales"), ("a b", "a-b"), ("_x", "x"), ("Ä", "my-data")])
def test_a_folder_that_no_contract_can_name_is_told_how_to_be_named(folder, better):
    record = LoadRecord(f"raw/{folder}/a.csv", folder, "etag", 1, NO_CONTRACT)
    problem = stage(io.BytesIO(b"a"), record, None, None).record.first_problem
    assert f"like '{better}'" in problem
    assert ".json" not in problem


@pytest.mark.parametrize("cut", [1, 12, 30])
def test_truncated_compression_is_refused(loads, write_dataset, cut):
    whole = gzip.compress(HEADER + b"a,1,1\n" * 1000)
    assert loads(write_dataset(), whole, "raw/numbers/a.csv.gz").record.rows_kept == 1000
    record = loads(write_dataset(), whole[:-cut], "raw/numbers/a.csv.gz").record
    assert record.status == "refused"
    assert "gzip" in record.first_problem


def test_exact_takes_the_order_of_the_contract_alone(loads, write_dataset):
    dataset = write_dataset(schema={"fields": [{"name": "b"}, {"name": "a"}]}, summary={})
    assert loads(dataset, b"b,a\n1,2\n").record.status == "loaded"
    assert "order differs" in loads(dataset, b"a,b\n1,2\n").record.first_problem


def test_subset_takes_more_columns(loads, write_dataset):
    dataset = write_dataset(schema={"fieldsMatch": "subset", "fields": [{"name": "b"}]}, summary={})
    assert loads(dataset, b"a,b\n1,2\n").record.rows_kept == 1
    assert loads.clean()["b"].to_pylist() == ["2"]


def test_the_same_version_gives_the_same_bytes(loads, write_dataset):
    dataset = write_dataset()
    first = loads(dataset, HEADER + b"a,1,1\n" * 100)
    with loads.store.open("clean/numbers/a.csv.parquet") as (_, stream):
        before = stream.read()
    task = Task(loads.key, "numbers", first.record.etag, "sweep", 3, 99)
    assert loads.load(dataset, task).record == first.record
    with loads.store.open("clean/numbers/a.csv.parquet") as (_, stream):
        assert stream.read() == before


def test_a_version_that_has_its_result_is_not_loaded_again(loads, write_dataset):
    dataset = write_dataset()
    record = loads(dataset, HEADER).record
    task = Task(loads.key, "numbers", "an older event", "event", 0, 0, record.etag, record.fingerprint)
    assert loads.load(dataset, task) == loads.store.stat(loads.key)


def test_the_footer_tells_the_load(loads, write_dataset):
    result = loads(write_dataset(), HEADER + b"b,1,0.1\na,2,0.2\nb,3,0.3\n")
    with loads.store.open("clean/numbers/a.csv.parquet") as (_, stream):
        record = read_load_record(stream)
    assert record == result.record
    assert record.share == [
        {"group": {"name": "a"}, "rows": 1, "sums": {"n": 2, "x": 0.2}},
        {"group": {"name": "b"}, "rows": 2, "sums": {"n": 4, "x": 0.4}},
    ]


def test_a_footer_of_version_0_1_is_read(tmp_path):
    """There the fingerprint was called recipe; the clean object of a deleted source has nothing else to be known by."""
    record = LoadRecord("raw/numbers/a.csv", "numbers", "etag", 3, "0a1b", rows_read=1, rows_kept=1)
    old = {"recipe" if name == "fingerprint" else name: value for name, value in vars(record).items()}
    metadata = {METADATA_KEY: json.dumps(old).encode()}
    pq.write_table(pa.table({"n": [1]}).replace_schema_metadata(metadata), tmp_path / "a.parquet")
    assert read_load_record(tmp_path / "a.parquet") == record
