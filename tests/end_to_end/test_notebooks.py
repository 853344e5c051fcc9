"""The notebooks, run as a whole on a folder and on a bucket: their sums, rows and problems are those of the files."""

import asyncio
import json
import os
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from lake.stores.local import LocalStore
from lake.stores.users import User, prepare
from tests.support.lake import HEADER, Lake, new_lake
from tests.support.notebooks import notebook_names, read_notebook

ORDERS = "order_id,ordered_at,customer,email,country,product,quantity,unit_price,discount,total"

# What a notebook has found, under the same names for each of them.
ANSWERS = {
    "pandas": """
def by_group(frame):
    return frame.groupby("Dept")["Sold"].sum().to_dict()

now, before, files = sums["Sold"].to_dict(), by_group(earlier), by_group(plain)
problems = rejected[["source_key", "line", "column"]].values.tolist()
""",
    "polars": """
def by_group(frame):
    return dict(frame.group_by("country").agg(pl.col("quantity").sum()).collect().rows())

now, before, files = dict(sums.select("country", "quantity").rows()), by_group(earlier), by_group(plain)
assert by_group(at_that_time) == before
problems = rejected.select("source_key", "line", "column").rows()
""",
    "duckdb": """
def by_group(relation):
    return {country: int(total) for country, total in relation.aggregate("country, sum(quantity)").fetchall()}

assert by_group(now) == by_group(orders)
now = {country: int(quantity) for country, _, quantity, _ in sums.fetchall()}
before, files = by_group(earlier), by_group(plain)
problems = rejected.select("source_key", "line", "column").fetchall()
""",
}
PRINT = """
import json
print(json.dumps([now, before, files, problems, [str(row["_source_key"]), int(row["_line"]), line]]))
"""


def company_csv(amounts: list[int], bad: str = "") -> bytes:
    rows = [f"1-Jan,Dept {n % 2},Store,{amount},0,1" for n, amount in enumerate(amounts)]
    return "\n".join([HEADER, *rows, *([f"1-Jan,Dept 1,Store,{bad},0,1"] if bad else []), ""]).encode()


def orders_csv(name: str, amounts: list[int], bad: str = "") -> bytes:
    rows = [
        f'{name}-{n},2026-0{n + 1}-15T12:00:00Z,"Ann, Ö",,{("DE", "FR")[n % 2]},pen,{amount},1.5,,{1.5 * int(amount)}'
        for n, amount in enumerate(amounts)
    ]
    return "\n".join([ORDERS, *rows, *([f"x,2026-01-01T12:00:00Z,Ann,,DE,pen,{bad},1,,1"] if bad else []), ""]).encode()


def fill(lake: Lake) -> None:
    """Load two files of each dataset, one with a bad record; then replace the other one."""
    for amounts in ([1, 2, 4], [100, 200]):
        lake.put("companydata/a b.csv", company_csv(amounts))
        lake.put("companydata/bad.csv", company_csv([10, 20], bad="many"))
        lake.put("orders/a b.csv", orders_csv("a", amounts))
        lake.put("orders/bad.csv", orders_csv("b", [10, 20], bad="many"))
        assert lake.finish("once", TABLES_SECONDS="5") == 0


async def run(name: str, folder: Path, environ: Mapping[str, str]) -> list[Any]:
    """Run a notebook; return what it has found. It must have drawn a chart."""
    notebook = read_notebook(f"read_with_{name}.ipynb")
    notebook.cells.append(nbformat.v4.new_code_cell(ANSWERS[name] + PRINT))
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # streamlit sets it
    await client.async_execute(env={**inherited, "HOME": str(folder), **environ})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if "image/png" in output.get("data", {})], name
    answer: list[Any] = json.loads(outputs[-1]["text"])
    return answer


def check(lake: Lake, folder: Path, environ: Mapping[str, str]) -> None:
    """Run all notebooks at the same time, and compare them with the files."""

    async def all_of_them() -> list[list[Any]]:
        return await asyncio.gather(*(run(name, folder, environ) for name in ANSWERS))

    folder.mkdir()
    with ThreadPoolExecutor(1) as thread:  # in this one, a browser of other tests may have an event loop
        answers = thread.submit(asyncio.run, all_of_them()).result()
    for name, answer in zip(ANSWERS, answers, strict=True):
        now, before, files, problems, (key, number, line) = answer
        dataset, column = ("companydata", "Sold") if name == "pandas" else ("orders", "quantity")
        first, second = ("Dept 0", "Dept 1") if name == "pandas" else ("DE", "FR")
        assert now == files == {first: 110, second: 220}, name
        assert before == {first: 15, second: 22}, name
        assert problems == [[f"raw/{dataset}/bad.csv", 4, column]], name
        with lake.store.open(key) as (_, stream):
            assert stream.read().decode().splitlines()[number - 1] == line.rstrip("\n"), name


def test_on_a_folder(tmp_path):
    """Read the default folder, which `make run` fills, with no variable set."""
    lake = new_lake(LocalStore(tmp_path / "data/lake"), {"LAKE_URL": str(tmp_path / "data/lake")}, tmp_path / "state")
    fill(lake)
    check(lake, tmp_path / "notebooks", {})


@pytest.mark.needs_engine
def test_on_a_bucket_with_the_readers_key(minio, tmp_path):
    store = minio.new_store()
    reader = User("reader", f"reader-{uuid.uuid4().hex[:8]}", "another-password")
    prepare(store, [reader])
    lake = new_lake(store, minio.environ(store.bucket), tmp_path / "state")
    fill(lake)
    key = {"AWS_ACCESS_KEY_ID": reader.access_key, "AWS_SECRET_ACCESS_KEY": reader.secret_key}
    there = {"AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}  # as docker-compose.yaml has it
    check(lake, tmp_path / "notebooks", {**minio.environ(store.bucket), **key, **there})


@pytest.mark.parametrize("name", notebook_names())
def test_it_is_committed_as_it_was_before_it_ran(name):
    notebook = read_notebook(name)
    nbformat.validate(notebook)
    assert [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")] == []
    assert set(notebook.metadata.language_info) == {"name"}
