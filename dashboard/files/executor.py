"""The executor on the Pipeline page: where files are loaded, its workers, and what keeps files waiting."""

from datetime import UTC

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.shared import formats
from dashboard.shared.tables import TIME, table
from lake.status import Executor, WorkerState

NAMED = 5  # workers that get no files, in their warning


def warn(executor: Executor | None) -> None:
    """Draw why nothing can be loaded, and the workers that get no files, with the reasons."""
    if executor is None:
        return
    if executor.state:
        st.warning(
            f"**Nothing can be loaded now.** {formats.plain(executor.state)}", icon=":material/hourglass_disabled:"
        )
    if others := [worker for worker in executor.workers if worker.other]:
        verb, each = ("gets", "it") if len(others) == 1 else ("get", "each of them")
        lines = [f"- **{formats.plain(worker.name)}**{_where(worker)}: {_reason(worker)}" for worker in others[:NAMED]]
        if len(others) > NAMED:
            lines.append(f"- and {formats.number(len(others) - NAMED)} more")
        st.warning(
            f"**{formats.count(len(others), 'worker')} {verb} no files.** Start {each} again with the "
            "pipeline's version and settings.\n\n" + "\n".join(lines),
            icon=":material/sync_problem:",
        )


def _where(worker: WorkerState) -> str:
    return f" on {formats.plain(worker.host)}" if worker.host else ""


def _reason(worker: WorkerState) -> str:
    version = f" (version {formats.plain(worker.version)})" if worker.version else ""
    return formats.plain(worker.other) + version


def show(executor: Executor | None) -> None:
    """Draw where files are loaded: one line that opens to the workers, or the workers of a cluster at once."""
    if executor is None:
        return
    with st.expander(_title(executor), expanded=executor.kind == "cluster", key="workers-opened"):
        if executor.workers:
            table(workers_frame(executor.workers), "workers", _columns(), null=formats.NONE)
        else:
            st.caption("There are no workers.")
        for event in executor.events:
            st.caption(f"{event.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: {formats.plain(event.text)}")


def _title(executor: Executor) -> str:
    count = len(executor.workers)
    if executor.kind == "processes":
        return f"Loads: {formats.count(count, 'process', 'processes')}"
    if executor.kind == "main thread":
        return "Loads: main thread of the pipeline"
    return f"Loads: cluster {formats.plain(executor.address)}, {formats.count(count, 'worker')}"


def workers_frame(workers: list[WorkerState]) -> pd.DataFrame:
    """Return one row for each worker; a column that has nothing for any of them is left out, except what it loads."""
    frame = pd.DataFrame(
        {
            "worker": worker.name,
            "loads now": _files(worker),
            "since": worker.since,
            "host": worker.host or None,
            "version": worker.version or None,
        }
        for worker in workers
    )
    return frame.drop(columns=[name for name in ("host", "version") if frame[name].isna().all()])


def _files(worker: WorkerState) -> str | None:
    """Return the keys of the files that a worker loads now, and how many more; None if it is idle."""
    if worker.other:
        return "gets no files"
    more = worker.loads - len(worker.files)
    keys = ", ".join(worker.files)
    return f"{keys} and {formats.number(more)} more" if more > 0 else keys or None


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "worker": column.TextColumn("worker", width="small"),
        "loads now": column.TextColumn("loads now", width="large"),
        "since": column.DatetimeColumn("since", format=TIME),
    }
