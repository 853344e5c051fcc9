"""Types of columns in a summary: each type that the check accepts is loaded, merged, published and recounted."""

import io
import json
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from common.errors import SettingError
from lake.layout import summary_key
from pipeline.dataset.dataset import Dataset, read_datasets
from pipeline.ledger.ledger import Ledger
from pipeline.load.load import load
from pipeline.model.task import Task
from pipeline.service.context import Pipeline
from pipeline.service.executor import InlineExecutor
from pipeline.service.publish import Publisher
from pipeline.service.workers import process
from pipeline.verify.totals import compare_published, compare_totals

TYPES = {
    **{name: getattr(pa, name)() for name in ("string", "large_string", "string_view", "bool_", "binary", "null")},
    **{
        name: getattr(pa, name)() for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    **{name: getattr(pa, name)() for name in ("float16", "float32", "float64", "date32", "date64")},
    **{
        f"{name}({unit!r})": getattr(pa, name)(unit) for name in ("timestamp", "duration") for unit in ("s", "us", "ns")
    },
    "timestamp('us', 'UTC')": pa.timestamp("us", "UTC"),
    "timestamp('us', 'Europe/Berlin')": pa.timestamp("us", "Europe/Berlin"),
    **{f"time{32 if unit == 's' else 64}({unit!r})": pa.time64("us") for unit in ("s", "us", "ns")},
    "month_day_nano_interval": pa.month_day_nano_interval(),
    **{f"decimal{bits}(7, 2)": pa.decimal128(7, 2) for bits in (32, 64, 128, 256)},
    "binary(2)": pa.binary(2),
    "list_(pa.int64())": pa.list_(pa.int64()),
    "struct([('a', pa.int64())])": pa.struct([("a", pa.int64())]),
    "dictionary(pa.int8(), pa.string())": pa.dictionary(pa.int8(), pa.string()),
}
TRANSFORM = """
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
import pandas as pd, pyarrow as pa

TYPE = pa.{type}

def transform(frame):
    made = [value(n) for n in frame["n"]]
    column = pa.array(made, TYPE) if not pa.types.is_dictionary(TYPE) else pa.array(made).dictionary_encode()
    frame["c"] = pd.Series(pd.arrays.ArrowExtensionArray(column), index=frame.index)
    return frame

def value(n):
    if pa.types.is_integer(TYPE):
        return n
    if pa.types.is_floating(TYPE):
        return n + 0.5
    if pa.types.is_boolean(TYPE):
        return n > 1
    if pa.types.is_decimal(TYPE):
        return Decimal(n) / 4
    if pa.types.is_binary(TYPE) or pa.types.is_fixed_size_binary(TYPE):
        return b"a%d" % n
    if pa.types.is_date(TYPE):
        return date(2026, 1, n)
    if pa.types.is_timestamp(TYPE):
        return datetime(2026, 1, n, 23, 59, 59, tzinfo=UTC if TYPE.tz else None)
    if pa.types.is_time(TYPE):
        return time(n)
    if pa.types.is_duration(TYPE):
        return timedelta(n)
    if pa.types.is_list(TYPE):
        return [n]
    if pa.types.is_struct(TYPE):
        return {{"a": n}}
    if str(TYPE).startswith("month"):
        return pa.MonthDayNano([n, 0, 0])
    return None if pa.types.is_null(TYPE) else f"text {{n}}"
"""


@pytest.fixture
def published(loads, tmp_path):
    """Load files of numbers with another column, publish them, recount; give the summary."""

    def publish(datasets: dict[str, Dataset], *files: bytes) -> pa.Table:
        with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
            ledger.start_run({name: dataset.fingerprint for name, dataset in datasets.items()})
            for number, content in enumerate(files):
                loads.store.put(f"raw/d/{number}.csv", content)
                ledger.notice(loads.store.stat(f"raw/d/{number}.csv"), "event")
            while tasks := ledger.take(1):
                executor = InlineExecutor(loads.store, datasets, loads.staging)
                process(Pipeline(loads.store, ledger, datasets, loads.staging, executor), tasks)
            rows = ledger.rows("SELECT status, first_problem, error FROM source")
            assert [tuple(row) for row in rows] == [("loaded", None, None)] * len(files)
            Publisher(loads.store, ledger, datasets).publish()
            assert list(compare_totals(ledger)) == []
            [recount] = compare_published(loads.store, ledger, datasets, patience=0)
            assert recount.differences == ()
        with loads.store.open(summary_key("d")) as (_, stream):
            return pq.read_table(io.BytesIO(stream.read()))

    return publish


def write(folder, part: str, type_: str) -> dict[str, Dataset]:
    contract = {"name": "d", "schema": {"fields": [{"name": "n", "type": "integer"}]}, "summary": {part: ["c"]}}
    (folder / "d.json").write_text(json.dumps(contract))
    (folder / "d.py").write_text(TRANSFORM.format(type=type_ if type_.endswith(")") else f"{type_}()"))
    return read_datasets(folder)


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("part", ["groupBy", "sum"])
def test_a_type_is_published_or_refused_by_the_check(published, tmp_path, part, type_):
    try:
        datasets = write(tmp_path, part, type_)
    except SettingError as refusal:
        said = str(refusal)
        assert ("summary." + part in said and "'c', which is" in said and "expected" in said) or "d.py: " in said
        return
    table = published(datasets, b"n\n1\n2\n1\n", b"n\n2\n1\n3\n")
    if part == "sum":
        kind = pa.types.is_decimal(TYPES[type_])
        expected = Decimal("2.50") if kind else 10 if pa.types.is_integer(TYPES[type_]) else 13
        assert table.to_pylist() == [{"rows": 6, "c": expected}]
    else:
        rows = dict(zip(table["c"].to_pylist(), table["rows"].to_pylist(), strict=True))
        assert sorted(rows.values()) == ([3, 3] if type_ == "bool_" else [1, 2, 3])


def test_the_usual_types_are_not_refused(tmp_path):
    groups = ("string", "int64", "float64", "bool_", "date32", "timestamp('us', 'UTC')", "decimal128(7, 2)")
    for type_ in (*groups, "dictionary(pa.int8(), pa.string())"):
        assert write(tmp_path, "groupBy", type_)
    for type_ in ("int64", "float64", "decimal128(38, 38)"):
        assert write(tmp_path, "sum", type_)


def test_sums_of_money_are_exact_to_the_cent(published, tmp_path):
    """In one file and over files, at any size: a float would be a cent away after some millions."""
    digits = {"precision": 38, "scale": 2}
    fields = [{"name": "who"}, {"name": "paid", "type": "number", "decimal": digits, "constraints": {"minimum": -1e35}}]
    contract = {"name": "d", "schema": {"fields": fields}, "summary": {"groupBy": ["who"], "sum": ["paid"]}}
    (tmp_path / "d.json").write_text(json.dumps(contract))
    large = "1" + "0" * 34
    files = [
        f"who,paid\na,{large}.10\na,0.20\nb,-0.01\n".encode(),
        b"who,paid\nb,\n" + b"a,0.10\n" * 3,
        f"who,paid\na,-{large}.00\nb,0.02\n".encode(),
    ]
    table = published(read_datasets(tmp_path), *files)
    assert table.schema.field("paid").type == pa.decimal128(38, 2)
    assert table.to_pylist() == [
        {"who": "a", "rows": 6, "paid": Decimal("0.60")},
        {"who": "b", "rows": 3, "paid": Decimal("0.01")},
    ]


def test_a_sum_beyond_38_digits_refuses_its_file(loads, write_dataset):
    fields = [{"name": "n", "type": "number", "decimal": {"precision": 38, "scale": 0}}]
    dataset = write_dataset(schema={"fields": fields}, summary={"sum": ["n"]})
    loads.store.put("raw/numbers/a.csv", f"n\n{'9' * 38}\n1\n".encode())
    task = Task("raw/numbers/a.csv", "numbers", loads.store.stat("raw/numbers/a.csv").etag, "event", 0, 0)
    [outcome] = load(loads.store, {"numbers": dataset}, loads.staging, [task])
    assert outcome.record.status == "refused"
    assert outcome.record.first_problem == "a sum cannot be held: the sum of n has more than 38 digits"


def test_a_group_beyond_the_calendar_refuses_its_file_alone(loads, write_dataset):
    """The transform may move a date out of the years that Python, and SQL, can show."""
    fields = [{"name": "days", "type": "integer"}, {"name": "day", "type": "date"}]
    dataset = write_dataset(schema={"fields": fields}, summary={"groupBy": ["day"]})

    def move(frame):
        moved = pc.add(pa.array(frame["day"]).cast(pa.int32()), pa.array(frame["days"]).cast(pa.int32())).cast(
            pa.date32()
        )
        return frame.assign(day=pd.Series(pd.arrays.ArrowExtensionArray(moved), index=frame.index))

    contents = [b"days,day\n%d,2026-01-31\n" % days for days in (1, 4_000_000, -900_000, 2)]
    keys = [f"raw/numbers/{number}.csv" for number in range(len(contents))]
    etags = [loads.store.put(key, content) for key, content in zip(keys, contents, strict=True)]
    tasks = [Task(key, "numbers", etag, "event", 0, 0) for key, etag in zip(keys, etags, strict=True)]
    moving = {"numbers": replace(dataset, transform=move)}
    records = [one.record for one in load(loads.store, moving, loads.staging, tasks)]
    assert [record.status for record in records] == ["loaded", "refused", "refused", "loaded"]
    assert records[1].first_problem.startswith("a group is no date from year 1 to 9999")


def test_zero_has_one_sign_and_not_a_number_is_one_group(published, tmp_path):
    """As in SQL, whichever file, block or row they come from."""
    contract = {
        "name": "d",
        "schema": {"fields": [{"name": "x", "type": "number"}]},
        "summary": {"groupBy": ["c"], "sum": ["x"]},
    }
    (tmp_path / "d.json").write_text(json.dumps(contract))
    (tmp_path / "d.py").write_text(
        "import pandas as pd, pyarrow as pa\n"
        "def transform(frame):\n"
        "    values = pa.array([x if x < 1 else float('nan') for x in frame['x']], pa.float64())\n"
        "    frame['c'] = pd.Series(pd.arrays.ArrowExtensionArray(values), index=frame.index)\n"
        "    return frame\n"
    )
    table = published(read_datasets(tmp_path), b"x\n-0.0\n0\n-0\n", b"x\n-0.0\n5\n", b"x\n0.0\n2\n")
    found = [(str(row["c"]), row["rows"], str(row["x"])) for row in table.to_pylist()]
    assert sorted(found) == [("0.0", 5, "0.0"), ("nan", 2, "7.0")]


def test_one_that_cannot_be_published_leaves_the_others(loads, write_dataset, tmp_path, caplog):
    """The damaged share, or a fault of ours: said once, for a publisher comes back at every change."""
    good, broken = write_dataset(), write_dataset(name="broken")
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        with ledger.transaction() as db:
            db.execute("INSERT INTO summary VALUES ('broken', '{}', 1, 'no JSON')")
        publisher = Publisher(loads.store, ledger, {"broken": broken, "numbers": good})
        for _ in range(2):
            publisher.publish()
    assert {item.key for item in loads.store.list("published/")} == {
        *(f"published/{name}" for name in ("loads.parquet", "status.json")),
        summary_key("numbers"),
    }
    [said] = [one for one in caplog.messages if one.startswith("summary not published")]
    assert "dataset=broken" in said
