"""Chart options from frames; pure functions."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from dashboard.shared import formats
from dashboard.shared.published import Summary

MAX_BARS = 24
MAX_POINTS = 2000  # of each line
# Names of columns that identify rows and measure nothing: `year(ordered_at)`, `order_id`, `_line`; but not `count(id)`.
NAMES_ROWS = re.compile(
    r"(?i)(?!(count|sum|avg|mean|median|min|max|any_value|approx_\w+)\()"
    r"(.*[^a-z])?(year|quarter|month|week|day|date|hour|minute|id|key|code|line|isodow|dow|doy|date_part)([^a-z].*)?"
)
COMPARABLE = 20  # measures share an axis while the largest is at most this many times the smallest
PANEL, LEGEND, AXIS = 240, 36, 34  # pixels
WINDOW, STEP = 300, 10  # seconds of the throughput's chart, and of each bar in it


@dataclass(frozen=True)
class Chart:
    """ECharts options, height in pixels, and a note for the reader (empty if the chart shows everything)."""

    options: dict[str, Any]
    height: int
    note: str = ""


def summary_chart(summary: Summary) -> Chart:
    """Return bars of a summary's measures by group, in one panel per scale."""
    return frame_chart(summary.frame, summary.groups, summary.measures or ["rows"])


def frame_chart(
    whole: pd.DataFrame, groups: list[str], measures: list[str], panels: list[list[str]] | None = None
) -> Chart:
    """Return bars of the `measures` of a frame: one bar for each row, named by its `groups`.

    Measures of a comparable scale share a panel, unless `panels` says which do.
    """
    frame = _largest(whole, measures[0])
    largest = f"{MAX_BARS} largest of {formats.number(len(whole))} groups by {formats.shortened(measures[0])}"
    cut = f"The {largest}. " if len(frame) < len(whole) else ""
    return _chart(frame, groups, measures, cut, panels or _panels(frame, measures))


def line_chart(
    whole: pd.DataFrame, groups: list[str], measures: list[str], panels: list[list[str]] | None = None
) -> Chart:
    """Return lines of the `measures` of a frame through its rows, in their order; `panels` as for bars."""
    frame = whole.head(MAX_POINTS)
    first = f"{formats.number(MAX_POINTS)} of {formats.count(len(whole), 'row')}"
    cut = f"The first {first}. " if len(frame) < len(whole) else ""
    chart = _chart(frame, groups, measures, cut, panels or _panels(frame, measures))
    for series in chart.options["series"]:
        series |= {"type": "line", "showSymbol": len(frame) <= MAX_BARS}
    return chart


def _chart(frame: pd.DataFrame, groups: list[str], measures: list[str], cut: str, panels: list[list[str]]) -> Chart:
    note = f"{cut}{_note(frame, measures)}".strip()
    return Chart(options(frame, labels(frame, groups), panels), LEGEND + PANEL * len(panels), note)


def _note(frame: pd.DataFrame, measures: list[str]) -> str:
    """Return a note on numbers that a browser cannot draw exactly."""
    values = [value for name in measures for value in _values(frame[name])]
    notes = [note] if (note := not_drawn(values.count(None))) else []
    if any(isinstance(value, int) and int(float(value)) != value for value in values):
        notes.append("Integers beyond 2^53 are drawn rounded; the table has every digit.")
    return " ".join(notes)


def not_drawn(values: int) -> str:
    """Return a note on the number of values that a chart cannot have; empty for 0."""
    return f"Not drawn, because unknown or infinite: {formats.count(values, 'value')}." if values else ""


def throughput_chart(loads: pd.DataFrame, now: datetime) -> Chart:
    """Return bars of the rows loaded per second over the last minutes; the same chart until another `STEP` is over."""
    end = int(now.timestamp()) // STEP * STEP
    recent = loads[loads["loaded_at"].notna() & (loads["loaded_at"] >= datetime.fromtimestamp(end - WINDOW, UTC))]
    times = recent["loaded_at"].map(lambda time: int(time.timestamp()) // STEP * STEP)
    rows = recent["rows_read"].fillna(0).groupby(times).sum().to_dict()
    starts = range(end - WINDOW, end, STEP)
    name = "rows a second"
    frame = pd.DataFrame({name: [int(rows.get(start, 0)) / STEP for start in starts]})
    times_of_bars = [f"{datetime.fromtimestamp(start, UTC):%H:%M:%S}" for start in starts]
    return Chart(options(frame, times_of_bars, [[name]], PANEL // 2), LEGEND + PANEL // 2)


def roles(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the columns that identify the rows of any frame, and the columns that measure them.

    A column of integers identifies rows if its name says so, as that of a year. It also does if it precedes another
    number, as in the result of `GROUP BY ALL`, and the other identifying columns alone do not distinguish all rows.
    """
    columns = list(map(str, frame))
    numbers = [name for name in columns if formats.is_number(frame[name])]
    groups = [name for name in columns if name not in numbers]
    for name in numbers[:-1]:  # one number is left to be drawn
        distinct = not frame.duplicated(groups).any() if groups else len(frame) < 2
        if pd.api.types.is_integer_dtype(frame[name]) and (NAMES_ROWS.fullmatch(name) or not distinct):
            groups.append(name)
    return [name for name in columns if name in groups], [name for name in numbers if name not in groups]


def _largest(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    if len(frame) <= MAX_BARS:
        return frame
    values = frame[measure].to_numpy(float, na_value=math.nan)
    order = np.argsort(np.where(np.isfinite(values), -values, math.inf), kind="stable")
    return frame.iloc[np.sort(order[:MAX_BARS])]


def _panels(frame: pd.DataFrame, measures: list[str]) -> list[list[str]]:
    """Return the measures in panels, those of a comparable scale together."""
    panels: dict[float, list[str]] = {}
    for measure in measures:
        top = _top(frame, [measure])
        scale = next((scale for scale in panels if _comparable(scale, top)), top)
        panels.setdefault(scale, []).append(measure)
    return list(panels.values())


def _top(frame: pd.DataFrame, measures: list[str]) -> float:
    values = (value for name in measures for value in _values(frame[name]) if value is not None)
    return max(map(abs, values), default=0)


def _comparable(first: float, second: float) -> bool:
    low, high = sorted((first, second))
    return low == 0 or high <= COMPARABLE * low


def options(frame: pd.DataFrame, names: list[str], panels: list[list[str]], height: int = PANEL) -> dict[str, Any]:
    """Return the options of bars: one series per column of `frame`, in `panels` of `height` pixels each."""
    indexes, left = range(len(panels)), _left(_top(frame, [name for panel in panels for name in panel]))
    legend = {"type": "scroll", "top": 0, "left": "center", "icon": "roundRect", "itemWidth": 12, "itemHeight": 12}
    return {
        "animationDuration": 250,
        "animationDurationUpdate": 250,
        "legend": legend,
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}, "valueFormatter": "%,g", "confine": True},
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "grid": [_grid(index, height, left) for index in indexes],
        "xAxis": [_category_axis(names, index, last=index == len(panels) - 1) for index in indexes],
        "yAxis": [{"type": "value", "gridIndex": index, "splitNumber": 4} for index in indexes],
        "series": [_bars(frame, name, index) for index, panel in enumerate(panels) for name in panel],
    }


def _grid(index: int, height: int, left: int) -> dict[str, Any]:
    return {"top": LEGEND + height * index + 8, "height": height - AXIS - 8, "left": left, "right": 8}


def _left(largest: float) -> int:
    """Return the width in pixels of the longest number beside an axis."""
    return min(220, max(64, 24 + 7 * len(formats.number(round(largest)))))


def _category_axis(names: list[str], index: int, *, last: bool) -> dict[str, Any]:
    shown = {"show": last, "hideOverlap": True, "width": 96, "overflow": "truncate"}
    return {"type": "category", "gridIndex": index, "data": names, "axisTick": {"show": False}, "axisLabel": shown}


def _bars(frame: pd.DataFrame, name: str, panel: int) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": formats.shortened(name),
        "xAxisIndex": panel,
        "yAxisIndex": panel,
        "data": _values(frame[name]),
        "barMaxWidth": 44,
        "itemStyle": {"borderRadius": [3, 3, 0, 0]},
    }


def _values(column: "pd.Series[Any]") -> list[Any]:
    """Return a column's numbers, with None for those that JSON and a chart cannot have: unknown, infinite or NaN."""
    known = [None if pd.isna(value) or not math.isfinite(value) else value for value in column.tolist()]
    return [float(value) if isinstance(value, Decimal) else value for value in known]


def labels(frame: pd.DataFrame, groups: list[str]) -> list[str]:
    """Return the name of each row by its `groups`."""
    if not groups:
        return ["all"] * len(frame)
    return [" · ".join(map(_label, row)) for row in frame[groups].itertuples(index=False)]


def _label(value: object) -> str:
    if isinstance(value, float):
        return formats.exact(value) or ""
    return "(none)" if pd.isna(value) else formats.shortened(str(value))  # type: ignore[call-overload]
