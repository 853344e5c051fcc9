"""Overview: how fresh and how fast it is, and each dataset's summary as chart and table, live."""

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

MAX_CARDS = 12  # datasets that are read and drawn, whatever is in the store
MAX_CHOICES = 1000  # datasets that the reader can choose from
MAX_NAMES = 5  # folders without a contract that are named
CHOSEN = "overview-datasets"
MAX_ROWS = 1000  # of a summary's table: what a reader scrolls through, sent again whenever it changes


@st.fragment(run_every=0.5, key="overview")
@one_sentence
def show(published: Published) -> None:
    """Draw the page."""
    seen = notices.latest(published, "overview", _read)
    if seen is None:
        return
    status, (summaries, loads) = seen
    if not status.datasets and not status.no_contract.folders:
        notices.no_files()
    with st.container(key="datasets-chosen"):  # always there, so that what is below keeps its place
        _choose(status)
    for name, summary in summaries.items():
        with st.container(border=True, key=f"dataset-{name}"):
            _dataset(name, status.datasets.get(name, Progress()), summary)
    _without_contract(status.no_contract)
    if loads is not None and not loads.empty:
        _throughput(loads)


def _read(published: Published, status: Status) -> tuple[dict[str, Summary | None], pd.DataFrame | None]:
    wanted = [name for name in st.session_state.get(CHOSEN, []) if name in status.datasets] or _first(status)
    return {name: published.summary(name) for name in sorted(wanted[:MAX_CARDS])}, published.loads()


def _first(status: Status) -> list[str]:
    """Return the datasets in the order in which they get a place on the page: those with rows first."""
    return sorted(status.datasets, key=lambda name: (not status.datasets[name].rows.kept, name))


def _choose(status: Status) -> None:
    """Let the reader choose which datasets are shown, where there are more than a page can show."""
    if len(status.datasets) <= MAX_CARDS:
        return
    offered = sorted({*_first(status)[:MAX_CHOICES], *st.session_state.get(CHOSEN, [])})
    first = f"the first {MAX_CARDS} that have rows"
    st.multiselect("Datasets", offered, key=CHOSEN, max_selections=MAX_CARDS, placeholder=first, select_all=False)
    number = formats.count(len(status.datasets), "dataset")
    st.caption(f"There are {number}. Shown are {first}, or up to {MAX_CARDS} that you choose.")


def _without_contract(strays: NoContract) -> None:
    if not strays.folders:
        return
    names = ", ".join(f"**{formats.plain(formats.shortened(name))}**" for name in strays.names[:MAX_NAMES])
    more = f" and {formats.number(strays.folders - MAX_NAMES)} more" if strays.folders > MAX_NAMES else ""
    st.info(
        f"{formats.count(strays.folders, 'folder')} under `raw/` without a contract: {names}{more}. "
        "Nothing in there is loaded; the Rejects page says how to mend it.",
        icon=":material/folder_off:",
    )


@one_sentence  # so that what cannot be shown of one dataset takes no other away
def _dataset(name: str, progress: Progress, summary: Summary | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(formats.plain(formats.shortened(name)), anchor=False, width="content")
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
    numbers = {f"Rows {name}": formats.number(value) for name, value in rows}
    metrics(
        numbers | {"Files loaded": formats.number(files.loaded), "Files waiting": formats.number(files.pending)},
        width=130,
    )
    st.caption(adds_up(rows))


def adds_up(rows: Rows) -> str:
    """Say whether every row that was read is accounted for."""
    kept, dropped, rejected = map(formats.number, (rows.kept, rows.dropped, rows.rejected))
    parts = f"{kept} kept + {dropped} dropped + {rejected} rejected"
    missing = rows.read - rows.kept - rows.dropped - rows.rejected
    if not missing:
        return f":green[:material/check:] {formats.number(rows.read)} read = {parts}"
    return (
        f":red[:material/error: {formats.number(rows.read)} read, but {parts}:] {formats.number(abs(missing))} "
        f"{'missing' if missing > 0 else 'too many'}. `python -m pipeline verify` finds where."
    )


def _chosen(name: str, summary: Summary) -> Summary:
    """Let the reader choose what is summed up, and by what; where there is no choice, nothing is asked."""
    groups, measures = summary.groups, summary.measures
    with st.container(horizontal=True):
        if len(measures) > 1:
            measures = _switches("Show", measures, f"measures-{name}")
        if groups:
            groups = _switches("By", groups, f"groups-{name}")
    return replace(summary.by([one for one in summary.groups if one in groups]), measures=measures)


def _switches(label: str, names: list[str], key: str) -> list[str]:
    return st.pills(label, names, selection_mode="multi", default=names, format_func=_label, key=key)


def _label(name: str) -> str:
    return formats.plain(formats.shortened(name))


def _chart(name: str, summary: Summary) -> None:
    chart = summary_chart(summary)
    measures, groups = (", ".join(map(formats.shortened, names)) for names in (summary.measures, summary.groups))
    described = f"{measures or 'rows'} by {groups or 'nothing'} in {name}"
    st.echarts_chart(chart.options, height=chart.height, key=f"chart-{name}", alt=described)
    if chart.note:
        st.caption(formats.plain(chart.note))


def _table(name: str, summary: Summary) -> None:
    frame = summary.frame[[*summary.groups, *summary.measures, "rows"]].head(MAX_ROWS)
    table(frame, f"table-{name}", amounts=[*summary.measures, "rows"])
    if summary.measures and frame[summary.measures].isna().any(axis=None):
        st.caption(f"{formats.NULL}: a sum beyond 64 bits, or one with such a sum in it.")
    if len(frame) < len(summary.frame):
        st.caption(f"The first {formats.number(MAX_ROWS)} of {formats.number(len(summary.frame))} groups.")


def _throughput(loads: pd.DataFrame) -> None:
    with st.container(border=True, key="throughput"):
        st.subheader("Throughput", anchor=False)
        chart = throughput_chart(loads, datetime.now(UTC))
        described = f"rows loaded a second over the last {WINDOW // 60} minutes"
        st.echarts_chart(chart.options, height=chart.height, key="chart-throughput", alt=described)
        st.caption(f"Every {STEP} seconds of the last {WINDOW // 60} minutes, UTC. A file that came twice counts once.")
