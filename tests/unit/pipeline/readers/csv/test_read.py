"""Whole file, in the fast way and in the plain one: every test here holds the two equal."""

import gzip
import io
import random
import re
import sys

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from common.errors import SettingError
from pipeline.model.contract import Contract
from pipeline.model.problem import Refused
from pipeline.readers.base import Batch, Limits
from pipeline.readers.csv import rejects
from pipeline.readers.csv.read import read_csv
from pipeline.readers.csv.reference import read_csv_plainly
from pipeline.readers.csv.small_files import read_small_files
from pipeline.readers.decode import text_chunks
from pipeline.readers.decompress import READ_SIZE
from tests.support.generated_csv import (
    BODY,
    CONTRACT_FIELDS,
    DIALECT,
    FIELDS,
    HEADER,
    MATCHES,
    MISSING,
    ODD_FILE,
    RECORD,
    batches_of,
    contract_of,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.fixture
def contract(tmp_path):
    return contract_of(tmp_path)


def same_batches(content: bytes, contract: Contract, key: str = "a.csv", **settings) -> list[Batch]:
    """Read a file in the fast and in the plain way, which must give the same to the letter."""
    fast, plain = (
        batches_of(reader, io.BytesIO(content), key, contract, **settings) for reader in (read_csv, read_csv_plainly)
    )
    assert fast == plain
    batches, refusal = fast
    if refusal:
        raise Refused(refusal)
    return batches


def read(content: bytes, contract: Contract, key: str = "a.csv", **settings):
    """Read a file; give its rows, its problems as (line, column, rule), and how many records were rejected."""
    batches = same_batches(content, contract, key, **settings)
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    problems = [(one.line, one.column, one.rule) for batch in batches for one in batch.problems]
    return rows, problems, sum(batch.rejected for batch in batches)


def refused(content: bytes, contract: Contract, key: str = "a.csv", **settings) -> str:
    with pytest.raises(Refused) as refusal:
        read(content, contract, key, **settings)
    assert refusal.value.problem.line is None
    return refusal.value.problem.rule


SIZES = st.tuples(st.integers(1, 90), st.integers(30, 60), st.integers(1, 9))  # of block, record, problems at a time


@settings(max_examples=500, deadline=None)
@given(HEADER, BODY, RECORD, SIZES, CONTRACT_FIELDS, MISSING, MATCHES)
def test_the_fast_way_is_the_plain_way(tmp_path_factory, header, body, rest, sizes, fields, missing, match):
    block_size, limit, told = sizes
    schema = {"fieldsMatch": match[0], "fields": fields, "missingValues": missing}
    contract = contract_of(tmp_path_factory.getbasetemp(), schema=schema, more=match[1])
    content = header + body + rest
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rejects, "PROBLEMS", told)
        blocks = outcome(content, contract, block_size=block_size, limits=Limits(record=limit))
    assert blocks == outcome(content, contract, limits=Limits(record=limit))


@settings(max_examples=400, deadline=None)
@given(ODD_FILE, st.integers(1, 90), st.integers(30, 60), DIALECT, MISSING, st.booleans())
def test_of_any_dialect_the_fast_way_is_the_plain_way(
    tmp_path_factory, file, block_size, limit, dialect, missing, named
):
    schema = {"fieldsMatch": "subset", "fields": FIELDS, "missingValues": missing}
    if not named:
        dialect = {**{key: value for key, value in dialect.items() if key != "headerRows"}, "header": False}
        del schema["fieldsMatch"]
    try:
        contract = contract_of(tmp_path_factory.getbasetemp(), schema=schema, dialect=dialect)
    except SettingError:  # a contradiction
        reject()
    above, header, body = file
    content = above * bool(dialect.get("headerRows") or dialect.get("commentRows")) + header * named + body
    blocks = outcome(content, contract, block_size=block_size, limits=Limits(record=limit))
    assert blocks == outcome(content, contract, limits=Limits(record=limit))
    [small] = read_small_files([("a.csv", content)], contract, Limits(record=limit))
    if isinstance(small, Refused):
        assert str(small) == blocks
    else:
        problems = [(one.line, one.column, one.rule) for one in small.problems]
        assert (small.rows.to_pylist(), problems, small.rejected) == blocks


def outcome(content: bytes, contract: Contract, **settings):
    try:
        return read(content, contract, **settings)
    except Refused as refusal:
        return str(refusal)


def test_every_problem_of_a_record(contract):
    rows, problems, rejected = read(b"s,n,t\na,1,x\n,many,\xff\nb,-9,\0\nc,2\nd,3,y,z\n", contract)
    assert [row["_line"] for row in rows] == [2]
    assert problems == [
        (3, "s", "required"),
        (3, "n", "type"),
        (3, "t", "encoding"),
        (4, "n", "minimum"),
        (4, "t", "encoding"),
        (5, None, "fields"),
        (6, None, "fields"),
    ]
    assert rejected == 4


def test_messages_for_a_person(contract):
    [batch, *_] = [one for one in read_csv(io.BytesIO(b's,n,t\na,"x ""y""",\xe9\n'), "a.csv", contract) if one.problems]
    first, second = batch.problems
    assert (first.value, first.raw) == ('x "y"', 'a,"x ""y""",\\xe9')
    assert "expected an integer" in first.message
    assert "e9" in second.message
    assert second.value == "\\xe9"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_and_empty_lines(contract, end):
    rows, problems, _ = read(end.join([b"", b"s,n,t", b"", b"a,1,", b"", b"", b'"b', b'c",2,', b"d,3,"]), contract)
    assert [row["_line"] for row in rows] == [4, 7, 9]
    assert problems == []
    assert rows[1]["s"] == "b" + end.decode() + "c"


def test_utf16_and_named_encodings(tmp_path, contract):
    text = "s,n,t\né,1,日本\n"
    for encoding in ("utf-16", "utf-8-sig", "utf-8"):
        assert read(text.encode(encoding), contract)[0] == [{"s": "é", "n": 1, "t": "日本", "_line": 2}]
    for name in ("utf-32", "utf-32-le", "utf-32-be"):
        marked = ("" if name == "utf-32" else "\ufeff") + text
        assert read(marked.encode(name), contract, block_size=3)[0][0]["t"] == "日本"
        assert read(text.encode(name), contract_of(tmp_path, encoding=name))[0][0]["t"] == "日本"
    big = b"\xfe\xff" + text.encode("utf-16-be")
    assert read(big, contract, block_size=3)[0][0]["t"] == "日本"
    latin = contract_of(tmp_path, encoding="latin-1")
    assert read("s,n,t\né,1,x\n".encode("latin-1"), latin)[0][0]["s"] == "é"
    assert refused(b"\xff\xfes\x00\x00\xd8,\x00", contract) == "encoding"
    assert refused(b"s,n,t\n\x81,1,\n", contract_of(tmp_path, encoding="cp1252")) == "encoding"


def test_compression(contract):
    content = b"s,n,t\n" + b"a,1,\n" * 1000
    whole = {"a.csv.gz": gzip.compress(content), "a.CSV.ZST": zstd.compress(content)}
    for key, data in whole.items():
        half = len(content) // 2
        pack = gzip.compress if key.endswith("gz") else zstd.compress
        for good in (
            data,
            data + b"\0" * 700,
            data + b"\n",
            data + b"\r\n",
            pack(content[:half]) + pack(b"") + pack(content[half:]),
        ):
            assert len(read(good, contract, key)[0]) == 1000
        cut = pack(content[:half]) + pack(content[half:])[:-3]
        for bad in (data[:-1], data[: len(data) // 2], data + b"rubbish", data + b"\0\0x", b"s,n,t\n", cut):
            assert refused(bad, contract, key) == "compression"
        assert refused(pack(data), contract, key) == "binary"
        assert refused(pack(b""), contract, key) == "header"
    for data in whole.values():
        assert refused(data, contract, "a.csv") == "binary"
    assert refused(whole["a.csv.gz"], contract, "a.csv.zst") == "compression"


def windowed(content: bytes, log: int) -> bytes:
    """Compress as `zstd --long` does what comes from a pipe, so that the file tells its window and not its size."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
    return packer.compress(content) + packer.flush()


SKIPPABLE = b"\x50\x2a\x4d\x18\x05\0\0\0hello"
ZIPPED = b"s,n,t\n" + b"a,1,\n" * 1000


def test_frames_of_zstd(contract):
    packed = zstd.compress(ZIPPED)
    for good in (SKIPPABLE + packed, packed + SKIPPABLE, SKIPPABLE * 2 + packed, windowed(ZIPPED, 27)):
        assert len(read(good, contract, "a.csv.zst")[0]) == 1000


@pytest.mark.parametrize(
    ("content", "key", "said"),
    [
        (windowed(ZIPPED, 28), "a.csv.zst", "needs a window of more than 128 MiB: compress the file with --long=27"),
        (gzip.compress(ZIPPED) + b"\nrubbish", "a.csv.gz", "after the end of its gzip data other bytes follow (72 75"),
        (zstd.compress(ZIPPED) + b"rubbish", "a.csv.zst", "after the end of its zstd data other bytes follow (72 75"),
        (ZIPPED, "a.csv.gz", "it begins with 73 2c 6e 2c 74 0a 61 2c: compress it with gzip, or name it"),
        (zstd.compress(ZIPPED), "a.csv.gz", "is not gzip data, it begins with 28 b5 2f fd"),
        (gzip.compress(ZIPPED)[:-3], "a.csv.gz", "not whole gzip data: it ends too early"),
    ],
    ids=["window", "gzip and more", "zstd and more", "text", "zstd for gzip", "cut off"],
)
def test_compression_that_is_not_read_says_why(contract, content, key, said):
    with pytest.raises(Refused) as refusal:
        read(content, contract, key)
    assert refusal.value.problem.rule == "compression"
    assert said in str(refusal.value)


def test_a_bomb_is_told_by_the_bytes_that_were_read_of_it(contract):
    """It is refused before its end, so how long the whole file is nobody knows yet."""
    bomb = gzip.compress(b"s,n,t\n" + b"a,1,\n" * 400_000) + gzip.compress(random.Random(1).randbytes(READ_SIZE))
    with pytest.raises(Refused) as refusal:
        read(bomb, contract, "a.csv.gz", limits=Limits(grown=1 << 10, ratio=2))
    told = re.match(r"the first ([\d,]+) bytes of the file grow to more than ([\d,]+):", refusal.value.problem.message)
    first, grown = (int(number.replace(",", "")) for number in told.groups())
    assert first == READ_SIZE < len(bomb)
    assert grown > 2 * first


def test_a_bomb_is_refused_and_an_honest_file_is_not(contract):
    bomb = gzip.compress(b"s,n,t\n" + b"a,1,\n" * 40_000)
    assert refused(bomb, contract, "a.csv.gz", limits=Limits(grown=1 << 16, ratio=200)) == "size"
    assert len(read(bomb, contract, "a.csv.gz", limits=Limits(grown=1 << 16, ratio=1000))[0]) == 40_000
    assert len(read(bomb, contract, "a.csv.gz", limits=Limits(grown=1 << 30, ratio=2))[0]) == 40_000


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "header"),
        (b"\n\r\n", "header"),
        (b"s,n\n", "header"),
        (b"s,n,t,s\na,1,b,c\n", "header"),
        (b'"s,n,t\na,1,\n', "header"),
        (b"s,n,\xff\n", "encoding"),
        (b"\x89PNG\r\n\x1a\n", "binary"),
        (b"s,n\0,t\n", "binary"),
    ],
)
def test_refused_as_a_whole(contract, content, rule):
    assert refused(content, contract) == rule


TWICE = [
    {"name": "row", "header": "", "type": "integer"},
    {"name": "first", "header": ["a", 1]},
    {"name": "second", "header": ["a", 2], "constraints": {"required": True}},
]


@pytest.mark.parametrize(
    ("match", "header", "fits"),
    [
        ("exact", ",a,a", True),
        ("exact", '"","a",a', True),
        ("exact", "a,,a", False),
        ("equal", "a,,a", True),
        ("equal", ",a,a,a", False),
        ("equal", ",a,a,b", False),
        ("equal", ",a", False),
        ("equal", "row,first,second", False),
        ("equal", ",a,a,", False),
        ("subset", "b,a,,c,a,c,a", True),
        ("subset", "b,a,,c,a,", False),
        ("subset", "b,a,,c", False),
    ],
)
def test_a_field_says_how_the_file_calls_it(tmp_path, match, header, fits):
    contract = contract_of(tmp_path, schema={"fields": TWICE, "fieldsMatch": match})
    values = {"": "7", "a": "x", "b": "b", "c": "c"}
    names = header.replace('"', "").split(",")
    record = ",".join(values.get(name, name) for name in names)
    content = f"{header}\n{record}\n".encode()
    if not fits:
        assert refused(content, contract) == "header"
        return
    rows, _, _ = read(content, contract)
    assert rows == [{"row": 7, "first": "x", "second": "x", "_line": 2}]
    # A problem's column is the field's name; a column of the file that is no field has the file's name for it.
    last = len(names) - 1 - names[::-1].index("a")
    second = [place for place, name in enumerate(names) if name == "a"][1]
    cells = ["" if place == second else "\xff" if place == last and last != second else values[name]
             for place, name in enumerate(names)]  # fmt: skip
    _, problems, _ = read(f"{header}\n{','.join(cells)}\n".encode("latin-1"), contract)
    assert problems[0] == (2, "second", "required")
    assert problems[1:] == ([(2, "a", "encoding")] if last != second else [])


def test_a_contract_that_has_the_second_column_first(tmp_path):
    fields = [{"name": "x", "header": ["a", 2]}, {"name": "y", "header": ["a", 1]}]
    contract = contract_of(tmp_path, schema={"fields": fields, "fieldsMatch": "equal"})
    assert read(b"a,a\n1,2\n", contract)[0] == [{"x": "2", "y": "1", "_line": 2}]
    assert refused(b"", contract) == "header"
    exact = contract_of(tmp_path, schema={"fields": fields})
    assert refused(b"a,a\n1,2\n", exact) == "header"


def test_a_header_that_does_not_fit_says_which_column(tmp_path):
    contract = contract_of(tmp_path, schema={"fields": TWICE, "fieldsMatch": "equal"})
    with pytest.raises(
        Refused, match=r"it lacks '', 'a' number 2; it has 'a ', 'row'\): expected ,a,a, found a,a ,row"
    ):
        read(b"a,a ,row\n", contract)
    plain = contract_of(tmp_path, schema={"fields": [{"name": "a"}], "fieldsMatch": "subset"})
    with pytest.raises(Refused, match=r"a name is there twice, 'a': a field says by \"header\" which it is"):
        read(b"a,a\n", plain)
    assert read(b"b,a,b\n1,2,3\n", plain)[0] == [{"a": "2", "_line": 2}]


def test_dialect_and_numbers(tmp_path):
    fields = [
        {"name": "x", "type": "number", "decimalChar": ",", "groupChar": "."},
        {"name": "day", "type": "date", "format": "%d.%m.%Y"},
        {"name": "at", "type": "datetime", "format": "%d/%m/%Y %H:%M"},
    ]
    contract = contract_of(tmp_path, fields, dialect={"delimiter": ";", "quoteChar": "'"})
    content = b"x;day;at\n1.234,5;31.12.2025;'01/02/2026 03:04'\n1,2,3;30.02.2026;1/2/2026 03:04\n"
    [row], problems, _ = read(content, contract)
    assert (row["x"], str(row["day"]), str(row["at"])) == (1234.5, "2025-12-31", "2026-02-01 03:04:00+00:00")
    assert problems == [(3, "x", "type"), (3, "day", "type"), (3, "at", "type")]


@pytest.mark.parametrize("fault", [b'"', b'x"x', b'"a"b', b""])
def test_large_files_with_quotes_at_every_border(contract, fault):
    """Blocks of many sizes over a file whose quoted line ends and stray quotes stand around all their borders."""
    chance = random.Random(7)
    lines, good, bad, line = [b"s,n,t\n"], [], [], 2
    for number in range(4000):
        filler = b"f" * chance.randrange(1, 40)
        if fault and chance.random() < 0.2:
            lines.append(b"%s%s,1,z\n" % (b"k" if fault != b'"' else b"", fault + filler))
            bad.append(line)
        else:
            lines.append(b'"%s\r\n""%d""",%d,\n' % (filler, number, number))
            good.append(line)
            line += 1
        line += 1
    content = b"".join(lines)
    for size in (1 << 12, 4099, 1 << 16):
        rows, problems, rejected = read(content, contract, block_size=size)
        assert [row["_line"] for row in rows] == good
        assert [one[0] for one in problems] == bad
        assert rejected == len(bad)


class Pipe(io.BytesIO):
    """Stream as a bucket's answer is one: it has no places to go to."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise io.UnsupportedOperation

    tell = seek


@pytest.mark.parametrize("stream", [io.BytesIO, Pipe])
def test_a_chunk_ends_with_its_line_where_that_is_near(stream):
    short, long = b"nine by n\n" * 500, b"x" * 5000 + b"\n"
    content = short + long + short
    chunks = list(text_chunks(stream(content), "raw/numbers/a.csv", "utf-8", 640, Limits()))
    assert b"".join(chunks) == content
    cut = [chunk for chunk in chunks if not chunk.endswith(b"\n")]
    assert 0 < len(cut) <= len(long) // 640 + 1
    assert all(chunk.endswith(b"x") and len(chunk) <= 650 for chunk in cut)
