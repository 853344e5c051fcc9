"""Problems over time: the chart of the Rejects page, as stacked bars by the time when files landed."""

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard.shared import formats
from dashboard.shared.charts import LEGEND, Chart, options
from dashboard.shared.problem_counts import Counts

BY = ["rule", "column", "dataset"]  # columns whose values the parts of a bar may show
HEIGHT = 140  # pixels, without the legend
BARS = 60
SERIES = 6  # in one chart: if there are more, the smallest share the last one
OTHERS, NONE = "all others", "(none)"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
STEPS = [
    *(1, 2, 5, 10, 15, 30),
    *(step * _MINUTE for step in (1, 2, 5, 10, 15, 30)),
    *(step * _HOUR for step in (1, 2, 3, 6, 12)),
    *(step * _DAY for step in (1, 2, 7, 30, 90, 365)),
]
SPANS = {"all": None, "15 min": 15 * _MINUTE, "1 h": _HOUR, "1 day": _DAY, "30 days": 30 * _DAY}


def show(counted: pd.DataFrame) -> None:
    """Draw the counted problems over time."""
    with st.container(border=True, key="reject-time"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            by = st.segmented_control("Problems over time, by", BY, default=BY[0], key="reject-by", required=True)
            span = st.segmented_control("Landed within", SPANS, default="all", key="reject-span", required=True)
        chart = timeline_chart(counted, by, SPANS[span], datetime.now(UTC))
        if chart is None:
            st.info(f"No file with such a problem landed in the last {span}.", icon=":material/search_off:")
            return
        st.echarts_chart(chart.options, height=chart.height, key="reject-chart", alt=f"problems over time by {by}")
        st.caption(chart.note)


def coverage(counted: pd.DataFrame, counts: Counts) -> str:
    """Return a caption that says which problems are counted."""
    problems = formats.count(int(counted["problems"].sum()), "problem")
    files, loads = formats.count(counted["source_key"].nunique(), "file"), formats.count(counts.loads, "load")
    caption = f"Counted: all {problems} of {files}, among the newest {loads}. Corrected files are not counted."
    if counts.uncounted:
        older = formats.count(counts.uncounted, "file")
        caption += (
            f" Not counted: {older} with problems, from an older version of the pipeline, until `replay --stale`."
        )
    return caption


def timeline_chart(counts: pd.DataFrame, by: str, seconds: int | None, now: datetime) -> Chart | None:
    """Return bars of the problems of `counts`, by the time when their files landed; None if there are no problems.

    Args:
        counts: rows with `landed` (UTC seconds), `problems` and the column `by`.
        by: the column whose values are the parts of a bar.
        seconds: the time up to `now` that is shown; None for the time from the first file to the last.
        now: the time, in UTC.
    """
    times = counts["landed"]
    last = int(now.timestamp()) if seconds or times.empty else times.max()
    first = last - seconds if seconds else times.min()
    shown = times.between(first, last)
    if not shown.any():
        return None
    step = next((step for step in STEPS if last // step - first // step < BARS), STEPS[-1])
    starts = range(first // step * step, last + 1, step)[-BARS:]
    by_bar = counts[shown].groupby([times[shown] // step * step, by], dropna=False, observed=True)["problems"].sum()
    frame = _largest(by_bar.unstack(fill_value=0)).reindex(starts, fill_value=0)
    labels = [_label(start, step) for start in starts]
    chart = options(frame, labels, [list(map(str, frame))], HEIGHT)
    for bars in chart["series"]:
        bars |= {"stack": by, "itemStyle": {}}
    chart["yAxis"][0]["minInterval"] = 1
    return Chart(chart, LEGEND + HEIGHT, f"Each bar is {_duration(step)}, UTC.")


def _largest(sums: pd.DataFrame) -> pd.DataFrame:
    """Return the columns with the largest sums, by name, and the sum of the other columns."""
    sums = sums.set_axis([NONE if isinstance(name, float) else str(name) for name in sums], axis=1).sort_index(axis=1)
    if len(sums.columns) <= SERIES:
        return sums
    others = sums.sum().nsmallest(len(sums.columns) - SERIES + 1).index
    return sums.drop(columns=others).assign(**{OTHERS: sums[others].sum(axis=1)})


def _label(start: int, step: int) -> str:
    form = "%H:%M:%S" if step < _MINUTE else "%d %b %H:%M" if step < _DAY else "%d %b %Y"
    return datetime.fromtimestamp(start, UTC).strftime(form)


def _duration(step: int) -> str:
    units = {"day": _DAY, "hour": _HOUR, "minute": _MINUTE, "second": 1}
    unit = next(unit for unit, size in units.items() if step >= size)
    return formats.count(step // units[unit], unit)
