"""Unexpected errors on a page: the page shows one sentence, the log has the traceback."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from dashboard.shared import formats

LOGGED = "failure-logged"
MAX_REASON = 200  # characters
MAX_LOGGED = 100  # reasons of one visitor that are remembered, so that they are not logged again

P = ParamSpec("P")

log = logging.getLogger(__name__)


def one_sentence(draw: Callable[P, None]) -> Callable[P, None]:
    """Return a function that calls `draw`, and draws one sentence if that raises."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            draw(*args, **kwargs)
        except Exception as error:
            show(error)

    return drawn


def show(error: Exception) -> bool:
    """Draw the sentence, and log the error once, not at each refresh. Return True: Streamlit draws nothing else."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    logged: set[str] = st.session_state.setdefault(LOGGED, set())
    if reason not in logged:
        if len(logged) >= MAX_LOGGED:
            logged.clear()
        logged.add(reason)
        log.error("a page failed", exc_info=error)
    st.error(
        f"**This cannot be shown:** {formats.plain(reason[:MAX_REASON])}. Reload the page; if it stays so, the "
        "dashboard's log has the details.",
        icon=":material/error:",
    )
    return True
