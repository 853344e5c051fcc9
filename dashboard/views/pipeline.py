"""Pipeline: is it alive, what waits, how fast it is, and what became of each file."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard import text
from dashboard.queries import Published
from dashboard.status import Files, Progress, Status
from dashboard.views import notices
from dashboard.views.tables import TIME, metrics, table

MAX_LOADS = 500  # of the loads table, after its filter: sent again whenever one changes
STATUSES = [name for name in Files.model_fields if name != "stale"]


@dataclass(frozen=True)
class View:
    """What one run of the page draws."""

    status: Status | None
    loads: pd.DataFrame | None


def read(published: Published) -> View:
    """Read all that the page shows."""
    return View(published.status(), published.loads())


def show(published: Published) -> None:
    """Draw the page."""
    st.title("Pipeline")
    _live(published)


@st.fragment(run_every=0.5, key="pipeline")
def _live(published: Published) -> None:
    view = notices.latest(lambda: read(published), "pipeline", published.store.url)
    if view is None or view.status is None:
        return
    _numbers(view.status)
    _datasets(view.status)
    _loads(view.loads)


def _numbers(status: Status) -> None:
    latency, backlog, found = status.latency_ms, status.backlog, status.found_by
    oldest = text.age(backlog.oldest_at, datetime.now(UTC)) if backlog.oldest_at else text.NONE
    groups = {
        "Waiting": {"files": text.number(backlog.files), "size": text.size(backlog.bytes), "oldest": oldest},
        "Landed to loaded": {name: text.milliseconds(value) for name, value in latency},
        "Found by": {name: text.number(value) for name, value in found},
    }
    for column, (title, numbers) in zip(st.columns([3, 3, 2]), groups.items(), strict=True):
        with column, st.container(border=True):
            st.markdown(f"**{title}**")
            metrics(numbers, width=100)


def _datasets(status: Status) -> None:
    st.subheader("Files and rows", anchor=False)
    table(datasets_frame(status), "datasets")


def datasets_frame(status: Status) -> pd.DataFrame:
    """Give files by status and rows by fate, one line per dataset and one for all."""
    lines: list[tuple[str, Progress]] = [*sorted(status.datasets.items()), ("all", status)]
    return pd.DataFrame(
        {"dataset": name}
        | {f"files {field}": value for field, value in progress.files}
        | {f"rows {field}": value for field, value in progress.rows}
        for name, progress in lines
    )


def _loads(loads: pd.DataFrame | None) -> None:
    st.subheader("Loads", anchor=False)
    chosen = st.pills("Status", STATUSES, selection_mode="multi", key="statuses", label_visibility="collapsed")
    if loads is None or loads.empty:
        notices.no_files()
        return
    found = loads[loads["status"].isin(chosen)] if chosen else loads
    frame = found.head(MAX_LOADS).drop(columns=["etag", "latest"])
    table(frame, "loads", _load_columns())
    note = f"{text.count(len(found), 'file')}, the latest first."
    st.caption(note if len(frame) == len(found) else f"{note} The table has the first {text.number(MAX_LOADS)}.")


def _load_columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "source_key": column.TextColumn("file"),
        "rows_kept": column.NumberColumn("rows kept", format="%,d"),
        "rows_rejected": column.NumberColumn("rows rejected", format="%,d"),
        "milliseconds": column.NumberColumn("ms to loaded", format="%,d", help="Milliseconds from landed to loaded."),
        "found_by": column.TextColumn("found by"),
        "first_problem": column.TextColumn("first problem", width="large"),
        "landed_at": column.DatetimeColumn("landed", format=TIME),
        "loaded_at": column.DatetimeColumn("loaded", format=TIME),
        "stale": column.CheckboxColumn("stale", help="Loaded under an older recipe or from an older version."),
    }
