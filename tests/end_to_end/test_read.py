"""Every snippet of docs/read.md, run on a real lake: each sum in it is that of the files."""

import ast
import re
import uuid
from collections import Counter
from typing import Any

import pandas as pd
import polars as pl
import pytest

from lake.stores.local import LocalStore
from lake.stores.users import User, prepare
from tests.support.lake import Lake, new_lake
from tests.support.project import ROOT

HEADER = "order_id,ordered_at,customer,email,country,product,quantity,unit_price,discount,total"
FOLDER, BUCKET = [], []
for snippet in re.findall(r"```\n((?:import|from) .*?)```", (ROOT / "docs/read.md").read_text(), re.DOTALL):
    if "pyspark" in snippet:
        continue  # tests/stack/test_spark.py runs it
    (BUCKET if "localhost:9000" in snippet else FOLDER).append(snippet)


def order_csv(seed: int) -> tuple[bytes, Counter[str]]:
    """Return a file of orders, other quantities for each seed; and the quantity by country."""
    rows, sums = [HEADER], Counter[str]()
    for number in range(30):
        country, quantity = ("DE", "FR", "SE")[number % 3], 1 + (seed + number) % 7
        rows.append(f"{seed}-{number},2026-01-31T12:00:00Z,Ann,,{country},pen,{quantity},1.5,,{1.5 * quantity}")
        sums[country] += quantity
    return "\n".join([*rows, ""]).encode(), sums


def fill(lake: Lake) -> dict[str, int]:
    """Load orders, and replace a file of them in a second commit; return the quantity by country."""
    files: dict[str, Counter[str]] = {}
    for names in (["a.csv", "b c.csv", "d.csv"], ["a.csv"]):
        for name in names:
            content, files[name] = order_csv(len(names) + len(name))
            lake.put(f"orders/{name}", content)
        assert lake.finish("once", "--strict", TABLES_SECONDS="5") == 0
    return dict(sum(files.values(), Counter[str]()))


def sums(code: str) -> list[dict[str, int]]:
    """Run a snippet; return the value of each line that is an expression, as the quantity by country."""
    names: dict[str, Any] = {}
    values = []
    for statement in ast.parse(code).body:
        source = ast.unparse(statement)
        if isinstance(statement, ast.Expr) and not source.startswith("table.load_as_version"):
            values.append(_as_dict(eval(source, names)))
        else:
            exec(source, names)
    return values


def _as_dict(value: Any) -> dict[str, int]:
    if isinstance(value, pd.Series):
        return {str(country): int(amount) for country, amount in value.items()}
    rows = value.rows() if isinstance(value, pl.DataFrame) else value.fetchall()
    return {country: int(amount) for country, amount in rows}


def test_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lake = new_lake(LocalStore(tmp_path / "data/lake"), {"LAKE_URL": str(tmp_path / "data/lake")}, tmp_path / "state")
    expected = fill(lake)
    assert len(FOLDER) == 5
    for code in FOLDER:
        results = sums(code)
        assert results, code
        assert [result for result in results if result != expected] == [], code


@pytest.mark.needs_engine
def test_in_a_bucket_with_the_readers_key(minio, tmp_path):
    store = minio.new_store()
    reader = User("reader", f"reader-{uuid.uuid4().hex[:8]}", "another-password")
    prepare(store, [reader])
    expected = fill(new_lake(store, minio.environ(store.bucket), tmp_path / "state"))
    assert len(BUCKET) == 2
    for code in BUCKET:
        for here, there in {
            '"reader"': f'"{reader.access_key}"',
            "reader-on-this-machine": reader.secret_key,
            "http://localhost:9000": minio.endpoint,
            "s3://lake/": f"s3://{store.bucket}/",
            '"lake/': f'"{store.bucket}/',
        }.items():
            code = code.replace(here, there)
        results = sums(code)
        assert results, code
        assert [result for result in results if result != expected] == [], code
