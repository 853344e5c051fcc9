import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from dashboard.shared.charts import (
    MAX_BARS,
    STEP,
    WINDOW,
    frame_chart,
    line_chart,
    roles,
    summary_chart,
    throughput_chart,
)
from dashboard.shared.published import Summary


def summary(groups: list[str], measures: list[str], **columns: list[Any]) -> Summary:
    frame = pd.DataFrame(columns).convert_dtypes(dtype_backend="pyarrow")
    return Summary(frame, groups, measures, datetime.now(UTC))


def series(options: dict[str, Any]) -> dict[str, list[Any]]:
    return {one["name"]: one["data"] for one in options["series"]}


def test_exact_numbers_are_drawn_as_the_browsers_numbers() -> None:
    chart = summary_chart(summary(["a"], ["paid"], a=["x", "y"], paid=[Decimal("0.10"), Decimal("2.50")], rows=[1, 1]))
    assert json.loads(json.dumps(series(chart.options))) == {"paid": [0.1, 2.5]}


def test_each_measure_is_a_row_of_bars() -> None:
    chart = summary_chart(
        summary(
            ["Dept"], ["Sold", "Returned"], Dept=["Books", "Toys"], Sold=[1333, 1290], Returned=[101, 77], rows=[8, 8]
        )
    )
    assert chart.options["xAxis"][0]["data"] == ["Books", "Toys"]
    assert series(chart.options) == {"Sold": [1333, 1290], "Returned": [101, 77]}
    assert chart.note == ""


def test_options_are_plain_json() -> None:
    chart = summary_chart(summary(["kind"], ["n"], kind=["a", None], n=[2**60, None], rows=[1, 1]))
    assert json.loads(json.dumps(chart.options)) == chart.options
    assert chart.options["xAxis"][0]["data"] == ["a", "(none)"]
    assert series(chart.options)["n"] == [2**60, None]  # unknown is not 0


def test_what_cannot_be_drawn_is_left_out_and_said() -> None:
    columns = {"ratio": [0.5, math.inf, math.nan], "n": [2**53 + 1, 1, None], "rate": [math.inf, 1.0, -math.inf]}
    frame = pa.table(columns | {"rows": [1, 1, 1]}).to_pandas(types_mapper=pd.ArrowDtype)
    chart = frame_chart(frame, ["ratio"], ["n", "rate"])
    assert json.loads(json.dumps(chart.options, allow_nan=False)) == chart.options
    assert chart.options["xAxis"][0]["data"] == ["0.5", "∞", "NaN"]
    assert series(chart.options) == {"n": [2**53 + 1, 1, None], "rate": [None, 1.0, None]}
    assert "Not drawn, because unknown or infinite: 3 values." in chart.note
    assert "drawn rounded" in chart.note
    many = summary([], ["n"], n=[math.nan, *map(float, range(MAX_BARS))], rows=[1] * (MAX_BARS + 1))
    assert series(summary_chart(many).options)["n"] == [*map(float, range(MAX_BARS))]


def test_a_sum_beyond_64_bits_is_drawn() -> None:
    both = pd.DataFrame({"n": pd.Series([18 * 10**18], dtype=object), "rows": [2]})
    assert series(frame_chart(both, [], ["n"]).options) == {"n": [18 * 10**18]}
    many = pd.DataFrame({"n": pd.Series([None, *[2**70 + number for number in range(MAX_BARS)]], dtype=object)})
    assert series(frame_chart(many, [], ["n"]).options)["n"] == many["n"].tolist()[1:]
    large = frame_chart(pd.DataFrame({"n": [1.5e308], "year": [2026]}), ["year"], ["n"])
    assert large.options["grid"][0]["left"] < 300


def test_the_same_data_gives_the_same_options() -> None:
    one = summary(["kind"], ["n"], kind=["a", "b"], n=[1, 2], rows=[1, 1])
    assert json.dumps(summary_chart(one).options) == json.dumps(summary_chart(one).options)


def test_measures_of_another_scale_get_their_own_panel() -> None:
    columns = {"country": ["CH"], "quantity": [50], "total": [2563.5], "returned": [40], "rows": [9]}
    chart = summary_chart(summary(["country"], ["quantity", "total", "returned"], **columns))
    assert {one["name"]: one["xAxisIndex"] for one in chart.options["series"]} == {
        "quantity": 0,
        "returned": 0,
        "total": 1,
    }
    assert len(chart.options["grid"]) == len(chart.options["xAxis"]) == len(chart.options["yAxis"]) == 2
    assert chart.height > summary_chart(summary(["country"], ["total"], **columns)).height


def test_too_many_groups_are_cut_to_the_largest_and_said() -> None:
    many = MAX_BARS + 10
    kinds = [f"kind {number:02}" for number in range(many)]
    chart = summary_chart(summary(["kind"], ["n"], kind=kinds, n=list(range(many)), rows=[1] * many))
    assert chart.options["xAxis"][0]["data"] == kinds[10:]  # in the order of the groups, not of the size
    assert chart.note == f"The {MAX_BARS} largest of {many} groups by n."


def test_without_measures_rows_are_counted() -> None:
    assert series(summary_chart(summary(["kind"], [], kind=["a"], rows=[7])).options) == {"rows": [7]}


def test_several_groups_share_a_label() -> None:
    chart = summary_chart(summary(["kind", "year"], ["n"], kind=["a"], year=[2026], n=[1], rows=[1]))
    assert chart.options["xAxis"][0]["data"] == ["a · 2026"]


def test_throughput_counts_rows_by_when_they_were_loaded() -> None:
    now = datetime(2026, 1, 31, 12, 0, 7, tzinfo=UTC)
    ages = {1: 50, 8: 100, 9: 200, 306: 400, 400: 800}  # seconds ago: the bar that is not yet full is left out
    times = [now - timedelta(seconds=age) for age in ages]
    loads = pd.DataFrame({"loaded_at": [*times, None], "rows_read": [*ages.values(), None]})
    loads = loads.convert_dtypes(dtype_backend="pyarrow")
    bars = series(throughput_chart(loads, now).options)["rows a second"]
    assert len(bars) == WINDOW // STEP
    assert (bars[0], bars[-1], sum(bars)) == (40, 30, 70)
    assert throughput_chart(loads, now).options == throughput_chart(loads, now + timedelta(seconds=2)).options
    assert sum(series(throughput_chart(loads.head(0), now).options)["rows a second"]) == 0


def test_the_columns_of_any_frame_have_roles() -> None:
    frame = pd.DataFrame({"a": ["x"], "b": [1], "c": [1.5], "d": [True]})
    assert roles(frame) == (["a", "d"], ["b", "c"])


ROLES: list[tuple[dict[str, list[Any]], list[str]]] = [
    ({"year(t)": [2025, 2026], "month(t)": [1, 1], "count_star()": [3, 4]}, ["year(t)", "month(t)"]),
    ({"a": [1, 1, 2], "b": [1, 2, 1], "n": [3, 4, 5]}, ["a", "b"]),  # which tell the rows apart together
    ({"country": ["CH", "CH"], "y": [2025, 2026], "n": [3, 4]}, ["country", "y"]),
    ({"Dept": ["a", "b"], "Sold": [1, 1], "Returned": [2, 2]}, ["Dept"]),
    ({"order_id": [7, 8], "quantity": [1, 1], "price": [1.5, 1.5]}, ["order_id"]),
    ({"Dept": ["a"], "count(id)": [1], "sum(line)": [1]}, ["Dept"]),
    ({"sum(a)": [1], "sum(b)": [2]}, []),
    ({"year": [2026]}, []),
]


@pytest.mark.parametrize(("columns", "names"), ROLES)
def test_a_number_that_names_rows_is_not_drawn(columns: dict[str, list[Any]], names: list[str]) -> None:
    frame = pd.DataFrame(columns).convert_dtypes(dtype_backend="pyarrow")
    assert roles(frame) == (names, [name for name in columns if name not in names])


def test_a_line_goes_through_the_rows_in_their_order() -> None:
    many = MAX_BARS + 10
    frame = pd.DataFrame({"day": [f"d{number}" for number in range(many)], "n": list(range(many, 0, -1))})
    chart = line_chart(frame, ["day"], ["n"])
    assert chart.options["series"][0]["type"] == "line"
    assert chart.options["xAxis"][0]["data"] == list(frame["day"])
    assert chart.note == ""


def test_without_groups_there_is_one_bar() -> None:
    chart = summary_chart(summary([], ["n"], n=[5], rows=[1]))
    assert chart.options["xAxis"][0]["data"] == ["all"]
    assert series(chart.options) == {"n": [5]}


def test_a_long_number_has_room_beside_its_axis() -> None:
    frame = pd.DataFrame({"Dept": ["A"], "Sold": [36_028_797_019_061_846]})
    assert frame_chart(frame, ["Dept"], ["Sold"]).options["grid"][0]["left"] > 22 * 7
