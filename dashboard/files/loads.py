"""The loads on the Pipeline page: the status of each file, and the details of the open load."""

from urllib.parse import quote

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.files import commands
from dashboard.shared import formats, notices
from dashboard.shared.selection import Row, as_row, choice, close, close_button, open_table
from dashboard.shared.tables import STILL, TIME, metrics
from lake.layout import clean_key, rejected_key
from lake.status import Files

MAX_LOADS = 500  # rows of the table, after the filters: all rows are sent again whenever one changes
STATUSES = [name for name in Files.model_fields if name != "stale"]
COLUMNS = ["source_key", "dataset", "status", "rows_kept", "rows_rejected", "milliseconds", "loaded_at"]
COLUMNS += ["found_by", "first_problem", "drift", "landed_at", "attempts", "stale"]


def show(loads: pd.DataFrame | None, *, remote: bool) -> None:
    """Draw the filters, the newest loads, and below them the open load."""
    st.subheader("Loads", anchor=False)
    loads = pd.DataFrame(columns=COLUMNS) if loads is None else loads
    matches = _filtered(loads)
    if loads.empty:
        notices.no_files()
        return
    shown = matches.head(MAX_LOADS)
    row = open_table(shown, "load", COLUMNS, _columns(), formats.NONE)
    st.caption(STILL if row else _note(len(matches), len(shown)))
    if row:
        newest = loads[loads["source_key"] == row["source_key"]]
        with st.container(border=True, key="load-opened"):
            _load(row if newest.empty else as_row(newest.iloc[0]), remote=remote)


def _filtered(loads: pd.DataFrame) -> pd.DataFrame:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = st.pills("Status", STATUSES, selection_mode="multi", key="statuses", on_change=close, args=("load",))
        datasets = choice("load", "dataset", loads.loc[loads["dataset"] != "", "dataset"], width=260)
    if statuses:
        loads = loads[loads["status"].isin(statuses)]
    return loads[loads["dataset"].isin(datasets)] if datasets else loads


def _note(matches: int, shown: int) -> str:
    note = f"{formats.count(matches, 'file')}, the latest first. Select a file to open it."
    return note if shown == matches else f"{note} The table has the first {formats.number(MAX_LOADS)}."


def _load(load: Row, *, remote: bool) -> None:
    key = load["source_key"]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{formats.plain(key)}** :gray-badge[{load['status']}]")
        close_button("load")
    metrics(_timings(load) | _rows(load), width=120)
    if load["first_problem"]:
        st.markdown("First problem")
        st.code(load["first_problem"], language=None, wrap_lines=True)
    if load["drift"]:
        st.markdown("Its columns are not quite those of the contract")
        st.code(load["drift"], language=None, wrap_lines=True)
    if load["rows_rejected"] or load["status"] == "refused":
        st.markdown(f"[All its problems](/rejects?reject-file={quote(key)})")
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("Its objects")
        st.code("\n".join(_objects(load)), language=None)
        st.markdown("Load it again")
        st.code(commands.replay(key, remote=remote), language="bash", wrap_lines=True)
    with right:
        _debugging(key, remote=remote)


def _timings(load: Row) -> dict[str, str]:
    times = [load[name] for name in ("landed_at", "noticed_at", "started_at", "loaded_at")]
    steps = zip(("Noticed after", "Waited", "Loaded in"), times, times[1:], strict=False)
    return {name: formats.between(before, after) for name, before, after in steps}


def _rows(load: Row) -> dict[str, str]:
    names = ("read", "kept", "dropped", "rejected")
    counts = {name: load[f"rows_{name}"] for name in names}
    return {f"Rows {name}": formats.NONE if value is None else formats.number(value) for name, value in counts.items()}


def _objects(load: Row) -> list[str]:
    key, status = load["source_key"], load["status"]
    objects = [key] if status != "missing" else []
    if load["rows_kept"] is not None and status != "refused":
        objects.append(clean_key(key))
    if load["rows_rejected"] or status == "refused":
        objects.append(rejected_key(key))
    return objects


def _debugging(key: str, *, remote: bool) -> None:
    st.markdown(f"Debug it: set a breakpoint, and press F5 with **{commands.LAUNCH_ONE_FILE}**. It asks for the key")
    st.code(key, language=None, wrap_lines=True)
    inside = ", in the dev container" if remote else ""
    st.markdown(f"and reads only this file; it writes nothing. For any other debugger{inside}:")
    st.code(commands.debug(key), language="bash", wrap_lines=True)


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "source_key": column.TextColumn("file"),
        "rows_kept": column.NumberColumn("rows kept", format="%,d"),
        "rows_rejected": column.NumberColumn("rows rejected", format="%,d"),
        "milliseconds": column.NumberColumn("ms to loaded", format="%,d", help="Milliseconds from landed to loaded."),
        "found_by": column.TextColumn("found by"),
        "first_problem": column.TextColumn("first problem", width="large"),
        "drift": column.TextColumn("drift", width="medium", help="How its columns differ from those of the contract."),
        "landed_at": column.DatetimeColumn("landed", format=TIME),
        "loaded_at": column.DatetimeColumn("loaded", format=TIME),
        "stale": column.CheckboxColumn("stale", help="Loaded under an older fingerprint or from an older version."),
    }
