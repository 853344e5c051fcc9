"""Rejected records from export to load: what is exported, and what a fixed file mends."""

import gzip
import io
import json
import os
import re
from functools import partial

import pyarrow.parquet as pq
import pytest

from common.errors import SettingError
from lake.layout import clean_key, rejected_key
from lake.mending import read_mends, version_of
from lake.rejects import CannotExport, read_rejected_records
from lake.schemas import METADATA_KEY
from pipeline.load import fixed_files
from tests.support.loads import NUMBERS, Loads

HEADER = b"name,n,x\n"


def record(loads: Loads, key: str) -> dict:
    """Return the record of the load in a clean object, or in the rejected one of a refused file."""
    for output in (clean_key(key), rejected_key(key)):
        try:
            with loads.store.open(output) as (_, stream):
                return json.loads(pq.read_metadata(io.BytesIO(stream.read())).metadata[METADATA_KEY])
        except FileNotFoundError:
            continue
    raise AssertionError(f"no result of {key}")


def version(loads: Loads, key: str = Loads.key) -> str:
    return version_of(key, loads.store.stat(key).etag)


GERMAN = {"encoding": "cp1252", "dialect": {"delimiter": ";", "quoteChar": "'"}}


@pytest.mark.parametrize(
    ("changes", "suffix", "encode"),
    [
        ({}, ".csv", bytes),
        ({}, ".csv", lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")),
        ({}, ".CSV", lambda text: text.replace(b"\n", b"\r")),
        ({}, ".csv", lambda text: ("\ufeff" + text.decode()).encode("utf-16-be")),
        ({}, ".csv.gz", lambda text: gzip.compress(text[:9]) + gzip.compress(text[9:]) + bytes(9)),
        ({"format": "txt"}, ".txt", bytes),
        (GERMAN, ".csv", lambda text: text.decode().replace(",", ";").replace('"', "'").encode("cp1252")),
    ],
    ids=["plain", "bom and crlf", "cr", "utf-16", "gzip", "txt", "cp1252"],
)
def test_the_export_has_the_form_of_the_source_and_mends_it(loads, write_dataset, changes, suffix, encode):
    """Line ends, encoding and dialect stay; a file that was packed is not; corrected and put back, it mends all."""
    text = '\n\nname,n,x\na,1,2\nä,many,2\n"b\n\nb",-1,"2,5"\nc,3,4\n"d",x,y'.encode()
    dataset, key = write_dataset(**changes), f"raw/numbers/a{suffix}"
    loads(dataset, encode(text), key)

    proposed, content = loads.export(dataset.contract, key)
    of = version(loads, key)
    expected = f'\n\nname,n,x,_mends\nä,many,2,5@{of}\n"b\n\nb",-1,"2,5",6@{of}\n"d",x,y,10@{of}\n'.encode()
    plain = bytes if suffix == ".csv.gz" else encode
    assert content == plain(expected)
    assert proposed == f"raw/numbers/a.fixed-1{suffix.removesuffix('.gz')}"

    loads(
        dataset, plain(expected.replace(b"many", b"7").replace(b'-1,"2,5"', b"8,2").replace(b"x,y", b"9,2")), proposed
    )
    assert loads.clean(proposed).select(["n", "_line"]).to_pylist() == [
        {"n": 7, "_line": 4},
        {"n": 8, "_line": 5},
        {"n": 9, "_line": 8},
    ]
    with pytest.raises(CannotExport, match=r"all 3 rejected records of .* are mended"):
        loads.export(dataset.contract, key)


DIALECTS = {
    "no header": ({"header": False}, "x.csv", "a,1,1\nb,x,2\n", "b,x,2,2@{}\n"),
    "tabs": ({}, "x.tsv", "name\tn\tx\nb\tx\t2\n", "name\tn\tx\t_mends\nb\tx\t2\t2@{}\n"),
    "title, comments and a total": (
        {"headerRows": [3], "commentChar": "#", "commentRows": [6], "footerRows": 2},
        "x.csv",
        'Sales, "all\n\nname,n,x\n#"1\na,1,1\nunits,,\nb,x,2\n\nall,1,2\n"of ""1""",,',
        'Sales, "all\n\nname,n,x,_mends\nb,x,2,7@{}\n',
    ),
    "comments by their number above the header": (
        {"commentRows": [1, 3, 5, 7], "commentChar": "#"},
        "x.csv",
        "Sales\n#1\n2026\nname,n,x\nunits,,\nb,x,2\nunits,,\n",
        "Sales\n#1\nname,n,x,_mends\nb,x,2,6@{}\n",
    ),
    "comments by their number and no header": (
        {"header": False, "commentRows": [1]},
        "x.csv",
        "t\nb,x,2\n",
        "b,x,2,2@{}\n",
    ),
    "a header of two rows": (
        {"headerRows": [1, 2], "headerJoin": ""},
        "x.csv",
        '"na",\nme,n,x\nb,x,2\n',
        "na,,,\nme,n,x,_mends\nb,x,2,3@{}\n",
    ),
    "escapes": (
        {"escapeChar": "\\", "doubleQuote": False},
        "x.csv",
        'name,n,x\n"a\\"\nb",x,2\nc\\\nd\\",y,2\n',
        'name,n,x,_mends\n"a\\"\nb",x,2,2@{0}\nc\\\nd\\",y,2,4@{0}\n',
    ),
    "line ends": ({"lineTerminator": "\r\n"}, "x.csv", "name,n,x\r\nb,1,2\n", "name,n,x,_mends\r\nb,1,2,2@{}\r\n"),
}


@pytest.mark.parametrize(("dialect", "name", "text", "expected"), DIALECTS.values(), ids=DIALECTS)
def test_the_same_contract_reads_the_export(loads, write_dataset, dialect, name, text, expected):
    """Lines above the header stay where the dialect looks for them; corrected, all is mended."""
    schema = {"fields": NUMBERS["schema"]["fields"]}
    dataset, key = write_dataset(dialect=dialect, schema=schema), f"raw/numbers/{name}"
    loads(dataset, text.encode(), key)
    proposed, content = loads.export(dataset.contract, key)
    assert content.decode() == expected.format(version(loads, key))
    loads(dataset, re.sub(rb"[xy]([,\t]2)", rb"7\1", content), proposed)
    with pytest.raises(CannotExport, match="are mended"):
        loads.export(dataset.contract, key)


def test_no_record_of_a_fixed_file_is_a_comment_by_its_number(loads, write_dataset):
    """Records that a person sorts, or removes: each gets another line number. The same in a second export."""
    dataset = write_dataset(dialect={"commentRows": [3, 4]})
    loads(dataset, HEADER + b"a,x,1\nkg,kg,kg\ncm,cm,cm\nb,x,2\nc,y,3\nd,y,4\n")
    first, content = loads.export(dataset.contract)
    loads(dataset, content.replace(b",x,", b",7,").replace(b"n,7,_m", b"n,x,_m"), first)
    assert loads.clean(first)["name"].to_pylist() == ["a", "b"]
    _, content = loads.export(dataset.contract, first)
    of = version(loads)
    assert content == f"name,n,x,_mends\nc,y,3,6@{of}\nd,y,4,7@{of}\n".encode()


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_no_record_of_a_fixed_file_is_a_footer(loads, write_dataset, suffix):
    """Records that a person adds at the end are loaded; of a file without marks, the last record is the footer."""
    text = HEADER + b"a,1,1\nb,x,2\nall,1,1\n"
    separate = (lambda content: content.replace(b",", b"\t")) if suffix == ".tsv" else bytes
    dataset, key = write_dataset(dialect={"footerRows": 1}), f"raw/numbers/a{suffix}"
    loads(dataset, separate(text), key)
    proposed, content = loads.export(dataset.contract, key)
    assert content == separate(f"name,n,x,_mends\nb,x,2,3@{version(loads, key)}\n".encode())
    loads(dataset, content.replace(b"x\t2", b"7\t2").replace(b"x,2", b"7,2") + separate(b"new,8,2,\n"), proposed)
    assert loads.clean(proposed)["name"].to_pylist() == ["b", "new"]

    loads(dataset, text.replace(b",x,", b",3,"), "raw/numbers/b.fixed-1.csv")  # without marks: a file like any other
    assert "all" not in loads.clean("raw/numbers/b.fixed-1.csv")["name"].to_pylist()


def test_json_lines_have_the_mark_as_one_more_key(loads, write_dataset):
    """Lines without an object have no place for a mark, and come as they are."""
    dataset, key = write_dataset(), "raw/numbers/a.jsonl"
    good, bad = b'{"name":"a","n":1}', [b'{"name":"b",\r"n":"x"}', b"[1]", b"{ }", b'{"name":"d","n":-1}']
    loads(dataset, b"\n\n".join([good, *bad[:2]]) + b"\r\n" + b"\n".join(bad[2:]), key)
    of = version(loads, key)
    proposed, content = loads.export(dataset.contract, key)
    assert proposed == "raw/numbers/a.fixed-1.jsonl"
    assert content.decode().split("\n") == [
        f'{{"name":"b",\r"n":"x","_mends":"3@{of}"}}',
        "[1]\r",
        f'{{ "_mends":"6@{of}"}}',
        f'{{"name":"d","n":-1,"_mends":"7@{of}"}}',
        "",
    ]
    loads(dataset, content.replace(b'"x"', b"2").replace(b'{ "', b'{"name":"e","'), proposed)
    assert list(read_rejected_records(loads.store, key).open) == [5, 7]
    second, content = loads.export(dataset.contract, proposed)
    assert (second, content.decode()) == (
        "raw/numbers/a.fixed-2.jsonl",
        f'[1]\r\n{{"name":"d","n":-1,"_mends":"7@{of}"}}\n',
    )


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32-be"])
@pytest.mark.parametrize(
    ("suffix", "text"), [("jsonl", '{"n": 1}\n{"n": -2, "name": "ä"}\n'), ("csv", "a,1,1\nä,-2,2\n")]
)
def test_the_byte_order_mark_stays_where_the_first_line_is_left_out(loads, write_dataset, suffix, text, encoding):
    """Without it, a file in UTF-16 is no text; in UTF-8 it is nothing."""
    schema = {"fields": [{"name": "name"}, NUMBERS["schema"]["fields"][1], {"name": "x"}]}
    dialect = {"dialect": {"header": False}} if suffix == "csv" else {}
    dataset, key = write_dataset(schema=schema, summary={}, **dialect), f"raw/numbers/a.{suffix}"
    loads(dataset, ("\ufeff" + text).encode(encoding), key)
    proposed, content = loads.export(dataset.contract, key)
    loads(dataset, content.decode(encoding).replace("-2", "2").encode(encoding), proposed)
    assert loads.clean(proposed).select(["name", "n"]).to_pylist() == [{"name": "ä", "n": 2}]


def test_each_record_comes_once_with_its_own_bytes(loads, write_dataset):
    """However many problems it has, whatever its bytes are, and however long it is; a broken line comes as it is."""
    dataset = write_dataset()
    bad = [b"a,x,y", b"\xff\0,1,2", b'say "hi",1,2', b"n" * 6000 + b",x,1", b"too,few", b'"open,1,2']
    loads(dataset, HEADER + b"\n".join([b"good,1,2", *bad]) + b"\n")
    assert len(loads.rejected()) > len(bad)

    of = version(loads).encode()
    marked = [b"%s,%d@%s" % (line, number, of) for number, line in enumerate(bad, 3)]
    assert loads.export(dataset.contract)[1] == b"\n".join([b"name,n,x,_mends", *marked, b""])


def test_what_is_still_wrong_is_still_open_and_goes_on_to_the_next_file(loads, write_dataset):
    """Correct one record, leave one wrong, remove one and add one; then correct the rest."""
    dataset = write_dataset()
    loads(dataset, HEADER + b"a,x,1\nb,x,2\nc,x,3\nd,4,4\n")
    first, content = loads.export(dataset.contract)
    lines = content.replace(b"a,x", b"a,1").splitlines(keepends=True)
    loads(dataset, b"".join([*lines[:3], b"new,9,9,\n"]), first)

    of = version(loads)
    assert record(loads, first)["mends"] == {"passed": {of: [2]}, "rejected": {of: [[3, 3]]}}
    assert loads.clean(first)["name"].to_pylist() == ["a", "new"]
    assert "_mends" not in loads.clean(first).column_names
    assert list(read_rejected_records(loads.store, Loads.key).open) == [3, 4]

    second, content = loads.export(dataset.contract, first)
    assert (second, content) == ("raw/numbers/a.fixed-2.csv", f"name,n,x,_mends\nb,x,2,3@{of}\n".encode())
    loads(dataset, content.replace(b"x,2", b"2,2"), second)
    with pytest.raises(CannotExport, match=r"all 1 rejected records of raw/numbers/a.fixed-1.csv are mended"):
        loads.export(dataset.contract, first)
    third, content = loads.export(dataset.contract)
    assert (third, content) == ("raw/numbers/a.fixed-3.csv", f"name,n,x,_mends\nc,x,3,4@{of}\n".encode())


def test_marks_are_of_one_version(loads, write_dataset):
    """The source gets a new version with the same bad record: nothing of it is mended."""
    dataset = write_dataset()
    loads(dataset, HEADER + b"a,x,1\n")
    first, content = loads.export(dataset.contract)
    loads(dataset, content.replace(b"a,x", b"a,1"), first)
    with pytest.raises(CannotExport, match="are mended"):
        loads.export(dataset.contract)

    loads(dataset, HEADER + b"a,x,1\nb,2,2\n")
    assert loads.export(dataset.contract)[1] == f"name,n,x,_mends\na,x,1,2@{version(loads)}\n".encode()


def test_a_file_with_such_a_name_and_no_marks_is_a_file_like_any_other(loads, write_dataset):
    dataset, key = write_dataset(), "raw/numbers/b.fixed-1.csv"
    loads(dataset, HEADER + b"a,1,1\nb,x,2\n", key)
    assert loads.clean(key)["name"].to_pylist() == ["a"]
    assert "mends" not in record(loads, key)
    proposed, content = loads.export(dataset.contract, key)
    assert (proposed, content) == (
        "raw/numbers/b.fixed-2.csv",
        f"name,n,x,_mends\nb,x,2,3@{version(loads, key)}\n".encode(),
    )


def test_a_stream_that_cannot_be_read_again_is_copied(tmp_path):
    read, write = os.pipe()
    with os.fdopen(write, "wb") as pipe:
        pipe.write(HEADER)
    with os.fdopen(read, "rb") as stream, fixed_files.seekable(stream, tmp_path / "file") as copy:
        assert copy.read() == HEADER
        copy.seek(0)
        assert copy.read() == HEADER


def test_the_name_of_the_column_of_marks_is_taken(write_dataset):
    with pytest.raises(SettingError, match="'_mends' is the column of marks in a fixed file: choose another name"):
        write_dataset(schema={"fields": [{"name": "a", "header": "_mends"}]}, summary={})


def test_why_nothing_can_be_exported(loads, write_dataset):
    dataset = write_dataset()
    exported = partial(loads.export, dataset.contract)
    loads(dataset, HEADER + b"a,1,1\n")
    with pytest.raises(CannotExport, match="has no rejected records"):
        exported()
    loads(dataset, b"nonsense\n")
    with pytest.raises(CannotExport, match=r"refused as a whole \(the header does not fit.*: correct the whole file"):
        exported()
    loads(dataset, HEADER + b"a,x,1\n")
    with pytest.raises(CannotExport, match="too large for a page: run `python -m pipeline rejects export raw/numbers"):
        exported(most=12)
    loads(dataset, HEADER + b"a,x,1\n" * 30)
    assert exported(most=3000)
    with pytest.raises(CannotExport, match="too large for a page"):
        exported(most=2999)  # of which the file has 189: its problems take the memory
    loads(dataset, HEADER + b"a,x,1\n", "raw/numbers/$(x).csv")
    with pytest.raises(CannotExport, match=r"`python -m pipeline rejects export 'raw/numbers/\$\(x\).csv'`"):
        exported("raw/numbers/$(x).csv", most=12)
    loads.store.put(Loads.key, HEADER + b"a,y,1\n")
    with pytest.raises(CannotExport, match="was changed after it was loaded"):
        exported()
    loads.store.put(rejected_key(Loads.key), b"damaged")
    with pytest.raises(CannotExport, match=r"a\.csv\.parquet cannot be read: .*: load its source again"):
        exported()
    with pytest.raises(CannotExport, match=r"of a nameless file cannot be exported"):
        exported(key="raw/numbers/a.pdf")


def test_marks_are_bounded(loads, write_dataset, monkeypatch, caplog):
    monkeypatch.setattr(fixed_files, "MAX_MARKS", 2)
    dataset = write_dataset()
    loads(dataset, HEADER + b"a,x,1\n" * 4)
    first, content = loads.export(dataset.contract)
    loads(dataset, content.replace(b"a,x", b"a,1"), first)
    mends = read_mends(record(loads, first))
    assert mends
    assert list(mends.passed.values()) == [[2, 3]]
    assert "marks not kept" in caplog.text
