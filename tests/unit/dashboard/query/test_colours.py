import math

import pandas as pd
import pytest

from dashboard.query.colours import MAX_COLOURS, coloured_chart
from dashboard.shared.charts import frame_chart

FRAME = pd.DataFrame(
    {
        "country": ["DE", "DE", "FR", "FR", None],
        "year": [2025, 2026, 2025, 2025, 2026],
        "rows": [1, 2, 3, 4, 5],
        "price": [1.5, None, 2.5, math.inf, 3.5],
    }
).convert_dtypes(dtype_backend="pyarrow")


def drawn(frame: pd.DataFrame, x: list[str], measures: list[str], colour: str, most: int = 24) -> tuple[dict, str]:
    chart = coloured_chart(frame_chart, frame, x, measures, colour, most)
    series = {(one["yAxisIndex"], one["name"]): one["data"] for one in chart.options["series"]}
    return {"x": chart.options["xAxis"][0]["data"], **series}, chart.note


def test_each_value_of_the_colour_has_a_series_in_the_panel_of_each_measure():
    series, note = drawn(FRAME, ["country", "year"], ["rows", "price"], "year")
    assert series == {
        "x": ["DE", "FR", "(none)"],
        (0, "2025"): [1, 7, None],
        (0, "2026"): [2, None, 5],
        (1, "2025"): [1.5, 2.5, None],
        (1, "2026"): [None, None, 3.5],
    }
    assert note == "Rows with the same x and colour are added up. Not drawn, because unknown or infinite: 2 values."


def test_columns_have_any_name():
    frame = pd.DataFrame({"a": ["p", "q"], "colour": ["r", "r"], "x": [1, 2]})
    series, note = drawn(frame, ["a"], ["x"], "colour")
    assert (series, note) == ({"x": ["p", "q"], (0, "r"): [1, 2]}, "")


@pytest.mark.parametrize("count", [MAX_COLOURS, MAX_COLOURS + 3])
def test_the_largest_colours_and_places_stay(count):
    frame = pd.DataFrame({"name": [f"n{n}" for n in range(count)], "place": range(count), "size": range(1, count + 1)})
    series, note = drawn(frame, ["place"], ["size"], "name", most=5)
    assert series.pop("x") == [str(n) for n in range(count - 5, count)]
    assert [name for _, name in series] == [f"n{n}" for n in range(count - MAX_COLOURS, count)]
    colours = f" The 12 largest of {count} values of colour." if count > MAX_COLOURS else ""
    assert note == f"The 5 largest of {count} values of x.{colours}"
