"""Pipeline: heartbeat, backlog, latency, files that need a person, the executor, and the loads."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd
import streamlit as st

from dashboard.files import commands, executor, loads
from dashboard.shared import formats, notices
from dashboard.shared.failures import one_sentence
from dashboard.shared.published import Published
from dashboard.shared.tables import metrics, table
from lake.status import Edit, Files, Progress, Status, Tables

MAX_LINES = 200  # datasets in the table of files and rows
NAMED = 5  # contracts that are not used, in their warning
TOLD = timedelta(days=1)  # for which the page shows that a table was built anew


@st.fragment(run_every=0.5, key="pipeline")
@one_sentence
def show(published: Published) -> None:
    """Draw the page."""
    latest = notices.latest(published, "pipeline", lambda published, _: published.loads())
    if latest is None:
        return
    status, newest = latest
    _numbers(status)
    with st.container(key="attention"):  # always there, so that it does not move what is below
        executor.warn(status.executor)
        _edits(status.edits)
        _attention(status.files, remote=published.store.remote)
    _datasets(status)
    with st.container(key="executor"):
        executor.show(status.executor)
    loads.show(newest, remote=published.store.remote)


def _numbers(status: Status) -> None:
    backlog = status.backlog
    oldest = formats.age(backlog.oldest_at, datetime.now(UTC)) if backlog.oldest_at else formats.NONE
    groups = {
        "Waiting": {"files": formats.number(backlog.files), "size": formats.size(backlog.bytes), "oldest": oldest},
        "Landed to loaded": {name: formats.milliseconds(value) for name, value in status.latency_ms},
        "Found by": {name: formats.number(value) for name, value in status.found_by},
    }
    for column, (title, numbers) in zip(st.columns([3, 3, 2]), groups.items(), strict=True):
        with column, st.container(border=True):
            st.markdown(f"**{title}**")
            metrics(numbers, width=100)


def _edits(edits: Sequence[Edit]) -> None:
    """Draw which contracts and transforms are not used as they are in their folder, with the reasons."""
    if not edits:
        return
    lines = [f"- {formats.plain('; '.join(filter(None, (edit.reason, edit.action))))}" for edit in edits[:NAMED]]
    if len(edits) > NAMED:
        lines.append(f"- and {formats.number(len(edits) - NAMED)} more")
    verb = "is" if len(edits) == 1 else "are"
    title = f"**{formats.count(len(edits), 'edit')} of contracts and transforms {verb} not in use.**"
    st.warning(title + "\n\n" + "\n".join(lines), icon=":material/edit_off:")


def _attention(files: Files, *, remote: bool) -> None:
    """Draw what needs a person, with the command that helps."""
    if files.failed:
        _advice(
            f"**{formats.count(files.failed, 'file')} failed** after several attempts, through a fault of the store or "
            "the pipeline. The first problem of each file says why. When that is repaired, load them again:",
            commands.replay("--status", "failed", remote=remote),
        )
    if files.stale:
        _advice(
            f"**{formats.count(files.stale, 'file')} stale:** loaded under an older contract or transform, or from "
            "an older version of the file. To load them again:",
            commands.replay("--stale", remote=remote),
        )


def _advice(text: str, command: str) -> None:
    st.warning(text, icon=":material/replay:")
    st.code(command, language="bash", wrap_lines=True)


def _datasets(status: Status) -> None:
    st.subheader("Files and rows", anchor=False)
    frame = datasets_frame(status)
    table(frame, "datasets", amounts=[str(name) for name in frame if name != "dataset"])
    if len(status.datasets) > MAX_LINES:
        st.caption(f"The first {formats.number(MAX_LINES)} of {formats.number(len(status.datasets))} datasets by name.")
    if status.tables:
        st.caption(_freshness(status.tables))
        now = datetime.now(UTC)
        for event in status.tables.built_anew:
            if now - event.at < TOLD:
                age = formats.age(event.at, now)
                st.caption(formats.plain(f"The table {event.table} was built anew {age} ago: {event.reason}."))


def _freshness(tables: Tables) -> str:
    """Return how far the Delta tables are behind the files that are loaded."""
    if tables.off:
        return "Tables are switched off: they stay as they were."
    if not tables.files:
        return "Tables are up to date."
    now = datetime.now(UTC)
    return f"Tables are {formats.count(tables.files, 'file')}, and {formats.age(tables.oldest_at or now, now)}, behind."


def datasets_frame(status: Status) -> pd.DataFrame:
    """Return numbers of files by status and of rows: for each dataset, for folders without a contract, and for all."""
    lines: list[tuple[str, Progress]] = [*sorted(status.datasets.items())[:MAX_LINES]]
    if status.no_contract.folders:
        lines.append(("(no contract)", status.no_contract))
    lines.append(("all", status))
    return pd.DataFrame(
        {"dataset": name}
        | {f"files {field}": value for field, value in progress.files}
        | {f"rows {field}": value for field, value in progress.rows}
        for name, progress in lines
    )
