"""The pages and the store that they read: what Streamlit runs for each visitor (see `app.py`)."""

import os
from functools import partial
from pathlib import Path

import streamlit as st

from common.errors import SettingError
from common.page_server import PATIENCE
from common.settings import read_settings
from dashboard.files import page as pipeline
from dashboard.overview import page as overview
from dashboard.query import page as query
from dashboard.rejects import page as rejects
from dashboard.shared.failures import one_sentence
from dashboard.shared.published import Published
from lake.settings import LakeSettings
from lake.stores import open_store

PAGES = {"Overview": overview.show, "Pipeline": pipeline.show, "Rejects": rejects.show}
PAGES["Query"] = one_sentence(query.show)  # which is no fragment as a whole
# A table's own download escapes no formula (see `tables.download`); Streamlit's setting would end copying as well.
NO_EXPORT = '<style>[data-testid="stElementToolbar"] button[aria-label="Download as CSV"] { display: none }</style>'
HERE = Path(__file__).parent


@st.cache_resource(show_spinner=False)
def _published(url: str) -> Published:
    return Published(open_store(url, os.environ, PATIENCE))


def _open() -> Published:
    try:
        return _published(read_settings(LakeSettings, os.environ).lake)
    except (SettingError, OSError) as error:
        st.error(str(error), icon=":material/settings_alert:")
        st.stop()


def _page(name: str) -> None:
    published = _open()
    st.title(name)
    PAGES[name](published)


st.set_page_config(page_title="Lakelet", page_icon=str(HERE / "icon.svg"), layout="wide")
st.html(NO_EXPORT)
st.logo(str(HERE / "logo.svg"), size="large")
st.navigation(
    [st.Page(partial(_page, name), title=name, url_path=name.lower(), default=name == "Overview") for name in PAGES],
    position="top",
).run()
