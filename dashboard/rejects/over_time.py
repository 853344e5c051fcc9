"""The chart of the Rejects page: how many problems there are, by when their files landed."""

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard.rejects.timeline import SPANS, timeline_chart
from dashboard.shared import formats
from dashboard.shared.problem_counts import Counts

BY = ["rule", "column", "dataset"]  # what the parts of a bar may stand for


def show(counted: pd.DataFrame) -> None:
    """Draw the problems that were chosen."""
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


def covered(counted: pd.DataFrame, counts: Counts) -> str:
    """Say what is counted."""
    problems, files = int(counted["problems"].sum()), counted["source_key"].nunique()
    said = f"Counted: all {formats.count(problems, 'problem')} of {formats.count(files, 'file')}"
    said += f", among the newest {formats.count(counts.loads, 'load')}. A file that is corrected counts no more."
    if counts.uncounted:
        older = formats.count(counts.uncounted, "file")
        said += f" Not counted: {older} with problems, from an older version of the pipeline, until `replay --stale`."
    return said
