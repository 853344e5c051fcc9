"""Overview: how fresh and how fast it is, and each dataset's summary as chart and table, live."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard import text
from dashboard.charts import STEP, WINDOW, summary_chart, throughput_chart
from dashboard.queries import Published, Summary
from dashboard.status import Progress, Rows, Status
from dashboard.views import notices
from dashboard.views.tables import metrics, table

MAX_ROWS = 1000  # of a summary's table: what a reader scrolls through, sent again whenever it changes


@st.fragment(run_every=0.5, key="overview")
def show(published: Published) -> None:
    """Draw the page."""
    seen = notices.latest(published, "overview", _read)
    if seen is None:
        return
    status, (summaries, loads) = seen
    if not summaries:
        notices.no_files()
    for name, summary in summaries.items():
        with st.container(border=True, key=f"dataset-{name}"):
            _dataset(name, status.datasets[name], summary)
    if loads is not None and not loads.empty:
        _throughput(loads)


def _read(published: Published, status: Status) -> tuple[dict[str, Summary | None], pd.DataFrame | None]:
    return {name: published.summary(name) for name in sorted(status.datasets)}, published.loads()


def _dataset(name: str, progress: Progress, summary: Summary | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(text.plain(name), anchor=False, width="content")
        st.markdown(_freshness(summary))
    _numbers(progress)
    if summary is None or summary.frame.empty:
        st.info("No rows are loaded yet. The Pipeline page shows each file and its first problem.")
        return
    chosen = _chosen(name, summary)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _chart(name, chosen)
    with right:
        _table(name, chosen)


def _freshness(summary: Summary | None) -> str:
    if summary is None:
        return ":gray-badge[no result yet]"
    return f":green-badge[:material/update: last result {text.age(summary.updated_at, datetime.now(UTC))} ago]"


def _numbers(progress: Progress) -> None:
    rows, files = progress.rows, progress.files
    numbers = {f"Rows {name}": text.number(value) for name, value in rows}
    metrics(
        numbers | {"Files loaded": text.number(files.loaded), "Files waiting": text.number(files.pending)}, width=130
    )
    st.caption(adds_up(rows))


def adds_up(rows: Rows) -> str:
    """Say whether every row that was read is accounted for."""
    parts = (
        f"{text.number(rows.kept)} kept + {text.number(rows.dropped)} dropped + {text.number(rows.rejected)} rejected"
    )
    missing = rows.read - rows.kept - rows.dropped - rows.rejected
    if not missing:
        return f":green[:material/check:] {text.number(rows.read)} read = {parts}"
    return (
        f":red[:material/error: {text.number(rows.read)} read, but {parts}:] {text.number(abs(missing))} "
        f"{'missing' if missing > 0 else 'too many'}. `python -m pipeline verify` finds where."
    )


def _chosen(name: str, summary: Summary) -> Summary:
    """Let the reader choose what is summed up, and by what; where there is no choice, nothing is asked."""
    groups, measures = summary.groups, summary.measures
    with st.container(horizontal=True):
        if len(measures) > 1:
            measures = st.pills("Show", measures, selection_mode="multi", default=measures, key=f"measures-{name}")
        if groups:
            groups = st.pills("By", groups, selection_mode="multi", default=groups, key=f"groups-{name}")
    return replace(summary.by([one for one in summary.groups if one in groups]), measures=measures)


def _chart(name: str, summary: Summary) -> None:
    chart = summary_chart(summary)
    described = f"{', '.join(summary.measures or ['rows'])} by {', '.join(summary.groups) or 'nothing'} in {name}"
    st.echarts_chart(chart.options, height=chart.height, key=f"chart-{name}", alt=described)
    if chart.note:
        st.caption(text.plain(chart.note))


def _table(name: str, summary: Summary) -> None:
    frame = summary.frame[[*summary.groups, *summary.measures, "rows"]].head(MAX_ROWS)
    table(frame, f"table-{name}")
    if len(frame) < len(summary.frame):
        st.caption(f"The first {text.number(MAX_ROWS)} of {text.number(len(summary.frame))} groups.")


def _throughput(loads: pd.DataFrame) -> None:
    with st.container(border=True, key="throughput"):
        st.subheader("Throughput", anchor=False)
        chart = throughput_chart(loads, datetime.now(UTC))
        described = f"rows loaded a second over the last {WINDOW // 60} minutes"
        st.echarts_chart(chart.options, height=chart.height, key="chart-throughput", alt=described)
        st.caption(f"Every {STEP} seconds of the last {WINDOW // 60} minutes, UTC. A file that came twice counts once.")
