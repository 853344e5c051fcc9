"""Generated CSV files, for Hypothesis, and the batches that a reader makes of them."""

import json
from dataclasses import replace

from hypothesis import strategies as st

from pipeline.model.contract import Contract
from pipeline.model.problem import Problem, Refused
from pipeline.model.read_contract import read_contract
from pipeline.readers.base import Batch

FIELDS = [
    {"name": "s", "type": "string", "constraints": {"required": True}},
    {"name": "n", "type": "integer", "constraints": {"minimum": -5}},
    {"name": "t", "type": "string"},
]


def contract_of(tmp_path, fields=FIELDS, **changes) -> Contract:
    path = tmp_path / "numbers.json"
    schema = {"fieldsMatch": "subset", "fields": fields}
    path.write_text(json.dumps({"name": "numbers", "schema": schema, **changes}))
    return read_contract(path)


def batches_of(reader, *arguments, **settings) -> tuple[list[Batch], Problem | None]:
    batches: list[Batch] = []
    try:
        batches.extend(replace(batch, problems=list(batch.problems)) for batch in reader(*arguments, **settings))
    except Refused as refusal:
        return batches, refusal.problem
    return batches, None


CELLS = [b"", b"a", b"12", b"-9", b"x1", b'"q"', b'"a,b"', b'"two\nlines"', b'"say ""hi"""', b'5"', b'"open', b'"a"b']
CELLS += [
    "é".encode(),
    b"\xff",
    b"\0",
    b" 7 ",
    b"+5",
    b"\xef\xbb\xbf",
    b'""',
    b" ",
    b"2026-01-31",
    b"2026-02-30",
    b"true",
    b'"\r\n"',
    b"0x1F",
]
CELL = st.sampled_from(CELLS)


RECORD = st.lists(CELL, min_size=1, max_size=5).map(b",".join)


LINE_END = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n"])


BODY = st.lists(st.tuples(RECORD, LINE_END).map(b"".join), max_size=12).map(b"".join)


HEADER = st.sampled_from(
    [
        *(b"s,n,t\n", b"t,s,n\r\n", b'"n",extra,t,s\r', b"t,s,extra,n,t\n", b',t,"",s\r\n', b"t,n,s\n", b"s,t\n"),
        *(b"n\r", b"x,t,x,n,x\n", b"x,y\n", b'"",t\n'),
    ]
)


def column(name: str, *kinds: dict) -> st.SearchStrategy[dict]:
    return st.sampled_from(kinds).map(lambda kind: {"name": name, **kind})


CONTRACT_FIELDS = st.tuples(
    column(
        "s",
        {"type": "string", "constraints": {"required": True}},
        {"type": "string", "constraints": {"pattern": "[a-z0-9]*"}},
        {"type": "string", "constraints": {"maxLength": 2, "minLength": 1}},
    ),
    column(
        "n",
        {"type": "integer", "constraints": {"minimum": -5}},
        {"type": "number", "constraints": {"maximum": 10, "required": True}},
        {"type": "boolean"},
        {"type": "integer", "constraints": {"enum": [5, 12]}},
        {"type": "integer", "missingValues": ["a", "12"]},
        {"type": "number", "bareNumber": False, "missingValues": []},
        {"type": "boolean", "trueValues": ["a"], "falseValues": ["12", "x1"], "missingValues": ["", " 7 "]},
    ),
    column(
        "t",
        {"type": "string"},
        {"type": "date"},
        {"type": "datetime"},
        {"type": "integer"},
        {"type": "date", "format": "%Y-%-m-%d"},
        {"missingValues": ["12", " 7 "]},
        {"header": ["t", 2]},
        {"header": ["t", 1], "constraints": {"required": True}},
        {"header": "extra"},
        {"header": ["", 2]},
    ),
).map(list)


# How a header must fit the fields, and whether surplus columns are kept.
MATCHES = st.sampled_from(
    [("subset", False), ("subset", True), ("partial", False), ("partial", True), ("superset", False)]
)


MISSING = st.sampled_from([[""], ["", "a"], []])


ROWS = st.lists(st.integers(1, 9), unique=True, max_size=4)

DIALECT = st.fixed_dictionaries(
    {},
    optional={
        "headerRows": ROWS.filter(bool).map(sorted),
        "headerJoin": st.sampled_from(["", "-"]),
        "commentChar": st.sampled_from(["#", "//", "ab", "é"]),
        "commentRows": ROWS,
        "footerRows": st.integers(0, 4),
        "skipInitialSpace": st.booleans(),
        "escapeChar": st.sampled_from(["\\", "a"]),
        "doubleQuote": st.booleans(),
        "lineTerminator": st.sampled_from(["\n", "\r\n", "\r"]),
        "nullSequence": st.sampled_from(["a", "\\N", " 7 ", "q"]),
    },
)

# What the dialects above are about: comments, spaces, escapes, and lines that stand alone.
ODD_CELLS = [b"#", b"//x", b'#"', b"/", "é#".encode(), b' "q"', b'  "a,b" ', b" ", b"\\N", b'\\"', b"a\\,b", b"\\"]

ODD_CELLS += [b'"x\\"y"', b'"\\\r\n"', b'"a\n#b"', b"a\\\r\n", b'\\ "q"', b'\\,"q"', b'"a\\\\"', b"\\\\", b'"q" ']

ODD_CELLS += [b"s", b"n", b"t", b"\\\n"]

ODD_CELL = st.one_of(CELL, st.sampled_from(ODD_CELLS))

ODD_RECORD = st.lists(ODD_CELL, min_size=1, max_size=4).map(b",".join)

ODD_BODY = st.lists(st.tuples(ODD_RECORD, LINE_END).map(b"".join), max_size=12).map(b"".join)

ODD_FILE = st.tuples(ODD_BODY, HEADER, st.tuples(ODD_BODY, ODD_RECORD).map(b"".join))
