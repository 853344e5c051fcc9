"""The types that come out of a transform: declared or learnt from values, and no value changes on the way."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

from common.errors import SettingError
from pipeline.dataset.dataset import Dataset, read_dataset
from pipeline.dataset.output_schema import example_rows
from pipeline.model.field import TYPES
from pipeline.model.read_contract import read_contract

FIELDS = [
    {"name": "code", "constraints": {"required": True}},
    {"name": "n", "type": "integer"},
    {"name": "x", "type": "number"},
    {"name": "yes", "type": "boolean"},
    {"name": "day", "type": "date"},
    {"name": "at", "type": "datetime"},
]
HEADER = b"code,n,x,yes,day,at\n"
ROWS = (
    HEADER
    + b"00123,1,0.5,true,2026-01-31,2026-01-31T23:59:00Z\n"
    + b"0042,2,1,false,2026-02-01,2026-02-01T00:00:00Z\n"
    + b"1e5,9007199254740993,2.5,true,2026-02-02,2026-02-02T00:00:00Z\n"
)
CODES, DAYS = ["00123", "0042", "1e5"], [date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 2)]

Write = Callable[..., Dataset]


@pytest.fixture
def write(tmp_path) -> Write:
    """Write a contract, and a transform with these lines beside it; read both as the pipeline does."""

    def write(*lines: str, types: str = "{}", fields: object = FIELDS) -> Dataset:
        contract = tmp_path / "numbers.json"
        contract.write_text(json.dumps({"name": "numbers", "schema": {"fields": fields}}))
        body = "".join(f"    {line}\n" for line in lines)
        contract.with_suffix(".py").write_text(
            "from datetime import *\nfrom decimal import Decimal\nimport numpy as np, pandas as pd, pyarrow as pa\n"
            f"TYPES = {types}\ndef transform(frame):\n{body}    return frame\n"
        )
        return read_dataset(contract)

    return write


@pytest.mark.parametrize(
    ("line", "type_", "expected"),
    [
        # Text that looks like numbers, by every way that leaves Arrow.
        ("frame['code'] = [v.strip() for v in frame['code']]", "string", CODES),
        ("frame['c'] = [v.strip() for v in frame['code']]", "string", CODES),
        ("frame['c'] = np.array([v for v in frame['code']])", "string", CODES),
        ("frame['c'] = [row['code'] for _, row in frame.iterrows()]", "string", CODES),
        ("frame['c'] = [a for a, _ in zip(frame['code'], frame['n'])]", "string", CODES),
        ("frame['c'] = frame.apply(lambda row: row['code'], axis=1) if len(frame) else []", "string", CODES),
        ("frame['c'] = frame['code'].astype('category')", "string", CODES),
        ("frame['c'] = frame['code'].astype(object)", "string", CODES),
        ("frame['c'] = frame['code'].astype('string')", "string", CODES),
        ("frame['c'] = frame['n'].map(str)", "string", ["1", "2", "9007199254740993"]),
        # Arrow-backed, and guessed by pandas all the same.
        ("frame['c'] = frame['code'].apply(len)", "int64", [5, 4, 3]),
        # Integers beyond what a float has, bools, dates, times.
        ("frame['c'] = [v for v in frame['n']]", "int64", [1, 2, 9007199254740993]),
        ("frame['c'] = [v > 1 for v in frame['n']]", "bool", [False, True, True]),
        ("frame['c'] = [v / 2 for v in frame['x']]", "double", [0.25, 0.5, 1.25]),
        ("frame['n'] = [v + 0.5 for v in frame['x']]", "double", [1.0, 1.5, 3.0]),
        ("frame['x'] = [round(v) for v in frame['x']]", "double", [0.0, 1.0, 2.0]),
        ("frame['c'] = [v for v in frame['day']]", "date32[day]", DAYS),
        ("frame['day'] = pd.to_datetime(frame['day'])", "date32[day]", DAYS),
        ("frame['c'] = pd.to_datetime(frame['code'], errors='coerce', format='%d.%m.%Y')", "timestamp[s]", [None] * 3),
        ("frame['c'] = frame['code'].str.len() > 9", "bool", [False] * 3),
        ("frame['c'] = 'x'", "string", ["x"] * 3),
        # What a batch has may differ from what the examples have: a null makes floats of integers.
        ("frame['c'] = frame['n'].where(frame['n'] < 3).to_numpy(dtype=object)", "int64", [1, 2, None]),
        ("frame['c'] = frame['n'].map({1: 5, 2: 6, 3: 7})", "int64", [5, 6, None]),
        ("frame['c'] = [None if v == '00123' else v for v in frame['code']]", "string", [None, "0042", "1e5"]),
    ],
)
def test_a_type_is_learnt_from_values(write, loads, line, type_, expected):
    dataset = write(line)
    name = line.split("'")[1]
    assert str(dataset.schema.field(name).type) == type_
    assert loads(dataset, ROWS).record.first_problem is None
    assert loads.clean()[name].to_pylist() == expected
    assert loads(dataset, HEADER).record.status == "loaded"
    assert loads(dataset, HEADER + b"00123,,,,,\n").record.first_problem is None or name != "code"


@pytest.mark.parametrize(
    ("line", "types", "found"),
    [
        (
            "frame['code'] = [1 if v == '0042' else v for v in frame['code']]",
            "{}",
            "expected string, found int64, first 1",
        ),
        (
            "frame['n'] = [v / 4 if v < 2 else v for v in frame['n']]",
            "{'n': 'integer'}",
            "int64, found double, first 0.25",
        ),
        ("frame['c'] = [v for v in frame['n']]", "{'c': 'number'}", "double, found int64, first 9007199254740993"),
        ("frame['c'] = [v if v == v.upper() else 1 for v in frame['code']]", "{'c': 'integer'}", "int64, found string"),
        (
            "frame['c'] = [True, 0, 1] if len(frame) == 3 and 5 in [*map(len, frame['code'])] else 7",
            "{}",
            "found bool, first True",
        ),
        ("frame['c'] = frame['n'].where(frame['code'] != '0042').to_numpy()", "{}", "double, first 9007199254740992.0"),
        (
            "frame['day'] = [datetime(2026, 1, 1, v == 2) for v in frame['n']]",
            "{'day': 'date'}",
            "date32.*, found timestamp",
        ),
        (
            "frame['c'] = [Decimal(v) / 3 for v in frame['n']]",
            "{'c': pa.decimal128(20, 2)}",
            "decimal128.*, first Decimal",
        ),
    ],
)
def test_a_value_of_another_type_refuses_the_file_by_name(write, loads, line, types, found):
    """The types are declared or learnt, so the contract is right; the file's values are not."""
    record = loads(write(line, types=types), ROWS).record
    assert record.status == "refused"
    [problem] = loads.rejected()
    assert (problem["rule"], problem["column"]) == ("transform", line.split("'")[1])
    assert re.search(found, problem["message"]), problem["message"]
    assert "TYPES = {" in problem["message"]
    assert problem["value"]


@pytest.mark.parametrize(
    ("line", "way_out"),
    [
        ("frame['c'] = None", r"column 'c' cannot be learnt .*have no value.*TYPES = \{'c': 'number'\}"),
        ("frame['c'] = [None if v < 99 else v for v in frame['n']]", r"column 'c' cannot be learnt .*TYPES"),
        (
            "frame['c'] = [{'00123': 1}[v] for v in frame['code']]",
            r"'c' cannot be learnt .*KeyError\('B c'\)|'c' .*KeyError",
        ),
        ("frame['c'] = [Decimal(1)] * len(frame)", "column 'c' cannot be learnt"),
        ("frame['c'] = [[]] * len(frame)", "column 'c' cannot be learnt"),
        ("frame[7] = 1", "names a column 7: expected text"),
        ("frame = pd.concat([frame, frame['n']], axis=1)", "'n' more than once"),
        ("return [frame]", "expected a DataFrame, found list"),
        ("frame['c'] = pd.cut(frame['x'], [0, 1, 9])", r"'c' is extension.*Parquet does not hold: .*astype\(str\)"),
    ],
)
def test_what_cannot_be_learnt_is_to_be_declared(write, line, way_out):
    with pytest.raises(SettingError, match=rf"numbers\.py: .*{way_out}"):
        write(line)


def test_a_declaration_is_the_way_out(write, loads):
    lines = [
        "frame['c'] = None",
        "frame['d'] = [Decimal('1.25')] * len(frame)",
        "frame['n'] = [str(v) for v in frame['n']]",
    ]
    dataset = write(*lines, types="{'c': 'integer', 'd': pa.decimal128(5, 2), 'n': 'string'}")
    assert loads(dataset, ROWS).record.first_problem is None
    clean = loads.clean()
    assert str(clean.schema.field("c").type) == "int64"
    assert clean["d"].to_pylist() == [Decimal("1.25")] * 3
    assert clean["n"].to_pylist() == ["1", "2", "9007199254740993"]


@pytest.mark.parametrize(
    ("types", "wrong"),
    [
        ("{'c': 'number'}", r"TYPES\['c'\] is 'number', but transform makes string"),
        ("{'c': 'text'}", r"TYPES\['c'\] is 'text': expected one of string, integer"),
        ("{'d': 'number'}", "TYPES names 'd': expected a column that transform returns"),
        ("['c']", r"TYPES is \['c'\]: expected types by column"),
    ],
)
def test_a_declaration_is_checked(write, types, wrong):
    with pytest.raises(SettingError, match=rf"numbers\.py: {wrong}"):
        write("frame['c'] = [v.strip() for v in frame['code']]", types=types)


def test_examples_are_rows_of_the_contract(tmp_path):
    """So a transform that relies on its contract does not fail on them; text is text, not a number."""
    bounds = {
        "text": [{}, {"minLength": 40}, {"maxLength": 1}, {"enum": ["DE", "FR"]}, {"pattern": "[A-Z]{3}"}],
        "integer": [{}, {"minimum": 2000, "maximum": 2030}, {"maximum": -1}, {"enum": [5]}, {"exclusiveMinimum": 5000}],
        "number": [{}, {"minimum": 1e6}, {"maximum": -0.5}],
        "boolean": [{}, {"enum": [True]}],
        "date": [{}, {"minimum": "2030-01-01"}],
        "datetime": [{}, {"maximum": "1999-12-31T23:59:59Z"}],
        **{
            type_: [{}]
            for type_ in TYPES
            if type_ not in ("string", "integer", "number", "boolean", "date", "datetime")
        },
    }
    fields = [
        {"name": f"{type_}{number}", "type": type_.replace("text", "string"), "constraints": one}
        for type_, all_of in bounds.items()
        for number, one in enumerate(all_of)
    ]
    (tmp_path / "all.json").write_text(json.dumps({"name": "all", "schema": {"fields": fields}}))
    rows = example_rows(read_contract(tmp_path / "all.json"))
    assert [rows.schema.field(field["name"]).type for field in fields] == [TYPES[field["type"]] for field in fields]
    assert not any(column.null_count for column in rows.columns)
    first = rows.to_pylist()[0]
    assert not first["text0"].isdigit()
    assert (len(first["text1"]), len(first["text2"]), first["text3"], len(first["text4"])) == (40, 1, "DE", 3)
    assert [first[f"integer{number}"] for number in range(1, 5)] == [2000, -1, 5, 5001]
    assert (first["number1"], first["number2"], first["boolean1"]) == (1e6, -0.5, True)
    assert first["date1"] == date(2030, 1, 1)
    assert first["datetime1"] == datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_exact_numbers_stay_exact(write, loads):
    """As Arrow's decimals, or as Python's where the transform leaves Arrow, and in the examples."""
    fields = [
        {"name": "price", "type": "number", "decimal": {"precision": 9, "scale": 2}, "constraints": {"minimum": 0.1}},
        {"name": "tiny", "type": "number", "decimal": {"precision": 1, "scale": 1}},
        {"name": "at", "type": "time", "format": "%-I:%M %p"},
    ]
    lines = ["frame['double'] = frame['price'] + frame['price']", "frame['price'] = [v for v in frame['price']]"]
    dataset = write(*lines, fields=fields)
    assert loads(dataset, b"price,tiny,at\n0.10,0.5,3:07 PM\n9999999.99,.9,12:00 AM\n").record.first_problem is None
    rows = loads.clean()
    assert str(rows.schema.field("price").type) == "decimal128(9, 2)"
    assert rows["double"].to_pylist() == [Decimal("0.20"), Decimal("19999999.98")]
    assert rows["price"].to_pylist() == [Decimal("0.10"), Decimal("9999999.99")]
    assert rows["at"].to_pylist() == [time(15, 7), time(0)]


def test_a_first_batch_of_nulls_tells_nothing(write, loads):
    """The block of 16 MiB has its own frame: its types are those of the dataset, whatever is in it."""
    dataset = write("frame['c'] = [v if len(v) > 9 else None for v in frame['code']]", types="{'c': 'string'}")
    nulls = b"1,1,1,1,2026-01-01,2026-01-01T00:00Z\n" * 200_000
    assert loads(dataset, HEADER + nulls + b"0123456789" + nulls[1:]).record.first_problem is None
    assert loads.clean()["c"].drop_null().to_pylist() == ["0123456789"]
    assert loads.clean().schema.field("c").type == pa.string()
