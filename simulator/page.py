"""The page: what a visitor sees and can tell the source system. Its state is the system's: all see the same."""

import io
from functools import partial

import pandas as pd
import streamlit as st

from simulator import system
from simulator.feed import NAMES, FeedState
from simulator.settings import FILES_PER_SECOND, ROWS

LIVE = 1.0  # seconds


@st.fragment(run_every=LIVE, key="companydata")
def show_companydata(source: system.SourceSystem) -> None:
    """Show the file of company data as it was last written."""
    if problem := st.session_state.get("problem"):
        st.error(problem)
    if source.companydata is None:
        st.info("Nothing written since this program started. Press the button to write 24 rows.")
        return
    st.caption(f"Written at {source.companydata.written_at:%H:%M:%S} UTC")
    st.table(pd.read_csv(io.BytesIO(source.companydata.data)), border="horizontal", hide_index=True)


def show_button(source: system.SourceSystem) -> None:
    """Show the button that writes new company data; not in what refreshes itself, which could swallow a press."""
    st.subheader("Company data")
    st.caption(f"One file, `{system.COMPANYDATA_KEY}`: the button writes new numbers in place of the old.")
    st.button("Regenerate data", type="primary", key="regenerate", on_click=_regenerate, args=(source,))


def _regenerate(source: system.SourceSystem) -> None:
    try:
        source.regenerate()
    except OSError as error:
        st.session_state["problem"] = f"Nothing was written. {_advice(source.store.url, error)} Then press again."
    else:
        st.session_state["problem"] = ""


def _advice(url: str, error: object) -> str:
    place = (
        "start it with `docker compose up -d minio`" if "://" in url else "see that the folder is there and has room"
    )
    return f"The store `{url}` said: {error}. If it is away, {place}; if it refuses, check its access rights."


@st.fragment(run_every=LIVE, key="feed")
def show_feed(source: system.SourceSystem) -> None:
    """Show the feed's switch, its pace and its newest files."""
    state = source.feed.state
    st.subheader("Feed of orders")
    st.caption(f"Writes `raw/orders/feed/` all the time, over {NAMES} names that are used again.")
    _show_controls(source, state)
    if state.on and source.outage.error:
        st.warning(f"The feed waits, and loses nothing. {_advice(source.store.url, source.outage.error)}")
    files, rows = st.columns(2)
    files.metric("Files written", f"{state.files_written:,}", border=True)
    rows.metric("Rows written", f"{state.rows_written:,}", border=True)
    _show_newest(state)


def _show_controls(source: system.SourceSystem, state: FeedState) -> None:
    _follow(feed_on=state.on, files_per_second=state.files_per_second, rows_per_file=state.rows)
    change = partial(_change, source)
    switch, pace, size = st.columns([1, 2, 2], vertical_alignment="bottom")
    switch.toggle("Feed", key="feed_on", on_change=change)
    low, high = FILES_PER_SECOND
    pace.number_input("Files per second", low, high, step=0.5, format="%g", key="files_per_second", on_change=change)
    size.number_input("Rows per file", *ROWS, step=100, key="rows_per_file", on_change=change)


def _follow(**shared: object) -> None:
    """Take over what another visitor set. Only a difference, or an entry that is being typed would be lost."""
    for key, value in shared.items():
        if st.session_state.get(key) != value:
            st.session_state[key] = value


def _change(source: system.SourceSystem) -> None:
    told = st.session_state
    source.feed.change(on=told["feed_on"], files_per_second=told["files_per_second"], rows=told["rows_per_file"])


def _show_newest(state: FeedState) -> None:
    if not state.newest:
        st.info("No file yet." if state.on else "No file yet. Switch the feed on to write some.")
        return
    rows = [(f"{file.written_at:%H:%M:%S}", file.key, file.rows, file.size) for file in state.newest]
    columns = ["Written (UTC)", "Key", "Rows", "Bytes"]
    st.dataframe(pd.DataFrame(rows, columns=columns), hide_index=True, height="content", key="newest")


def show() -> None:
    """Show the page from top to bottom."""
    st.set_page_config(page_title="Simulator · Lakelet", page_icon="🛒", layout="wide")
    st.title("Simulator")
    source = system.running
    if source is None:
        st.error("The source system does not run in this process. Start the page with `python -m simulator run`.")
        st.stop()
    st.markdown(f"Plays the source system: puts CSV files under `raw/` in the lake at `{source.store.url}`.")
    left, right = st.columns([2, 3], gap="large")
    with left:
        show_button(source)
        show_companydata(source)
    with right:
        show_feed(source)


show()
