"""Rejects: how many problems there are over time, and in which line of which file; and one of them in its place."""

from typing import Literal

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.rejects import detail, over_time
from dashboard.rejects.remedies import fix
from dashboard.shared import formats, notices
from dashboard.shared.failures import one_sentence
from dashboard.shared.problem_counts import Counts, by_rule
from dashboard.shared.published import Published
from dashboard.shared.rejected import Problems, matching
from dashboard.shared.selection import choice, close, open_table
from dashboard.shared.tables import STILL, download, table
from lake.status import Status

MAX_ROWS = 1000  # of the table, after the filters: sent again whenever one changes
COUNTED, COUNTS_HEIGHT = 5, 213  # lines, and their pixels: so that the problems are seen without scrolling
FILTERS = ("dataset", "rule", "column")
COLUMNS = ["dataset", "source_key", "line", "column", "rule", "value", "message", "raw"]


@st.fragment(run_every=0.5, key="rejects")
@one_sentence
def show(published: Published) -> None:
    """Draw the page."""
    seen = notices.latest(published, "rejects", lambda published, _: (published.problems(), published.counts()))
    if seen is None:
        return
    status, (problems, counts) = seen
    if problems is None or counts is None:
        notices.no_files()
    elif not problems.files:
        _nothing(status)
    else:
        _problems(problems, counts, published)


def _nothing(status: Status) -> None:
    if status.rows.rejected or status.files.refused:  # the published loads are the newest only
        st.info("None of the newest files has a problem; those of older ones are under `rejected/`.")
    else:
        st.success("**Nothing was rejected.**", icon=":material/check_circle:")


def _problems(problems: Problems, counts: Counts, published: Published) -> None:
    counted, found = _filtered(counts.frame, problems.frame)
    _unread(problems.unread)
    if not counted.empty:
        over_time.show(counted)
        _counts(by_rule(counted, found).head(MAX_ROWS))
    st.caption(over_time.covered(counted, counts))
    if not found.empty:
        _table(found, published, _compared(found, counted, problems))
    elif not problems.frame.empty:
        st.info("No problem that was read matches the filters.", icon=":material/filter_alt_off:")
    st.caption(_scope(problems))


def _filtered(*frames: pd.DataFrame) -> list[pd.DataFrame]:
    """Keep the rows of each frame that have what the reader chooses."""
    with st.container(horizontal=True):  # two by two on a narrow screen
        chosen = {name: choice("reject", name, *(frame[name] for frame in frames)) for name in FILTERS}
        typed = st.text_input(
            "File",
            key="reject-file",
            type="search",
            placeholder="part of its key",
            live=True,
            bind="query-params",  # so that a load can link to its rejects
            on_change=close,
            args=("reject",),
        )
    return [matching(frame, chosen, (typed or "").strip()) for frame in frames]


def _unread(unread: dict[str, str]) -> None:
    for key, reason in unread.items():
        st.warning(f"**{formats.plain(key)} is not shown:** {formats.plain(reason)}.", icon=":material/visibility_off:")


def _counts(counts: pd.DataFrame) -> None:
    column = st.column_config
    most = int(counts["problems"].max())
    settings: dict[str, ColumnConfig] = {
        "problems": column.ProgressColumn("problems", format="%,d", min_value=0, max_value=most),
        "example": column.TextColumn("for example", width="large"),
        "fix": column.TextColumn("what to do", width="large"),
    }
    counts = counts.assign(fix=counts["rule"].map(fix))
    height: int | Literal["auto"] = "auto" if len(counts) <= COUNTED else COUNTS_HEIGHT
    table(counts, "reject-counts", settings, height, amounts=["files"])


def _compared(found: pd.DataFrame, counted: pd.DataFrame, problems: Problems) -> str:
    """Return how many problems the table and its download are from, and why they are not all that are counted."""
    all_counted, files = int(counted["problems"].sum()), formats.count(problems.files, "file")
    if all_counted <= len(found):
        return f"{formats.count(len(found), 'problem')}, the newest files first."
    return (
        f"{formats.number(len(found))} of the {formats.count(all_counted, 'problem')} counted above, "
        "the newest files first: "
        f"what was read is {formats.number(problems.read)} of {files} with problems, and the first of each."
    )


def _table(found: pd.DataFrame, published: Published, compared: str) -> None:
    shown = found.head(MAX_ROWS)
    row = open_table(shown, "reject", COLUMNS, _columns())
    if row:
        with st.container(border=True, key="reject-opened"):
            detail.show(row, published)
    place = st.container(horizontal=True, vertical_alignment="center")
    with place:
        download(shown, "Download these problems", "rejects.csv", "reject-download")
    note = STILL if row else f"{compared} Select one to see its place."
    cut = f" The table and the download have the first {formats.number(MAX_ROWS)}: choose to see others."
    place.caption(note if row or len(shown) == len(found) else note + cut)


def _scope(problems: Problems) -> str:
    """Say what was read of what is there."""
    of_files = f"Read: {formats.number(problems.read)} of {formats.count(problems.files, 'file')} with problems"
    read, there = len(problems.frame), formats.count(problems.there, "problem")
    of_problems = f"{'all' if read == problems.there else formats.number(read)} of their {there}"
    return f"{of_files}, and {of_problems}. All are under `rejected/`, as Parquet."


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "source_key": column.TextColumn("file", width="medium"),
        "line": column.NumberColumn(
            "line", format="%d", help="Where the record starts, as an editor numbers lines; none for a whole file."
        ),
        "message": column.TextColumn("message", width="large"),
        "raw": column.TextColumn("raw text", width="large", help="The record as it stands in the file."),
    }
