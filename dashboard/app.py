"""The server of the pages, with what they need in memory before the first visitor; `streamlit run dashboard/app.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from common.logs import configure_logging
from dashboard.shared import failures

# Where a page's server is. Streamlit's client looks below the page's own path first, and logs that nothing is there.
BASE = '<script>window.__streamlit = {BACKEND_BASE_URL: new URL(".", window.location.href).href}</script>'
INDEX = (Path(st.__file__).parent / "static" / "index.html").read_text().replace("<head>", f"<head>{BASE}", 1)


def _index(_: Request) -> HTMLResponse:
    return HTMLResponse(INDEX, headers={"Cache-Control": "no-cache"})


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Import what the pages need; caches want the server's runtime, which is not there before."""
    import lake.stores.local
    import lake.stores.s3  # noqa: F401
    from dashboard.rejects import page as rejects  # noqa: F401

    yield


configure_logging()
paths = ("/", "/pipeline", "/rejects", "/query")
app = st.App(
    "page.py", lifespan=lifespan, routes=[Route(path, _index) for path in paths], on_script_error=failures.show
)
