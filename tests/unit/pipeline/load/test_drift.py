"""Columns that come and go: which of them refuse a file, what is kept of those that are new, and what is told."""

import io
import json

import frictionless
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.load.stage import stage
from pipeline.model.load_record import LoadRecord, read_load_record
from pipeline.readers.base import Batch, Limits
from pipeline.readers.formats import reader_of
from pipeline.readers.jsonl.read import read_jsonl
from pipeline.readers.jsonl.reference import read_jsonl_plainly
from tests.support.loads import NUMBERS

MATCHES = ("exact", "equal", "subset", "superset", "partial")
# A header of a contract of name (required), n, x; by which matches it fits, and the drift that is told.
HEADERS = [
    ("name,n,x", MATCHES, None),
    ("x,name,n", ("equal", "subset", "superset", "partial"), "the order differs"),
    ("name,n,x,y", ("subset", "partial"), "it has 'y'"),
    ("name,x", ("superset", "partial"), "it lacks n"),
    ("z,x,name,z", ("partial",), "it has 'z', 'z' number 2; it lacks n; the order differs"),
    ("n,x", (), None),
    ("y,z", (), None),
]


@pytest.mark.parametrize(("header", "fits", "drift"), HEADERS)
@pytest.mark.parametrize("match", MATCHES)
def test_a_header_fits_as_the_standard_says(loads, write_dataset, tmp_path, header, fits, drift, match):
    schema = {**NUMBERS["schema"], "fieldsMatch": match}
    cells = {"name": "a", "n": "1", "x": "2"}
    content = f"{header}\n" + ",".join(cells.get(name, "9") for name in header.split(",")) + "\n"
    record = loads(write_dataset(schema=schema), content.encode()).record
    assert (record.status, record.drift) == (("loaded", drift) if match in fits else ("refused", None))
    path = tmp_path / "a.csv"
    path.write_text(content)
    if match != "exact" and header != "z,x,name,z":  # frictionless maps by order there, and takes no name twice
        with frictionless.system.use_context(trusted=True):
            report = frictionless.Resource(path=str(path), schema=frictionless.Schema(schema)).validate()
        assert report.valid == (match in fits)
    if match in fits:
        given = set(header.split(","))
        [row] = loads.clean().to_pylist()
        assert (row["n"], row["x"]) == (1 if "n" in given else None, 2.0 if "x" in given else None)


PARTIAL = {**NUMBERS["schema"], "fieldsMatch": "partial"}


def test_what_the_contract_does_not_know_is_kept(loads, write_dataset):
    dataset = write_dataset(schema={**PARTIAL, "missingValues": ["", "n/a"]}, more=True)
    content = 'name,Ort,y,y,n\na,"Köln ""x""",,n/a,1\n,b,1,2,x\nb,"c\nd",1,2,\n'
    record = loads(dataset, content.encode()).record
    assert (record.rows_kept, record.rows_rejected) == (2, 1)
    rows = loads.clean().to_pylist()
    assert [row["n"] for row in rows] == [1, None]
    assert [json.loads(row["_more"]) for row in rows] == [
        {"Ort": 'Köln "x"', "y": ["", "n/a"]},
        {"Ort": "c\nd", "y": ["1", "2"]},
    ]
    assert record.drift == "it has 'Ort', 'y', 'y' number 2; it lacks x"
    assert loads.clean().schema.names == ["name", "n", "x", "_more", "_source_key", "_line"]
    loads(dataset, b"name,n,x\na,1,2\n")
    assert loads.clean()["_more"].to_pylist() == [None]


def test_json_lines_keep_it_as_it_is_written(loads, write_dataset):
    dataset, key = write_dataset(schema=PARTIAL, more=True), "raw/numbers/a.jsonl"
    content = '{"name": "a", "Ort": "K\\u00f6ln", "d": 1.50, "l": [1,  {"b": null}]}\n{"x": 2, "name": "b"}\n{"y": 1}\n'
    record = loads(dataset, content.encode(), key).record
    assert (record.rows_kept, record.problems) == (2, [["required", "name", 1]])
    assert record.drift == "it has 'Ort', 'd', 'l', 'y'; it lacks n"
    assert loads.clean(key)["_more"].to_pylist() == ['{"Ort": "Köln", "d": 1.50, "l": [1,  {"b": null}]}', None]
    assert loads.clean(key)["x"].to_pylist() == [None, 2.0]
    plain = LoadRecord(key, "numbers", record.etag, len(content), dataset.fingerprint)
    assert stage(io.BytesIO(content.encode()), plain, dataset, None, reference=True).record == record


# Objects of a contract of name (required), n, x, and the drift that is told of their file.
OBJECTS = {
    "all fields, in any order": ('{"x": 1, "name": "a"}\n{"n": null, "name": "b"}', None),
    "a key of one object": ('{"name": "a", "n": 1, "x": 2}\n' * 9 + '{"name": "a", "Ort": ""}', "it has 'Ort'"),
    "a key of a rejected object": ('{"n": "z", "y": 1}', "it has 'y'; it lacks name, x"),
    "a key that is there twice": ('{"name": "a", "y": 1, "y": 2}', "it has 'y'; it lacks n, x"),
    "the first line comes last in the fast reader": (
        '{"name": "a", "b": "\\u0061"}\n' + '{"name": "a",  "n": 1, "c": 1}\n' * 2 + '{"name": "a", "b": 1, "x": 1}',
        "it has 'b', 'c'",
    ),
    "no object": ('null\n[1]\n{"name"', None),
    "nothing but an empty one": ("{}", "it lacks name, n, x"),
    "a long key": ('{"name": "a", "n": 1, "x": 1, "' + "k" * 300 + '": 1}', f"it has '{'k' * 199}… (220 characters)"),
    "no character": ('{"name": "a", "n": 1, "x": 1, "\\ud800": 1, "\\u0000": 1}', r"it has '\ud800', '\x00'"),
}


@pytest.mark.parametrize(("content", "drift"), OBJECTS.values(), ids=OBJECTS)
@pytest.mark.parametrize("match", ["partial", "exact"])
def test_json_lines_have_drift_too(write_dataset, content, drift, match):
    """However the file is read: in blocks of any size, by the reference, or with other small files."""
    contract = write_dataset(schema={**NUMBERS["schema"], "fieldsMatch": match}).contract
    files = [("a.jsonl", content.encode()), ("b.jsonl", b'{"z": 1}')]
    batches = reader_of("raw/numbers/a.jsonl").read_small_files(files, contract, Limits())
    told = [batch.drift for batch in batches if isinstance(batch, Batch)]
    assert told[1] == "it has 'z'; it lacks name, n, x"
    for read in (read_jsonl, read_jsonl_plainly):
        for block_size in (1, 50, 1 << 20):
            *_, last = read(io.BytesIO(content.encode()), "a.jsonl", contract, block_size=block_size)
            told.append(last.drift)
    assert {*told[:1], *told[2:]} == {drift}


def test_many_keys_are_told_in_few_words(loads, write_dataset):
    """Of a thousand that are remembered the first are named; what comes after them is not counted."""
    lines = [f'{{"name": "a", "k{number}": 1, "x": 1}}' for number in range(1500)]
    for count, more in ((1000, "(913 more)"), (1001, "(914 or more)"), (1500, "(914 or more)")):
        record = loads(write_dataset(schema=PARTIAL), "\n".join(lines[:count]).encode(), "raw/numbers/a.jsonl").record
        names = ", ".join(f"'k{number}'" for number in range(87))
        assert record.drift == f"it has {names}, … {more}; it lacks n"


def test_parquet_has_drift_too(loads, write_dataset):
    dataset, key = write_dataset(schema=PARTIAL, more=True), "raw/numbers/a.parquet"
    sink = io.BytesIO()
    pq.write_table(pa.table({"l": [[1, 2], None], "name": ["a", "b"], "n": [1, 2], "Ort": ["x", None]}), sink)
    record = loads(dataset, sink.getvalue(), key).record
    assert record.drift == "it has 'l', 'Ort'; it lacks x"
    assert loads.clean(key).select(["name", "n", "x", "_more"]).to_pylist() == [
        {"name": "a", "n": 1, "x": None, "_more": '{"l": [1, 2], "Ort": "x"}'},
        {"name": "b", "n": 2, "x": None, "_more": '{"l": null, "Ort": null}'},
    ]
    plain = LoadRecord(key, "numbers", record.etag, record.size, dataset.fingerprint)
    assert stage(sink, plain, dataset, None, reference=True).record == record


def test_a_transform_sees_it_and_may_change_it(loads, write_dataset, tmp_path):
    code = "def transform(frame):\n    frame['more'] = frame.pop('_more').str.upper()\n    return frame\n"
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/numbers.py").write_text(code)
    loads(write_dataset(schema=PARTIAL, more=True), b"name,y\na,b\n")
    assert loads.clean()["more"].to_pylist() == ['{"Y": "B"}']


def test_a_header_alone_tells_its_drift(loads, write_dataset):
    dataset = write_dataset(schema=PARTIAL)
    record = loads(dataset, b"name\n").record
    assert (record.status, record.drift) == ("loaded", "it lacks n, x")
    with loads.store.open("clean/numbers/a.csv.parquet") as (_, stream):
        assert read_load_record(io.BytesIO(stream.read())) == record
    plain = LoadRecord(loads.key, "numbers", record.etag, 5, dataset.fingerprint)
    assert stage(io.BytesIO(b"name\n"), plain, dataset, None, reference=True).record == record
