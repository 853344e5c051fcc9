"""The chart of the Rejects page: numbers of problems, by the time when their files landed."""

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard.rejects.timeline import SPANS, timeline_chart
from dashboard.shared import formats
from dashboard.shared.problem_counts import Counts

BY = ["rule", "column", "dataset"]  # columns whose values the parts of a bar may show


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
