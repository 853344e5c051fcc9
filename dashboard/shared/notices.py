"""Notices that every page shows when something is wrong, with what to do about it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TypeVar

import streamlit as st

from dashboard.shared import formats
from dashboard.shared.published import Published, UnreadableError
from lake.heartbeat import EXPIRES_SECONDS
from lake.status import Problem, Status
from lake.stores.base import ObjectChanged

START = "start it with `make run`, with `docker compose up -d pipeline`, or with F5 in VS Code"
REGENERATE = "press **Regenerate data** at http://localhost:8001"

T = TypeVar("T")


def latest(published: Published, name: str, read: Callable[[Published, Status], T]) -> tuple[Status, T] | None:
    """Draw a notice on the state of the lake; return the status and what `read` returns.

    If the store is unavailable, these are the values that this visitor's page `name` read last. Returns None if nothing
    is published: then the page has nothing to draw.
    """
    slot = st.container()  # always there, so that a notice does not move what is below
    last: tuple[Status, T] | None = st.session_state.get(name)
    st.session_state[f"{name}-failure"] = ""
    try:
        with slot, waiting(published):
            status = published.status()
            last = st.session_state[name] = (status, read(published, status)) if status else None
    except (OSError, UnreadableError) as error:
        st.session_state[f"{name}-failure"] = type(error).__name__
        if not isinstance(error, ObjectChanged):  # replaced while it was read: the next run reads it again
            below = "" if last is None else "Below is what was last read."
            slot.error(_store_problem(error, published.store.url) + below, icon=":material/cloud_off:")
            return last
    with slot:
        if last:
            _heartbeat(last[0])
        elif name in st.session_state:
            then = f"If the pipeline does not run, {START}; then {REGENERATE}."
            st.info(f"**Nothing is published yet.** {then}", icon=":material/hourglass_empty:")
    return last


def failure(name: str) -> str:
    """Return the name of the error with which `latest` has just read for the page `name`; empty after success."""
    return str(st.session_state[f"{name}-failure"])


def waiting(published: Published) -> AbstractContextManager[None]:
    """Draw a notice that the page waits for the store, if the block takes longer than half a second."""
    return st.spinner(f"Waiting for the store {formats.plain(published.store.url)}")


def _store_problem(error: Exception, url: str) -> str:
    store, reason = formats.plain(url), formats.plain(str(error))
    if isinstance(error, UnreadableError):
        return f"**{reason}.** Start a pipeline of this version: it publishes everything again."
    if isinstance(error, PermissionError):
        notice = (
            f"**The store {store} refuses to be read.** For a bucket, check AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY: the user must list and read. For a folder, check its permissions."
        )
    else:
        notice = (
            f"**The store {store} does not answer.** Start it with `docker compose up -d minio`, or check "
            "LAKE_URL and AWS_ENDPOINT_URL. This page continues by itself when the store is back."
        )
    return f"{notice}\n\n:small[{reason}]\n\n"


def no_files() -> None:
    """Draw a notice that the pipeline has not seen a file yet."""
    st.info(
        f"**No file has landed yet.** To send some, {REGENERATE}, or put a CSV under `raw/<dataset>/`.",
        icon=":material/inbox:",
    )


def _heartbeat(status: Status) -> None:
    """Draw whether the pipeline is alive: it has completed its start, and its heartbeat moves."""
    beat = status.writer.heartbeat_at if status.writer else None
    now = datetime.now(UTC)
    silent = beat is None or (now - beat).total_seconds() > EXPIRES_SECONDS
    if status.problem:
        _ended(status.problem, now, restarted=not silent)
    elif beat is None:
        st.warning(f"**The pipeline is stopped.** To continue, {START}.", icon=":material/pause_circle:")
    elif silent:
        st.warning(
            f"**No heartbeat for {formats.age(beat, now)}.** If the pipeline stands at a breakpoint, continue it "
            f"there: a second pipeline would take the lake over. If it does not run, {START}.",
            icon=":material/heart_broken:",
        )
    elif status.writer and status.writer.state == "starting":
        st.info("**The pipeline is starting:** it lists the lake.", icon=":material/hourglass_top:")
    else:
        st.markdown(f":green-badge[:material/check_circle: Pipeline alive {formats.age(beat, now)} ago]")


def _ended(problem: Problem, now: datetime, *, restarted: bool) -> None:
    """Draw why the pipeline ended; the reason includes what to do."""
    then = "It was started again, and has not completed its start yet." if restarted else f"Then {START}."
    ended = f"**The pipeline ended {formats.age(problem.at, now)} ago, by an error.**"
    st.error(f"{ended} {formats.plain(problem.text)}\n\n{then}", icon=":material/error:")
