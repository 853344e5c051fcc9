"""Files of JSON Lines whose outcomes were worked out by hand: what each reader keeps, rejects and refuses."""

import gzip
import io

import pandas as pd
import pytest

from pipeline.model.problem import Refused
from pipeline.readers.base import Limits
from pipeline.readers.formats import reader_of
from tests.support.generated_csv import contract_of

FIELDS = [
    {"name": "id", "type": "integer", "constraints": {"required": True, "maximum": 2**63 - 1}},
    {"name": "price", "type": "number", "header": "p"},
    {"name": "text"},
    {"name": "paid", "type": "boolean"},
    {"name": "day", "type": "date", "format": "%d.%m.%Y"},
]

Row = tuple[int, int, object, object, object, object]  # the line, then the fields
Reject = tuple[int | None, str | None, str]  # line, column, rule


def row(line: int, id_: int = 1, price=None, text=None, paid=None, day=None) -> Row:
    return line, id_, price, text, paid, day


def outcome(data: bytes, contract, *, plain: bool, name: str) -> tuple[list[Row], list[Reject], str | None]:
    rows, rejects = [], []
    reader = reader_of(f"raw/d/{name}")
    try:
        for batch in (reader.reference if plain else reader.read)(io.BytesIO(data), name, contract):
            columns = [batch.rows[column].to_pylist() for column in ("_line", "id", "price", "text", "paid", "day")]
            rows += [(*values, day and str(day)) for *values, day in zip(*columns, strict=True)]
            rejects += [(one.line, one.column, one.rule) for one in batch.problems]
    except Refused as refusal:
        return [], [], refusal.problem.rule
    return rows, rejects, None


def check(data: bytes | str, rows=(), rejects=(), refused=None, *, tmp_path, name="a.jsonl", **changes) -> None:
    content = data if isinstance(data, bytes) else data.encode()
    contract = contract_of(tmp_path, **{"schema": {"fields": FIELDS}} | changes)
    for plain in (False, True):
        assert outcome(content, contract, plain=plain, name=name) == (list(rows), list(rejects), refused), plain


GOOD = {
    "one object": ('{"id": 1}', [row(1)]),
    "a line end at the end": ('{"id": 1}\n', [row(1)]),
    "all fields": (
        '{"id":1,"p":2.5,"text":"a","paid":true,"day":"31.01.2026"}',
        [row(1, 1, 2.5, "a", True, "2026-01-31")],
    ),
    "another order": (
        '{"text":"a","day":null,"p":1,"id":7}\n{"id":8,"text":"b"}',
        [row(1, 7, 1.0, "a"), row(2, 8, None, "b")],
    ),
    "null and a missing key": ('{"id":1,"text":null,"paid":null}\n{"id":2}', [row(1), row(2, 2)]),
    "the empty word is null": ('{"id":1,"text":""}', [row(1)]),
    "large integers": (
        '{"id":9007199254740993}\n{"id":9223372036854775807}\n{"id":-9223372036854775808}',
        [row(1, 9007199254740993), row(2, 2**63 - 1), row(3, -(2**63))],
    ),
    "integers with a point or an exponent": (
        '{"id":12.0}\n{"id":1e3}\n{"id":-0.0}\n{"id":1.50E+1}\n{"id":9.007199254740993e15}\n{"id":0e999999999999}',
        [row(1, 12), row(2, 1000), row(3, 0), row(4, 15), row(5, 9007199254740993), row(6, 0)],
    ),
    "numbers in strings": ('{"id":"12","p":" 1e3 "}\n{"id":"+5"}', [row(1, 12, 1000.0), row(2, 5)]),
    "numbers and booleans as text": (
        '{"id":1,"text":1.10}\n{"id":2,"text":true}\n{"id":3,"text":12345678901234567890.0}',
        [row(1, 1, None, "1.10"), row(2, 2, None, "true"), row(3, 3, None, "12345678901234567890.0")],
    ),
    "booleans in every form": (
        '{"id":1,"paid":false}\n{"id":2,"paid":"TRUE"}\n{"id":3,"paid":1}',
        [row(1, 1, paid=False), row(2, 2, paid=True), row(3, 3, paid=True)],
    ),
    "nested values as they are written": (
        '{"id":1,"text":{"a" : [1, 2.50,"}\\n"]}}\n{"id":2,"text":[ ]}',
        [row(1, 1, None, '{"a" : [1, 2.50,"}\\n"]}'), row(2, 2, None, "[ ]")],
    ),
    "escapes": (
        r'{"id":1,"text":"\"a\\\" \u00e9\n\ud83d\ude00\/"}' + '\n{"id":2,"text":"é😀"}',
        [row(1, 1, None, '"a\\" é\n😀/'), row(2, 2, None, "é😀")],
    ),
    "a key that is escaped": (r'{"\u0069d":1}', [row(1)]),
    "separators inside strings": ('{"id":1,"text":"a,b:{c}[d]"}', [row(1, 1, None, "a,b:{c}[d]")]),
    "spaces everywhere": ('  { "id" :  1 ,\t"text" : "a" }  ', [row(1, 1, None, "a")]),
    "spaces of a string are kept": ('{"id":1,"text":" a "}', [row(1, 1, None, " a ")]),
    "empty lines are skipped": ('\n{"id":1}\n\n \t\r\n{"id":2}\n\n', [row(2), row(5, 2)]),
    "CRLF": ('{"id":1}\r\n{"id":2}\r\n', [row(1), row(2, 2)]),
    "a CR is white space": ('{"id":1,\r"text":"a"}\n{"id":2}', [row(1, 1, None, "a"), row(2, 2)]),
    "other line breaks are text": ('{"id":1,"text":"a\u2028b\x85c"}', [row(1, 1, None, "a\u2028b\x85c")]),
    "no rows": ("", []),
    "only empty lines": ("\n\n", []),
}

BAD = {
    "no object": (
        '{"id":1}\n[1]\n7\n"a"\nnull\n{"id":2}',
        [row(1), row(6, 2)],
        [(2, None, "json"), (3, None, "json"), (4, None, "json"), (5, None, "json")],
    ),
    "an empty object": ("{}", [], [(1, "id", "required")]),
    "text": ('a line of text\n{"id":1}', [row(2)], [(1, None, "json")]),
    "an object cut short": ('{"id":1}\n{"id":2,"te', [row(1)], [(2, None, "json")]),
    "two objects in a line": ('{"id":1}{"id":2}\n{"id":3},', [], [(1, None, "json"), (2, None, "json")]),
    "a comma too many": ('{"id":1,}\n{"id":2}', [row(2, 2)], [(1, None, "json")]),
    "single quotes, no quotes": ("{'id':1}\n{id:1}", [], [(1, None, "json"), (2, None, "json")]),
    "numbers that JSON does not have": (
        '{"id":01}\n{"id":+1}\n{"id":.5}\n{"id":1.}\n{"id":0x1F}',
        [],
        [(line, None, "json") for line in range(1, 6)],
    ),
    "NaN and infinity": ('{"id":1,"p":NaN}\n{"id":1,"p":-Infinity}', [], [(1, None, "json"), (2, None, "json")]),
    "a number that is too large": ('{"id":1,"p":1e400}', [], [(1, "price", "type")]),
    "integers that are none": (
        '{"id":1.5}\n{"id":9223372036854775808}\n{"id":1e400}\n{"id":"12.0"}\n{"id":"1e3"}',
        [],
        [(line, "id", "type") for line in range(1, 6)],
    ),
    "a duplicate key": ('{"id":1,"text":"a","id":2}\n{"id":2}', [row(2, 2)], [(1, None, "fields")]),
    "a duplicate key and wrong cells": (
        '{"id":1,"id":null,"p":"x"}',
        [],
        [(1, None, "fields"), (1, "price", "type")],
    ),
    "a surplus key": ('{"id":1,"more":2}\n{"id":2}', [row(2, 2)], [(1, None, "fields")]),
    "a surplus key and wrong cells": (
        '{"more":1,"p":"x"}',
        [],
        [(1, None, "fields"), (1, "id", "required"), (1, "price", "type")],
    ),
    "all that is wrong": (
        '{"id":null,"p":"x","day":"30.02.2026"}',
        [],
        [(1, "id", "required"), (1, "price", "type"), (1, "day", "type")],
    ),
    "values of another type": (
        '{"id":true,"p":{},"paid":"maybe","day":20260131}',
        [],
        [(1, "id", "type"), (1, "price", "type"), (1, "paid", "type"), (1, "day", "type")],
    ),
    "half a character": (r'{"id":1,"text":"\ud800"}' + '\n{"id":2}', [row(2, 2)], [(1, "text", "encoding")]),
    "a NUL character": (r'{"id":1}' + "\n" + r'{"id":2,"text":"a\u0000"}', [row(1)], [(2, "text", "encoding")]),
    "a NUL byte": (b'{"id":1}\n{"id":2,"text":"\0"}', [row(1)], [(2, None, "encoding")]),
    "a control character": (b'{"id":1,"text":"a\tb"}\n{"id":2}', [row(2, 2)], [(1, None, "json")]),
    "bytes that are not UTF-8": (
        b'{"id":1}\n{"id":2,"text":"caf\xe9"}\n{"id":3}',
        [row(1), row(3, 3)],
        [(2, None, "encoding")],
    ),
    "a wrong escape": (r'{"id":1,"text":"\x"}', [], [(1, None, "json")]),
    "a byte order mark inside": ('{"id":1}\n\ufeff{"id":2}', [row(1)], [(2, None, "json")]),
    "nested too deep": (
        f'{{"id":1,"text":{"[" * 100}{"]" * 100}}}\n{{"id":2,"text":{"[" * 99}{"]" * 99}}}',
        [row(2, 2, None, "[" * 99 + "]" * 99)],
        [(1, None, "json")],
    ),
    "nested very deep": (
        '{"id":1}\n{"id":2,"text":' + "[" * 100_000 + "]" * 100_000 + "}",
        [row(1)],
        [(2, None, "json")],
    ),
    "CR alone ends no line": ('{"id":1}\r{"id":2}\r', [], [(1, None, "json")]),
}

REFUSED = {
    "an array": ('[{"id":1},{"id":2}]', "json"),
    "an array over many lines": ('\n[\n  {"id": 1}\n]\n', "json"),
    "an object over many lines": ('{\n  "id": 1\n}\n', "json"),
    "a workbook": (b"PK\x03\x04 and so on", "binary"),
    "a program": (b"\x7fELF\0\0\0\n", "binary"),
    "gzip under a plain name": (gzip.compress(b'{"id":1}'), "binary"),
    "a UTF-16 file cut short": ('{"id":1}'.encode("utf-16")[:-1], "encoding"),
}


@pytest.mark.parametrize(("data", "rows"), GOOD.values(), ids=GOOD)
def test_sound_lines_are_kept(data, rows, tmp_path):
    check(data, rows, tmp_path=tmp_path)


@pytest.mark.parametrize(("data", "rows", "rejects"), BAD.values(), ids=BAD)
def test_wrong_lines_are_rejected(data, rows, rejects, tmp_path):
    check(data, rows, rejects, tmp_path=tmp_path)


@pytest.mark.parametrize(("data", "rule"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_json_lines_is_refused(data, rule, tmp_path):
    check(data, refused=rule, tmp_path=tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(encoding, tmp_path):
    check('{"id":1,"text":"é"}\n'.encode(encoding), [row(1, 1, None, "é")], tmp_path=tmp_path)


def test_what_pandas_writes(tmp_path):
    values = {"id": [1, 2], "p": [2.5, None], "text": ['é / "x"', None], "paid": [True, False]}
    data = pd.DataFrame(values | {"day": ["31.01.2026", None]}).to_json(orient="records", lines=True)
    check(data, [row(1, 1, 2.5, 'é / "x"', True, "2026-01-31"), row(2, 2, None, None, False)], tmp_path=tmp_path)


def test_the_contract_says_the_encoding(tmp_path):
    check('{"id":1,"text":"é"}'.encode("cp1252"), [row(1, 1, None, "é")], tmp_path=tmp_path, encoding="cp1252")


def test_a_packed_file(tmp_path):
    check(gzip.compress(b'{"id":1}\n{"id":2}\n'), [row(1), row(2, 2)], tmp_path=tmp_path, name="A.NDJSON.GZ")
    check(gzip.compress(b'{"id":1}\n')[:-3], refused="compression", tmp_path=tmp_path, name="a.jsonl.gz")


@pytest.mark.parametrize("match", ["exact", "equal", "subset"])
def test_surplus_keys_are_ignored_only_in_a_subset(match, tmp_path):
    data = '{"id":1,"more":{"a":[1]}}\n{"id":2,"more":"\\ud800"}\n{"id":3,"more":tru}'
    wrong = [(2, "more", "encoding"), (3, None, "json")]
    rows, rejects = ([row(1)], wrong) if match == "subset" else ([], [(1, None, "fields"), (2, None, "fields"), *wrong])
    check(data, rows, rejects, tmp_path=tmp_path, schema={"fields": FIELDS, "fieldsMatch": match})


def test_values_have_the_form_that_the_field_has(tmp_path):
    """Numbers and booleans are those of JSON, whatever the contract says of text."""
    words = {"trueValues": ["ja"], "falseValues": ["nein"]}
    german = {"decimalChar": ",", "groupChar": "."}
    fields = [*FIELDS[:1], FIELDS[1] | german, FIELDS[2], FIELDS[3] | words, FIELDS[4]]
    data = '{"id":1,"p":1234.5,"paid":false}\n{"id":2,"p":"1.234,5","paid":"ja"}\n{"id":3,"p":"1234.5","paid":"true"}'
    rows = [row(1, 1, 1234.5, paid=False), row(2, 2, 1234.5, paid=True)]
    rejects = [(3, "paid", "type")]
    check(data.replace('"1234.5"', "null"), rows, rejects, tmp_path=tmp_path, schema={"fields": fields})


def test_a_fraction_is_no_integer_where_a_point_groups_digits(tmp_path):
    fields = [FIELDS[0] | {"groupChar": "."}, *FIELDS[1:]]
    data = '{"id":12.5}\n{"id":1000}\n{"id":"1.000"}\n{"id":1.5}'
    rejects = [(1, "id", "type"), (4, "id", "type")]
    check(data, [row(2, 1000), row(3, 1000)], rejects, tmp_path=tmp_path, schema={"fields": fields})


def test_a_field_that_is_the_second_column_of_a_name_is_none_of_an_object(tmp_path):
    fields = [*FIELDS[:4], FIELDS[4] | {"header": ["day", 2]}]
    check('{"id":1}', refused="header", tmp_path=tmp_path, schema={"fields": fields})


def test_small_files_are_read_one_by_one(tmp_path):
    contract = contract_of(tmp_path, FIELDS)
    reader = reader_of("raw/d/a.jsonl")
    files = [("a.jsonl", b'{"id":1}\n{}'), ("b.jsonl", b"[]"), ("c.jsonl", b"")]
    one, refusal, nothing = reader.read_small_files(files, contract, Limits())
    assert (one.rows["id"].to_pylist(), one.rejected, [problem.line for problem in one.problems]) == ([1], 1, [2])
    assert isinstance(refusal, Refused)
    assert nothing.rows.num_rows == 0


def test_reasons_say_what_to_do(tmp_path):
    contract = contract_of(tmp_path, FIELDS, schema={"fields": FIELDS})
    lines = ['{"id":1}', '{"id" 1}', '{"id":1,"id":2}']
    lines += ['{"id":1,"é":1}', '{"id":1}x', r'{"id":1,"text":"\udc00"}', '{"id":NaN}']
    read = reader_of("raw/d/a.jsonl").read
    [batch] = read(io.BytesIO("\n".join(lines).encode()), "a.jsonl", contract)
    assert [(problem.line, problem.message) for problem in batch.problems] == [
        (2, "it is not valid JSON, at character 7: expected a colon"),
        (3, "a key is there twice, 'id': keep one of them"),
        (4, "it has 'é', which the contract does not have"),
        (5, "another value follows at character 9: expected one object in each line"),
        (6, r"\udc00 is half of a character: write both halves, or the character itself"),
        (7, "NaN is no value of JSON: write null, or leave the key out"),
    ]
    with pytest.raises(Refused, match=r"a JSON array: expected JSON Lines, .* jq -c '\.\[\]' FILE"):
        list(read(io.BytesIO(b"[{}]"), "a.jsonl", contract))
