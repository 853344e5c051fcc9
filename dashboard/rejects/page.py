"""Rejects: the problems over time, by rule and column, and one by one with the lines of the file around it."""

from typing import Literal

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.rejects import detail, timeline
from dashboard.rejects.remedies import remedy
from dashboard.shared import formats, notices
from dashboard.shared.failures import one_sentence
from dashboard.shared.problem_counts import Counts, by_rule
from dashboard.shared.published import Published
from dashboard.shared.rejected import STATE, Problems, matching
from dashboard.shared.selection import choice, close, open_table
from dashboard.shared.tables import STILL, download, table
from lake.status import Status

MAX_ROWS = 1000  # of the table, after the filters: all rows are sent again whenever one changes
COUNTED, COUNTS_HEIGHT = 5, 213  # rows and pixels of the table of counts, so that problems are seen without scrolling
FILTERS = ("dataset", "rule", "column")
COLUMNS = ["dataset", "source_key", "line", "column", "rule", "value", "message", "raw"]


@st.fragment(run_every=0.5, key="rejects")
@one_sentence
def show(published: Published) -> None:
    """Draw the page."""
    latest = notices.latest(published, "rejects", lambda published, _: (published.problems(), published.counts()))
    if latest is None:
        return
    status, (problems, counts) = latest
    if problems is None or counts is None:
        notices.no_files()
    elif not problems.files:
        _nothing(status)
    else:
        _problems(problems, counts, published)


def _nothing(status: Status) -> None:
    if status.rows.rejected or status.files.refused:  # only the newest loads are published
        st.info("The newest files have no problems. The problems of older files are under `rejected/`.")
    else:
        st.success("**Nothing was rejected.**", icon=":material/check_circle:")


def _problems(problems: Problems, counts: Counts, published: Published) -> None:
    counted, matches = _filtered(counts.frame, problems)
    for key, reason in problems.unread.items():
        text = f"**{formats.plain(key)} is not shown:** {formats.plain(reason)}."
        st.warning(text, icon=":material/visibility_off:")
    if not counted.empty:
        timeline.show(counted)
        _counts(by_rule(counted, matches).head(MAX_ROWS))
    st.caption(timeline.coverage(counted, counts) + _mended(problems))
    if not matches.empty:
        _table(matches, published, _compared(matches, counted, problems), [*[STATE] * bool(problems.mended), *COLUMNS])
    elif not problems.frame.empty:
        st.info("No problem that was read matches the filters.", icon=":material/filter_alt_off:")
    st.caption(_scope(problems))


def _filtered(counts: pd.DataFrame, problems: Problems) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw the filters; return the counts and the problems that match them."""
    with st.container(horizontal=True):  # two by two on a narrow screen
        chosen = {name: choice("reject", name, counts[name], problems.frame[name]) for name in FILTERS}
        of_problems = {STATE: choice("reject", STATE, problems.frame[STATE])} if problems.mended else {}
        file = st.text_input(
            "File",
            key="reject-file",
            type="search",
            placeholder="part of its key",
            live=True,
            bind="query-params",  # so that a load can link to its rejects
            on_change=close,
            args=("reject",),
        )
    part = (file or "").strip()
    return matching(counts, chosen, part), matching(problems.frame, chosen | of_problems, part)


def _mended(problems: Problems) -> str:
    """Return how many of the rejected records are mended, which the counts do not tell; empty if none is."""
    if not problems.mended:
        return ""
    records = formats.count(problems.rejected, "rejected record")
    return f" Mended, and counted too: {formats.number(problems.mended)} of {records}."


def _counts(counts: pd.DataFrame) -> None:
    column = st.column_config
    most = int(counts["problems"].max())
    settings: dict[str, ColumnConfig] = {
        "problems": column.ProgressColumn("problems", format="%,d", min_value=0, max_value=most),
        "example": column.TextColumn("for example", width="large"),
        "remedy": column.TextColumn("what to do", width="large"),
    }
    counts = counts.assign(remedy=counts["rule"].map(remedy))
    height: int | Literal["auto"] = "auto" if len(counts) <= COUNTED else COUNTS_HEIGHT
    table(counts, "reject-counts", settings, height, amounts=["files"])


def _compared(matches: pd.DataFrame, counted: pd.DataFrame, problems: Problems) -> str:
    """Return a caption that compares the problems in the table with the counted ones."""
    total, files = int(counted["problems"].sum()), formats.count(problems.files, "file")
    if total <= len(matches):
        return f"{formats.count(len(matches), 'problem')}, the newest files first."
    number = formats.number(len(matches))
    return (
        f"{number} of the {formats.count(total, 'problem')} counted above, the newest files first. "
        f"The page reads {formats.number(problems.read)} of {files} with problems, and the first problems of each."
    )


def _table(matches: pd.DataFrame, published: Published, compared: str, columns: list[str]) -> None:
    shown = matches.head(MAX_ROWS)
    row = open_table(shown, "reject", columns, _columns())
    if row:
        with st.container(border=True, key="reject-opened"):
            detail.show(row, published)
    note = STILL if row else f"{compared} Select a problem to see its lines."
    if not row and len(shown) < len(matches):
        note += f" The table and the download have the first {formats.number(MAX_ROWS)}: use the filters to see others."
    with st.container(horizontal=True, vertical_alignment="center"):
        download(shown[columns], "Download these problems", "rejects.csv", "reject-download")
        st.caption(note)


def _scope(problems: Problems) -> str:
    """Return a caption that says which part of all problems was read."""
    files = f"{formats.number(problems.read)} of {formats.count(problems.files, 'file')} with problems"
    read = "all" if len(problems.frame) == problems.total else formats.number(len(problems.frame))
    of_them = f"{read} of their {formats.count(problems.total, 'problem')}"
    return f"Read: {files}, and {of_them}. All are under `rejected/`, as Parquet."


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "source_key": column.TextColumn("file", width="medium"),
        "line": column.NumberColumn(
            "line", format="%d", help="The line where the record starts; empty for a problem of the whole file."
        ),
        "message": column.TextColumn("message", width="large"),
        "raw": column.TextColumn("raw text", width="large", help="The record as it is written in the file."),
    }
