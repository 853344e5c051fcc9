import csv
import io
import json
import re
import time
from decimal import ROUND_HALF_UP, Decimal

import pytest

from simulator import datasets
from tests.support.project import DATASETS

CENT = Decimal("0.01")


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_companydata_is_the_workshops_file(seed: int) -> None:
    rows = rows_of(datasets.companydata(seed))
    assert len(rows) == 24
    assert len({(row["Month"], row["Dept"], row["Store"]) for row in rows}) == 24
    assert [len({row[name] for row in rows}) for name in ("Month", "Dept", "Store")] == [4, 3, 2]
    assert all(50 <= int(row["Sold"]) <= 290 for row in rows)
    assert all(0 <= int(row["Returned"]) <= 50 for row in rows)
    assert all(0 <= int(row["Ordered"]) <= 100 for row in rows)


@pytest.mark.parametrize("make", [datasets.companydata, lambda seed: datasets.orders(seed, 50)])
def test_same_seed_same_bytes(make) -> None:
    first = make(3)
    datasets._shop.cache_clear()
    assert make(3) == first
    assert make(4) != first


@pytest.mark.parametrize(
    ("dataset", "data"), [("companydata", datasets.companydata(1)), ("orders", datasets.orders(1, 2_000))]
)
def test_data_fits_its_contract(dataset: str, data: bytes) -> None:
    contract = json.loads((DATASETS / f"{dataset}.json").read_text())["schema"]["fields"]
    rows = rows_of(data)
    assert list(rows[0]) == [field["name"] for field in contract]
    for field in contract:
        limits = field.get("constraints", {})
        values = [row[field["name"]] for row in rows]
        assert all(values) or not limits.get("required"), field
        given = [value for value in values if value]
        assert all(re.fullmatch(limits.get("pattern", "(?s).*"), value) for value in given), field
        assert all(limits.get("minLength", 0) <= len(value) <= limits.get("maxLength", 99) for value in given), field
        if field["type"] in ("integer", "number"):
            numbers = [Decimal(value) for value in given]
            assert all(limits.get("minimum", 0) <= value <= limits.get("maximum", 10**9) for value in numbers), field
        if field["type"] == "datetime":
            assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) for value in given)


def test_totals_are_what_quantity_price_and_discount_make() -> None:
    for row in rows_of(datasets.orders(11, 2_000)):
        exact = int(row["quantity"]) * Decimal(row["unit_price"]) * (1 - Decimal(row["discount"] or "0"))
        assert Decimal(row["total"]) == exact.quantize(CENT, ROUND_HALF_UP), row


def test_orders_have_what_real_files_have() -> None:
    data = datasets.orders(5, 2_000)
    rows = rows_of(data)
    assert len(rows) == 2_000 == len(data.splitlines()) - 1
    assert any("," in row["product"] for row in rows)
    assert any('"' in row["product"] for row in rows)
    assert b'""' in data
    assert any(not row["email"] for row in rows)
    assert any(not row["discount"] for row in rows)
    assert any(row["discount"] for row in rows)
    assert not data.isascii()


def test_order_ids_are_unique_over_the_files_of_a_seed() -> None:
    ids = [row["order_id"] for number in (0, 1, 2) for row in rows_of(datasets.orders(5, 300, number))]
    assert len(set(ids)) == 900


def test_order_ids_keep_their_length() -> None:
    (row,) = rows_of(datasets.orders(2**40 + 5, 1, 10**9))
    assert len(row["order_id"]) <= 20


def test_a_thousand_orders_take_well_under_100_milliseconds() -> None:
    datasets.orders(5, 1)
    fastest = min(_seconds(number) for number in range(5))
    assert fastest < 0.1


def _seconds(number: int) -> float:
    begin = time.perf_counter()
    datasets.orders(5, 1_000, number)
    return time.perf_counter() - begin
