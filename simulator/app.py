"""The server: starts the source system with itself and serves its page; `streamlit run simulator/app.py`."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st

from common.errors import SettingError
from common.logs import configure_logging
from common.settings import read_settings
from lake.stores import open_store
from simulator import system
from simulator.settings import Settings


def _make_system() -> system.SourceSystem:
    try:
        settings = read_settings(Settings, os.environ)
        return system.SourceSystem(open_store(settings.lake, os.environ), settings)
    except (SettingError, PermissionError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Run the source system for as long as the server runs, with or without a visitor."""
    system.running = source = _SYSTEM
    source.start()
    try:
        yield
    finally:
        await asyncio.to_thread(source.stop)


def _failed(error: Exception) -> bool:
    """Draw one sentence in place of an error that nobody expected; the log has its traceback, from Streamlit."""
    st.error(f"This page cannot show what is here ({type(error).__name__}). Reload it; the simulator's log says more.")
    return True


configure_logging()
_SYSTEM = _make_system()  # before the server: it would bury a wrong setting in a traceback
app = st.App("page.py", lifespan=lifespan, on_script_error=_failed)
