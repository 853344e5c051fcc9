"""What every page says when something is wrong, and what to do about it."""

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
    """Say how the lake is; give the status and what else to draw: as read now, or else last by this visitor.

    Without a status nothing is published, and there is nothing to draw.
    """
    slot = st.container()  # always there, so that a notice does not move and rebuild what is below
    seen: tuple[Status, T] | None = st.session_state.get(name)
    st.session_state[_failure(name)] = ""
    try:
        with slot, waiting(published):
            status = published.status()
            found = (status, read(published, status)) if status else None
        seen = st.session_state[name] = found
    except ObjectChanged as error:  # rewritten while it was read: the next run reads it again
        st.session_state[_failure(name)] = type(error).__name__
    except (OSError, UnreadableError) as error:
        st.session_state[_failure(name)] = type(error).__name__
        below = "" if seen is None else "Below is what was last read."
        slot.error(_problem(error, published.store.url) + below, icon=":material/cloud_off:")
        return seen
    with slot:
        if seen:
            _heartbeat(seen[0])
        elif name in st.session_state:
            _empty()
    return seen


def failure(name: str) -> str:
    """Return the name of the error with which `latest` has just read for a page; empty where it read well."""
    return str(st.session_state[_failure(name)])


def _failure(name: str) -> str:
    return f"{name}-failure"


def waiting(published: Published) -> AbstractContextManager[None]:
    """Show that the page waits for the store, if the block takes longer than half a second."""
    return st.spinner(f"Waiting for the store {formats.plain(published.store.url)}")


def _problem(error: Exception, url: str) -> str:
    store, reason = formats.plain(url), formats.plain(str(error))
    if isinstance(error, UnreadableError):
        return f"**{reason}.** Start a pipeline of this version: it publishes everything again."
    if isinstance(error, PermissionError):
        said = (
            f"**The store {store} refuses to be read.** For a bucket, check AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY: the user must list and read. For a folder, check its permissions."
        )
    else:
        said = (
            f"**The store {store} does not answer.** Start it with `docker compose up -d minio`, or check "
            "LAKE_URL and AWS_ENDPOINT_URL. This page goes on by itself when it is back."
        )
    return f"{said}\n\n:small[{reason}]\n\n"


def _empty() -> None:
    st.info(
        f"**Nothing is published yet.** If the pipeline does not run, {START}; then {REGENERATE}.",
        icon=":material/hourglass_empty:",
    )


def no_files() -> None:
    """Say that the pipeline has not seen a file yet."""
    st.info(
        f"**No file has landed yet.** To send some, {REGENERATE}, or put a CSV under `raw/<dataset>/`.",
        icon=":material/inbox:",
    )


def _ended(problem: Problem, now: datetime, *, again: bool) -> None:
    """Write why the pipeline ended; the reason has the way out in it."""
    then = "It has been started again, and has not got through its start yet." if again else f"Then {START}."
    st.error(
        f"**The pipeline ended {formats.age(problem.at, now)} ago, by an error.** "
        f"{formats.plain(problem.text)}\n\n{then}",
        icon=":material/error:",
    )


def _heartbeat(status: Status) -> None:
    """Write whether the pipeline is alive: it has got through its start, and its heartbeat moves."""
    then = status.writer.heartbeat_at if status.writer else None
    now = datetime.now(UTC)
    silent = then is None or (now - then).total_seconds() > EXPIRES_SECONDS
    if status.problem:
        _ended(status.problem, now, again=not silent)
    elif then is None:
        st.warning(f"**The pipeline is stopped.** To go on, {START}.", icon=":material/pause_circle:")
    elif silent:
        st.warning(
            f"**No heartbeat for {formats.age(then, now)}.** If the pipeline stands at a breakpoint, continue it "
            f"there: a second one would take the lake over. If it does not run, {START}.",
            icon=":material/heart_broken:",
        )
    elif status.writer and status.writer.state == "starting":
        st.info("**The pipeline is starting:** it lists the lake.", icon=":material/hourglass_top:")
    else:
        st.markdown(f":green-badge[:material/check_circle: Pipeline alive {formats.age(then, now)} ago]")
