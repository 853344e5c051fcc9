"""Overview: each dataset's summary as chart and table, live."""

from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from dashboard import text
from dashboard.charts import summary_chart
from dashboard.queries import Published, Summary
from dashboard.status import Progress, Status
from dashboard.views import notices
from dashboard.views.tables import metrics, table

MAX_ROWS = 1000  # of a summary's table: what a reader scrolls through, sent again whenever it changes


@dataclass(frozen=True)
class View:
    """What one run of the page draws."""

    status: Status | None
    summaries: dict[str, Summary | None]


def read(published: Published) -> View:
    """Read all that the page shows."""
    status = published.status()
    return View(status, {name: published.summary(name) for name in sorted(status.datasets)} if status else {})


def show(published: Published) -> None:
    """Draw the page."""
    st.title("Overview")
    _live(published)


@st.fragment(run_every=0.5, key="overview")
def _live(published: Published) -> None:
    view = notices.latest(lambda: read(published), "overview", published.store.url)
    if view is None or view.status is None:
        return
    if not view.summaries:
        notices.no_files()
    for name, summary in view.summaries.items():
        with st.container(border=True, key=f"dataset-{name}"):
            _dataset(name, view.status.datasets[name], summary)


def _dataset(name: str, progress: Progress, summary: Summary | None) -> None:
    st.subheader(text.plain(name), anchor=False)
    _numbers(progress, summary)
    if summary is None or summary.frame.empty:
        st.info("No rows are loaded yet. The Pipeline page shows each file and its first problem.")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _chart(name, summary)
    with right:
        _table(name, summary)


def _numbers(progress: Progress, summary: Summary | None) -> None:
    updated = f"{text.age(summary.updated_at, datetime.now(UTC))} ago" if summary else text.NONE
    numbers = {
        "Rows kept": text.number(progress.rows.kept),
        "Rows rejected": text.number(progress.rows.rejected),
        "Files loaded": text.number(progress.files.loaded),
        "Files waiting": text.number(progress.backlog.files),
        "Updated": updated,
    }
    metrics(numbers, width=150)


def _chart(name: str, summary: Summary) -> None:
    chart = summary_chart(summary)
    described = f"{', '.join(summary.measures or ['rows'])} by {', '.join(summary.groups) or 'nothing'} in {name}"
    st.echarts_chart(chart.options, height=chart.height, key=f"chart-{name}", alt=described)
    if chart.note:
        st.caption(text.plain(chart.note))


def _table(name: str, summary: Summary) -> None:
    frame = summary.frame.head(MAX_ROWS)
    table(frame, f"table-{name}")
    if len(frame) < len(summary.frame):
        st.caption(f"The first {text.number(MAX_ROWS)} of {text.number(len(summary.frame))} groups.")
