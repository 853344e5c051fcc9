"""The server of the pages, with what they need in memory before the first visitor; `streamlit run dashboard/app.py`."""

import streamlit as st

import storage.local
import storage.s3  # noqa: F401
from dashboard.views import overview, pipeline, query, rejects  # noqa: F401

app = st.App("page.py")
