import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from dashboard.rejects.timeline import BARS, OTHERS, SERIES, timeline_chart

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND = int(NOW.timestamp())


def counts(*rows: tuple[int, str | None, int]) -> pd.DataFrame:
    """Return counts by the seconds before now, a rule, and a number."""
    frame = pd.DataFrame(rows, columns=["ago", "rule", "problems"]).assign(landed=lambda one: SECOND - one["ago"])
    return frame.astype({"rule": "category"})


def drawn(frame: pd.DataFrame, seconds: int | None = None) -> tuple[list[str], dict[str, list[int]]]:
    chart = timeline_chart(frame, "rule", seconds, NOW)
    assert chart is not None
    assert json.loads(json.dumps(chart.options)) == chart.options
    return chart.options["xAxis"][0]["data"], {one["name"]: one["data"] for one in chart.options["series"]}


def test_problems_stand_where_their_files_landed() -> None:
    labels, series = drawn(counts((3, "type", 2), (3, "size", 1), (3, "type", 4), (0, "type", 5), (1, None, 7)))
    assert labels == ["11:59:57", "11:59:58", "11:59:59", "12:00:00"]
    assert series == {"(none)": [0, 0, 7, 0], "size": [1, 0, 0, 0], "type": [6, 0, 0, 5]}


def test_bars_are_stacked_and_as_wide_as_they_must_be() -> None:
    for span in (1, 100, 5000, 10**5, 10**7, 10**9):
        frame = counts((span, "type", 1), (0, "type", 1), (span // 2, "size", 1))
        labels, series = drawn(frame)
        assert 2 <= len(labels) <= BARS
        assert sum(map(sum, series.values())) == 3
    chart = timeline_chart(frame, "rule", None, NOW)
    assert chart is not None
    assert chart.note == "Each bar is 365 days, UTC."
    assert {one["stack"] for one in chart.options["series"]} == {"rule"}


def test_a_span_ends_now() -> None:
    frame = counts((3600, "type", 1), (100, "size", 2))
    labels, series = drawn(frame, 900)
    assert (labels[0], labels[-1]) == ("11:45:00", "12:00:00")
    assert series == {"size": [2 if label == "11:58:00" else 0 for label in labels]}
    assert timeline_chart(frame, "rule", 50, NOW) is None
    assert timeline_chart(frame.head(0), "rule", None, NOW) is None


@pytest.mark.parametrize("more", [0, 1, 5])
def test_the_smallest_of_many_parts_are_one(more: int) -> None:
    frame = counts(*((0, f"rule {number}", number + 1) for number in range(SERIES + more)))
    _, series = drawn(frame)
    assert len(series) == SERIES
    assert (list(series)[-1] == OTHERS) == bool(more)
    assert sum(map(sum, series.values())) == frame["problems"].sum()
