"""Every message has a bound, whatever the file or the contract has."""

import io
import json
import time

import pyarrow as pa
import pytest

from common.errors import SettingError
from pipeline.dataset.dataset import read_dataset
from pipeline.model.problem import Refused
from pipeline.model.read_contract import read_contract
from pipeline.readers.csv.read import read_csv
from pipeline.readers.csv.reference import read_csv_plainly

LONG = 4000  # characters that no message has
MANY = [f"column {number}" for number in range(40_000)]
LARGE = "x" * 1_000_000


@pytest.fixture
def write(tmp_path):
    """Write a contract."""

    def write(fields: list[dict], **changes: object):
        path = tmp_path / "my.json"
        schema = {"fieldsMatch": "equal", "fields": fields, **changes.pop("schema", {})}
        path.write_text(json.dumps({"name": "my", "schema": schema, **changes}))
        return path

    return write


@pytest.mark.parametrize("reader", [read_csv, read_csv_plainly])
def test_a_header_of_many_columns(write, reader):
    """They are compared in one pass: for each column to look through all others took 20 s."""
    contract = read_contract(write([{"name": name} for name in MANY]))
    begin = time.process_time()
    for names in (MANY[:-1], [*MANY, "more"], [*MANY[1:], "other"], [name.upper() for name in MANY], [*MANY, *MANY]):
        with pytest.raises(Refused) as refusal:
            list(reader(io.BytesIO(",".join(names).encode()), "a.csv", contract))
        assert len(str(refusal.value)) < LONG
        assert len(refusal.value.problem.raw or "") < LONG + 100
    [batch] = reader(io.BytesIO(",".join(reversed(MANY)).encode() + b"\n" + b"," * (len(MANY) - 1)), "a.csv", contract)
    assert batch.rows.num_rows == 1
    assert time.process_time() - begin < 20


def problems(path, content: bytes) -> list:
    contract = read_contract(path)
    found = [[one for batch in reader(io.BytesIO(content), "a.csv", contract) for one in batch.problems]
             for reader in (read_csv, read_csv_plainly)]  # fmt: skip
    assert found[0] == found[1]
    return found[0]


OPTIONS = [f"option {number}" for number in range(100_000)]


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        ({"enum": OPTIONS}, "expected one of option 0, option 1,"),
        ({"pattern": "a|" * 4_000 + "b"}, "expected all of it to match a|a|a"),
        ({"enum": [LARGE[:100_000], "b"]}, "expected one of xxxxx"),
    ],
    ids=["enum", "pattern", "option"],
)
def test_rejects(write, constraints, said):
    path = write([{"name": "a"}, {"name": "b", "constraints": constraints}])
    begin = time.process_time()
    found = problems(path, b"a,b\n" + f"1,c{LARGE[:-10]}\n".encode() + b"1,c\n" * 200)
    assert len(found) == 201
    assert all(said in one.message for one in found)
    assert max(len(str(one)) for one in found) < LONG
    assert time.process_time() - begin < 20  # an option was looked for among all, each time made anew


def test_a_column_that_no_field_is(write):
    path = write([{"name": "a"}], schema={"fieldsMatch": "subset"})
    [problem] = problems(path, b"a," + LARGE.encode() + b"\n1,\xff\n")
    assert len(problem.column) < LONG
    assert len(str(problem)) < LONG


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ([{"name": "a"}], {LARGE: 1}),
        ([{"name": "a"}], {"encoding": LARGE}),
        ([{"name": LARGE}], {}),
        ([{"name": "a", LARGE: 1}], {}),
        ([{"name": "a", "type": LARGE}], {}),
        ([{"name": "a", "header": LARGE}, {"name": "b", "header": LARGE}], {}),
        ([{"name": "a", "type": "date", "format": LARGE}], {}),
        ([{"name": "a", "type": "date", "constraints": {"minimum": LARGE}}], {}),
        ([{"name": "a", "constraints": {"pattern": "(" + LARGE[:10_000]}}], {}),
        ([{"name": name} for name in MANY[:2000]], {"summary": {"groupBy": ["other"]}}),
        ([{"name": "a"}], {"summary": {"groupBy": [LARGE]}}),
    ],
    ids=range(11),
)
def test_contracts(write, fields, changes):
    with pytest.raises(SettingError) as error:
        read_dataset(write(fields, **changes))
    assert len(str(error.value)) < LONG


@pytest.mark.parametrize(
    "code", ["raise ValueError('x' * 1_000_000)", "def transform(frame): raise ValueError('x' * 1_000_000)"]
)
def test_a_transform_that_fails_at_length(write, tmp_path, code):
    (tmp_path / "my.py").write_text(code + "\n")
    with pytest.raises(SettingError) as error:
        read_dataset(write([{"name": "a"}]))
    assert len(str(error.value)) < LONG


def test_a_transform_that_refuses_at_length(write, tmp_path):
    code = "if 'bad' in set(frame['a']):\n        raise ValueError('x' * 1_000_000)\n    return frame\n"
    code = f"def transform(frame):\n    {code}"
    (tmp_path / "my.py").write_text(code)
    dataset = read_dataset(write([{"name": "a"}]))
    with pytest.raises(Refused, match=r"the transform failed: ValueError\('xxx") as refusal:
        dataset.transform_rows(pa.table({"a": ["bad"], "_line": [2]}))
    assert len(str(refusal.value)) < LONG
