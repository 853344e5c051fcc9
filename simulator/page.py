"""The simulator's page. Its state is that of the source system, so every visitor sees the same."""

import io
import re
from functools import partial

import pandas as pd
import streamlit as st

from lake.stores.base import ObjectStore
from simulator import system
from simulator.feed import FAULTS, NAMES, FeedState
from simulator.load_status import LoadStatus
from simulator.settings import FILES_PER_SECOND, ROWS

LIVE = 1.0  # seconds


@st.fragment(run_every=LIVE, key="companydata")
def show_companydata(source: system.SourceSystem) -> None:
    """Show the last version of the company data."""
    if problem := st.session_state.get("problem"):
        st.error(problem)
    if source.companydata is None:
        st.info("Nothing written since this program started. Press the button to write 24 rows.")
        return
    source.load_status.refresh()
    outcome = source.load_status.of(system.COMPANYDATA_KEY, source.companydata.etag, source.companydata.written_at)
    st.caption(f"Written at {source.companydata.written_at:%H:%M:%S} UTC: {_plain(outcome)}")
    st.table(pd.read_csv(io.BytesIO(source.companydata.data)), border="horizontal", hide_index=True)


def _plain(text: str) -> str:
    """Return text as Markdown that shows it as it is: a reason may have names and values of any kind in it."""
    return re.sub(r"([\\`*_$\[\]<~]|:(?=\w))", r"\\\1", " ".join(text.split()))


def show_button(source: system.SourceSystem) -> None:
    """Show the button that writes new company data; outside the fragment, whose refresh could lose a press."""
    st.subheader("Company data")
    st.caption(f"One file, `{system.COMPANYDATA_KEY}`: the button writes new numbers in place of the old.")
    st.button("Regenerate data", type="primary", key="regenerate", on_click=_regenerate, args=(source,))


def _regenerate(source: system.SourceSystem) -> None:
    try:
        source.regenerate()
    except OSError as error:
        st.session_state["problem"] = f"Nothing was written: mend it, and press again. {_advice(source.store, error)}"
    else:
        st.session_state["problem"] = ""


def _advice(store: ObjectStore, error: object) -> str:
    repair = "start it with `docker compose up -d minio`" if store.remote else "see that the folder exists and has room"
    reason = str(error).replace("`", "'")
    return f"If the store `{store.url}` is away, {repair}; if it refuses, check its access rights. It said: `{reason}`"


@st.fragment(run_every=LIVE, key="feed")
def show_feed(source: system.SourceSystem) -> None:
    """Show the feed's switch, its pace and its newest files."""
    state = source.feed.state
    st.subheader("Feed of orders")
    st.caption(f"Writes `raw/orders/feed/` all the time, over {NAMES} names that are used again.")
    _show_controls(source, state)
    if state.on and source.backoff.error:
        st.warning(f"The feed waits, and loses nothing. {_advice(source.store, source.backoff.error)}")
    files, rows = st.columns(2)
    files.metric("Files written", f"{state.files_written:,}", border=True)
    rows.metric("Rows written", f"{state.rows_written:,}", border=True)
    source.load_status.refresh()
    _show_newest(state, source.load_status)


def _show_controls(source: system.SourceSystem, state: FeedState) -> None:
    # The values for a browser that missed a message, as after a sleep: the minimum of each would end the feed.
    first: FeedState = st.session_state.setdefault("feed_first", state)
    _follow(feed_on=state.on, files_per_second=state.files_per_second, rows_per_file=state.rows)
    _follow(fault_percent=round(state.fault_share * 100), faults=list(state.faults))
    change = partial(_change, source)
    st.toggle("Feed", first.on, key="feed_on", on_change=change)
    with st.container(horizontal=True):
        pace, rows, share = first.files_per_second, first.rows, round(first.fault_share * 100)
        number = partial(st.number_input, on_change=change, width=190)
        number("Files per second", *FILES_PER_SECOND, pace, 0.5, "%g", key="files_per_second")
        number("Rows per file", *ROWS, rows, 100, key="rows_per_file")
        number("Bad rows, percent", 0, 100, share, 5, key="fault_percent")
    st.multiselect(
        "What is wrong with them",
        FAULTS,
        first.faults,
        key="faults",
        on_change=change,
        placeholder="every kind" if state.fault_share else "no row is bad",
        disabled=not state.fault_share,
    )


def _follow(**shared: object) -> None:
    """Show the changes of other visitors; write only differences, because writing would reset an entry being typed."""
    for key, value in shared.items():
        if key in st.session_state and st.session_state[key] != value:
            st.session_state[key] = value


def _change(source: system.SourceSystem) -> None:
    controls = st.session_state
    source.feed.change(
        on=controls["feed_on"],
        files_per_second=controls["files_per_second"],
        rows=controls["rows_per_file"],
        fault_share=controls["fault_percent"] / 100,
        faults=controls["faults"],
    )


def _show_newest(state: FeedState, load_status: LoadStatus) -> None:
    if not state.newest:
        st.info("No file yet." if state.on else "No file yet. Switch the feed on to write some.")
        return
    rows = [
        (
            f"{file.written_at:%H:%M:%S}",
            file.key,
            file.rows,
            file.size,
            load_status.of(file.key, file.etag, file.written_at),
        )
        for file in state.newest
    ]
    columns = ["Written (UTC)", "Key", "Rows", "Bytes", "Outcome"]
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
