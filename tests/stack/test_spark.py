"""Spark in the stack: its cluster, its notebook, and the tables after a storm as Spark reads them."""

import json
import re
import time
import urllib.request
from collections import defaultdict
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import nbformat
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lake.layout import CLEAN, REJECTED, table_prefix
from lake.stores.base import ObjectStore
from tests.support.compose import SPARK_NOTEBOOK, Stack
from tests.support.lake import company_csv
from tests.support.minio_server import until
from tests.support.notebooks import read_notebook
from tests.support.project import ROOT
from tests.support.storm import version
from tests.support.truth import SPOILT, truth_of

pytestmark = [pytest.mark.needs_engine, pytest.mark.timeout(900)]

ODD = ("a b", "c#1?", "100 %", "é+%20", "f's", "_d", ".e", "_g/h")
HIDDEN = {f"raw/orders/{name}.csv" for name in ODD[-3:]}
ORDERS = """order_id,ordered_at,customer,email,country,product,quantity,unit_price,discount,total
{0}-1,2026-01-31T12:00:00Z,Ann,,DE,pen,{0},1.5,,1.5
{0}-2,2026-02-28T12:00:00Z,"Bo, Ö",b@example.org,XX,ink,2,0.25,0.1,0.4
"""
# Before the notebook's last cell, which ends its session.
ANSWERS = """
import json

table = spark.read.format("delta").load(f"{LAKE}/tables/clean/companydata").orderBy("_source_key", "_line")
problems = spark.read.format("delta").load(f"{LAKE}/tables/rejected/companydata").select("source_key", "line")
tripled = F.udf(lambda number: 3 * number, "long")
try:
    orders.limit(1).write.format("delta").mode("append").save(path)
    written = "written"
except Exception as error:
    written = str(error)

print(json.dumps({
    "versions": [newest, oldest],
    "rows": orders.count(),
    "sums": [[row.country, row["rows"], row.quantity, row.total] for row in sums.collect()],
    "best": [list(row) for row in best.collect()],
    "earlier": earlier.agg(F.sum("quantity")).first()[0],
    "left_out": [row[0] for row in left_out.collect()],
    "table": [row.asDict() for row in table.collect()],
    "problems": sorted([list(row) for row in problems.distinct().collect()], key=str),
    "tripled": [row[0] for row in spark.range(4).select(tripled("id")).collect()],
    "written": written,
}))
"""

SNIPPET = re.search(r"```\n(from pyspark.*?)```", (ROOT / "docs/read.md").read_text(), re.DOTALL)[1]


def content(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as (_, stream):
        return stream.read()


def read_table(stack: Stack, kind: str, dataset: str, version: int | None = None) -> pa.Table:
    """Read a table by deltalake, with the reader's key; an empty one if it is not there yet."""
    address, options = stack.acting_as("reader").store().address(table_prefix(kind, dataset))
    if not DeltaTable.is_deltatable(address, options):
        return pa.table({name: [] for name in ("_source_key", "_line", "source_key", "line")})
    return DeltaTable(address, version=version, storage_options=options).to_pyarrow_table()


def cluster(stack: Stack) -> dict[str, Any]:
    """Return what the master's page says, as JSON."""
    with urllib.request.urlopen(f"{stack.urls.spark}/json/", timeout=10) as answer:
        state: dict[str, Any] = json.load(answer)
    return state


def alive(stack: Stack) -> int:
    return [worker["state"] for worker in cluster(stack)["workers"]].count("ALIVE")


def test_nobody_joins_without_the_secret(stack):
    worker = ("spark-class", "org.apache.spark.deploy.worker.Worker", "--work-dir", "/tmp/work", "spark://spark:7077")
    wrong = ("--env", "_SPARK_AUTH_SECRET=wrong")
    stack.compose("exec", "--detach", *wrong, SPARK_NOTEBOOK, "timeout", "60", *worker)
    before = len(cluster(stack)["workers"])
    until(lambda: "Mismatched response" in stack.logs("spark-master"), 60, "the master's refusal")
    assert len(cluster(stack)["workers"]) == before


def storm(stack: Stack) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """Load, replace, refuse and retract files of odd names, in several commits; return the true rows and problems."""
    store, chance = stack.store(), Random(3)
    for round_ in range(3):
        for number in range(40):
            store.put(f"raw/companydata/{chance.choice(ODD)}{number % 4}.csv", version(40 * round_ + number))
        wait_for_tables(stack)
    for name in ODD[::3]:
        store.delete(f"raw/companydata/{name}1.csv")
    store.put(f"raw/companydata/{ODD[0]}2.csv", SPOILT)
    store.put(f"raw/companydata/{ODD[5]}2.csv", company_csv(77))
    return wait_for_tables(stack)


def wait_for_tables(stack: Stack) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """Wait until deltalake reads from the tables what the raw files have; return that: rows, lines with problems."""
    store = stack.store()
    truth = {info.key: truth_of(info.key, content(store, info.key)) for info in store.list("raw/companydata/")}
    rows = [row for key in sorted(truth) for row in truth[key].clean]
    lines = sorted([[key, line] for key, one in truth.items() for line in one.bad], key=str)

    def right() -> bool:
        clean = read_table(stack, CLEAN, "companydata").sort_by([("_source_key", "ascending"), ("_line", "ascending")])
        problems = read_table(stack, REJECTED, "companydata").select(["source_key", "line"]).to_pylist()
        found = {(problem["source_key"], problem["line"]) for problem in problems}
        return clean.to_pylist() == rows and sorted(map(list, found), key=str) == lines

    until(right, 60, "what the raw files have in the tables", lambda _: time.sleep(0.5))
    return rows, lines


def run_notebook(stack: Stack) -> tuple[dict[str, Any], list[Any]]:
    """Run the notebook where its user does; return what it found, and all outputs."""
    notebook = read_notebook("read_with_spark.ipynb")
    notebook.cells[-1:-1] = [nbformat.v4.new_code_cell(code) for code in (ANSWERS, SNIPPET)]
    path = Path(stack.variables["NOTEBOOK_FOLDER"], "spark run.ipynb")
    nbformat.write(notebook, path)
    path.chmod(0o666)
    stack.compose("exec", "-T", SPARK_NOTEBOOK, "jupyter", "execute", "--inplace", path.name)
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    answer, shown = (stdout(cell) for cell in cells[-3:-1])
    assert "sum(quantity)" in shown
    return json.loads(answer), [output for cell in cells for output in cell.outputs]


def stdout(cell: nbformat.NotebookNode) -> str:
    return "".join(output["text"] for output in cell.outputs if output.get("name") == "stdout")


def totals(table: pa.Table) -> list[list[Any]]:
    """Return rows, quantity and total by country."""
    grouped = table.group_by("country").aggregate([("country", "count"), ("quantity", "sum"), ("total", "sum")])
    columns = ("country", "country_count", "quantity_sum", "total_sum")
    return sorted(grouped.select(columns).to_pandas().values.tolist())


def best(table: pa.Table) -> list[list[Any]]:
    """Return the product with the largest quantity of each country, the first of the alphabet among equals."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for row in table.select(["country", "product", "quantity"]).to_pylist():
        sums[row["country"], row["product"]] += row["quantity"]
    ranked = sorted((country, -quantity, product) for (country, product), quantity in sums.items())
    firsts = [next(group) for _, group in groupby(ranked, key=lambda one: one[0])]
    return [[country, product, -quantity] for country, quantity, product in firsts]


def test_the_notebook_finds_what_others_find_and_can_change_nothing(stack):
    """One session for all of it, since a JVM takes long to start."""
    for number, name in enumerate(ODD, 1):
        stack.store().put(f"raw/orders/{name}.csv", ORDERS.format(number).encode())
    rows, lines = storm(stack)
    mine = {f"raw/orders/{name}.csv" for name in ODD}
    until(lambda: mine <= set(read_table(stack, CLEAN, "orders")["_source_key"].to_pylist()), 60, "the orders")
    answer, outputs = run_notebook(stack)

    newest, oldest = (read_table(stack, CLEAN, "orders", version) for version in answer["versions"])
    assert answer["rows"] == newest.num_rows
    assert [row[:3] for row in answer["sums"]] == [row[:3] for row in totals(newest)]
    assert [row[3] for row in answer["sums"]] == pytest.approx([row[3] for row in totals(newest)], abs=0.01)
    assert answer["best"] == best(newest)
    assert answer["earlier"] == sum(oldest["quantity"].to_pylist())
    assert set(answer["left_out"]) == HIDDEN
    assert [output for output in outputs if "image/png" in output.get("data", {})]
    assert (answer["table"], answer["problems"]) == (rows, lines)
    assert answer["tripled"] == [0, 3, 6, 9]
    assert "AccessDenied" in answer["written"]


def test_another_worker_joins_on_request(stack):
    """The last test in here, for a second worker makes the others slower where there are two cores."""
    assert (cluster(stack)["status"], alive(stack)) == ("ALIVE", 1)
    stack.compose("--profile", "spark", "up", "--detach", "--wait", "--scale", "spark-worker=2")
    until(lambda: alive(stack) == 2, 60, "the second worker")
