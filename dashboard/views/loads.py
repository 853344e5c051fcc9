"""The loads on the Pipeline page: what became of each file, and all that is known of the one that is opened."""

from typing import Any
from urllib.parse import quote

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard import commands, text
from dashboard.status import Files
from dashboard.views import notices
from dashboard.views.tables import TIME, metrics, table
from storage.layout import clean_key, rejected_key

MAX_LOADS = 500  # of the loads table, after its filter: sent again whenever one changes
STATUSES = [name for name in Files.model_fields if name != "stale"]
Load = dict[str, Any]  # a row of the loads; None for what is not known
COLUMNS = ["source_key", "dataset", "status", "rows_kept", "rows_rejected", "milliseconds", "loaded_at"]
COLUMNS += ["found_by", "first_problem", "landed_at", "attempts", "stale"]


def show(loads: pd.DataFrame | None, url: str) -> None:
    """Draw the filters, the newest loads, and below them the one that was opened."""
    st.subheader("Loads", anchor=False)
    found = _filtered(loads)
    if loads is None or found is None or loads.empty:
        notices.no_files()
        return
    state = st.session_state
    # A selection is a row's number: the table stands still while a load is open, or others would move under it.
    frame = state["loads-shown"] = found.head(MAX_LOADS) if state.get("load-open") is None else state["loads-shown"]
    table(
        frame[COLUMNS],
        f"loads-{state.get('loads-drawn', 0)}",
        _columns(),
        on_select=_open,
    )
    _note(found, frame)
    if (key := state.get("load-open")) is not None:
        newest = pd.concat([loads[loads["source_key"] == key], frame[frame["source_key"] == key]])
        with st.container(border=True, key="load"):
            _load({name: None if pd.isna(value) else value for name, value in newest.iloc[0].items()}, url)


def _filtered(loads: pd.DataFrame | None) -> pd.DataFrame | None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = st.pills("Status", STATUSES, selection_mode="multi", key="statuses", on_change=_close)
        known = set() if loads is None else {*loads["dataset"].unique()} - {""}
        options = sorted({*known, *st.session_state.get("load-datasets", [])})
        datasets = st.multiselect(
            "Dataset", options, key="load-datasets", placeholder="all", width=260, select_all=False, on_change=_close
        )
    if loads is not None and statuses:
        loads = loads[loads["status"].isin(statuses)]
    return loads[loads["dataset"].isin(datasets)] if loads is not None and datasets else loads


def _open() -> None:
    state = st.session_state
    rows = state[f"loads-{state.get('loads-drawn', 0)}"].selection.rows
    shown = state["loads-shown"]
    state["load-open"] = str(shown["source_key"].iloc[rows[0]]) if rows and rows[0] < len(shown) else None


def _close() -> None:
    state = st.session_state
    if state.get("load-open") is not None:
        state["load-open"], state["loads-drawn"] = None, state.get("loads-drawn", 0) + 1  # a table without a selection


def _note(found: pd.DataFrame, frame: pd.DataFrame) -> None:
    if st.session_state.get("load-open") is not None:
        st.caption("The table stands still while a file is open.")
        return
    note = f"{text.count(len(found), 'file')}, the latest first. Select one to open it."
    st.caption(note if len(frame) == len(found) else f"{note} The table has the first {text.number(MAX_LOADS)}.")


def _load(load: Load, url: str) -> None:
    key = load["source_key"]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{text.plain(key)}** :gray-badge[{load['status']}]")
        st.button("Close", key="load-close", icon=":material/close:", on_click=_close)
    metrics(_timings(load) | _rows(load), width=120)
    if load["first_problem"]:
        st.markdown("First problem")
        st.code(load["first_problem"], language=None, wrap_lines=True)
    if load["rows_rejected"] or load["status"] == "refused":
        st.markdown(f"[All that is wrong with it](/rejects?reject-file={quote(key)})")
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("Its objects")
        st.code("\n".join(_objects(load)), language=None)
        st.markdown("Load it again")
        st.code(commands.replay(url, key), language="bash", wrap_lines=True)
    with right:
        _debugging(key)


def _timings(load: Load) -> dict[str, str]:
    times = [load[name] for name in ("landed_at", "noticed_at", "started_at", "loaded_at")]
    steps = zip(("Noticed after", "Waited", "Loaded in"), times, times[1:], strict=False)
    return {name: text.between(before, after) for name, before, after in steps}


def _rows(load: Load) -> dict[str, str]:
    names = ("read", "kept", "dropped", "rejected")
    counts = {name: load[f"rows_{name}"] for name in names}
    return {f"Rows {name}": text.NONE if value is None else text.number(value) for name, value in counts.items()}


def _objects(load: Load) -> list[str]:
    key, status = load["source_key"], load["status"]
    objects = [key] if status != "missing" else []
    if load["rows_kept"] is not None and status != "refused":
        objects.append(clean_key(key))
    if load["rows_rejected"] or status == "refused":
        objects.append(rejected_key(key))
    return objects


def _debugging(key: str) -> None:
    st.markdown("Watch it in the debugger: press F5 (**Pipeline (live)**) or start it for any debugger,")
    st.code(commands.DEBUG, language="bash", wrap_lines=True)
    st.markdown("set a breakpoint in `load` of `pipeline/load.py` with this condition, then load it again:")
    st.code(commands.breakpoint_condition(key), language="python", wrap_lines=True)


def _columns() -> dict[str, ColumnConfig]:
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
