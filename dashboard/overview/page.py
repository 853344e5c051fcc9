"""Overview: freshness, throughput, and each dataset's summary as chart and table, live."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard.shared import formats, notices
from dashboard.shared.charts import STEP, WINDOW, summary_chart, throughput_chart
from dashboard.shared.failures import one_sentence
from dashboard.shared.published import Published, Summary
from dashboard.shared.tables import metrics, table
from lake.status import NoContract, Progress, Rows, Status

MAX_CARDS = 12  # datasets that are read and drawn
MAX_CHOICES = 1000  # datasets that are offered for a choice
MAX_NAMES = 5  # folders without a contract that are named
CHOSEN = "overview-datasets"
MAX_ROWS = 1000  # of a summary's table: all rows are sent again whenever one changes


@st.fragment(run_every=0.5, key="overview")
@one_sentence
def show(published: Published) -> None:
    """Draw the page."""
    latest = notices.latest(published, "overview", _read)
    if latest is None:
        return
    status, (summaries, loads) = latest
    if not status.datasets and not status.no_contract.folders:
        notices.no_files()
    with st.container(key="datasets-chosen"):  # always there, so that it does not move what is below
        _choose(status)
    for name, summary in summaries.items():
        with st.container(border=True, key=f"dataset-{name}"):
            _dataset(name, status.datasets.get(name, Progress()), summary)
    _without_contract(status.no_contract)
    if loads is not None and not loads.empty:
        _throughput(loads)


def _read(published: Published, status: Status) -> tuple[dict[str, Summary | None], pd.DataFrame | None]:
    chosen = [name for name in st.session_state.get(CHOSEN, []) if name in status.datasets] or _by_rows(status)
    return {name: published.summary(name) for name in sorted(chosen[:MAX_CARDS])}, published.loads()


def _by_rows(status: Status) -> list[str]:
    """Return the names of the datasets, those with rows first."""
    return sorted(status.datasets, key=lambda name: (not status.datasets[name].rows.kept, name))


def _choose(status: Status) -> None:
    """Draw a choice of datasets, if there are more than the page shows."""
    if len(status.datasets) <= MAX_CARDS:
        return
    offered = sorted({*_by_rows(status)[:MAX_CHOICES], *st.session_state.get(CHOSEN, [])})
    first = f"the first {MAX_CARDS} that have rows"
    st.multiselect("Datasets", offered, key=CHOSEN, max_selections=MAX_CARDS, placeholder=first, select_all=False)
    total = formats.count(len(status.datasets), "dataset")
    st.caption(f"There are {total}. The page shows {first}, or up to {MAX_CARDS} that you choose.")


def _without_contract(strays: NoContract) -> None:
    if not strays.folders:
        return
    names = ", ".join(f"**{_label(name)}**" for name in strays.names[:MAX_NAMES])
    more = f" and {formats.number(strays.folders - MAX_NAMES)} more" if strays.folders > MAX_NAMES else ""
    st.info(
        f"{formats.count(strays.folders, 'folder')} under `raw/` without a contract: {names}{more}. "
        "Their files are refused; the Rejects page says what to do.",
        icon=":material/folder_off:",
    )


@one_sentence  # so that a dataset that cannot be shown does not hide the others
def _dataset(name: str, progress: Progress, summary: Summary | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(_label(name), anchor=False, width="content")
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
    return f":green-badge[:material/update: last result {formats.age(summary.updated_at, datetime.now(UTC))} ago]"


def _numbers(progress: Progress) -> None:
    rows, files = progress.rows, progress.files
    numbers = {f"Rows {name}": value for name, value in rows}
    numbers |= {"Files loaded": files.loaded, "Files waiting": files.pending}
    metrics({name: formats.number(value) for name, value in numbers.items()}, width=130)
    st.caption(adds_up(rows))


def adds_up(rows: Rows) -> str:
    """Return a caption that says whether every row read is kept, dropped or rejected."""
    kept, dropped, rejected = map(formats.number, (rows.kept, rows.dropped, rows.rejected))
    parts = f"{kept} kept + {dropped} dropped + {rejected} rejected"
    missing = rows.read - rows.kept - rows.dropped - rows.rejected
    if not missing:
        return f":green[:material/check:] {formats.number(rows.read)} read = {parts}"
    return (
        f":red[:material/error: {formats.number(rows.read)} read, but {parts}:] {formats.number(abs(missing))} "
        f"{'missing' if missing > 0 else 'too many'}. `python -m pipeline verify` shows where."
    )


def _chosen(name: str, summary: Summary) -> Summary:
    """Draw the choice of measures and groups; return the summary by the chosen ones."""
    groups, measures = summary.groups, summary.measures
    with st.container(horizontal=True):
        if len(measures) > 1:
            measures = _pills("Show", measures, f"measures-{name}")
        if groups:
            groups = _pills("By", groups, f"groups-{name}")
    return replace(summary.by([group for group in summary.groups if group in groups]), measures=measures)


def _pills(label: str, names: list[str], key: str) -> list[str]:
    return st.pills(label, names, selection_mode="multi", default=names, format_func=_label, key=key)


def _label(name: str) -> str:
    return formats.plain(formats.shortened(name))


def _chart(name: str, summary: Summary) -> None:
    chart = summary_chart(summary)
    measures, groups = (", ".join(map(formats.shortened, names)) for names in (summary.measures, summary.groups))
    alt = f"{measures or 'rows'} by {groups or 'nothing'} in {name}"
    st.echarts_chart(chart.options, height=chart.height, key=f"chart-{name}", alt=alt)
    if chart.note:
        st.caption(formats.plain(chart.note))


def _table(name: str, summary: Summary) -> None:
    frame = summary.frame[[*summary.groups, *summary.measures, "rows"]].head(MAX_ROWS)
    table(frame, f"table-{name}", amounts=[*summary.measures, "rows"])
    if summary.measures and frame[summary.measures].isna().any(axis=None):
        st.caption(f"{formats.NULL}: a sum beyond 64 bits, or 38 digits, or a sum of such sums.")
    if len(frame) < len(summary.frame):
        st.caption(f"The first {formats.number(MAX_ROWS)} of {formats.number(len(summary.frame))} groups.")


def _throughput(loads: pd.DataFrame) -> None:
    with st.container(border=True, key="throughput"):
        st.subheader("Throughput", anchor=False)
        chart = throughput_chart(loads, datetime.now(UTC))
        alt = f"rows loaded per second in the last {WINDOW // 60} minutes"
        st.echarts_chart(chart.options, height=chart.height, key="chart-throughput", alt=alt)
        st.caption(f"Each bar is {STEP} seconds, UTC. Of a file that was loaded twice, only the last load counts.")
