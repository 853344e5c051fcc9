"""A live table of which a row can be opened.

A selection is a row's number, and new rows come in at the top: so the table stands still while a row is open.
"""

from functools import partial
from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.shared import formats
from dashboard.shared.tables import table

MAX_OPTIONS = 1000  # of a choice: all of them are sent to the browser

Row = dict[str, Any]  # None for what is not known


def open_table(
    frame: pd.DataFrame, name: str, shown: list[str], columns: dict[str, ColumnConfig], null: str = formats.NULL
) -> Row | None:
    """Draw the columns `shown` of a frame, or of the one before while a row of it is open; give that row."""
    state = st.session_state
    if opened(name) is None:
        state[f"{name}-shown"] = frame
    frame = state[f"{name}-shown"]
    table(frame[shown], _key(name), columns, on_select=partial(_open, name), null=null)
    return opened(name)


def opened(name: str) -> Row | None:
    """Give the row that is open."""
    row: Row | None = st.session_state.get(f"{name}-open")
    return row


def close(name: str) -> None:
    """Let the table go on, with no row selected."""
    if opened(name) is not None:
        state = st.session_state
        state[f"{name}-open"], state[f"{name}-drawn"] = None, state.get(f"{name}-drawn", 0) + 1


def close_button(name: str) -> None:
    """Draw a button that closes the row."""
    st.button("Close", key=f"{name}-close", icon=":material/close:", on_click=close, args=(name,))


def choice(name: str, column: str, *values: "pd.Series[str]", width: int | Literal["stretch"] = "stretch") -> list[str]:
    """Let the reader choose among the values of a column, `MAX_OPTIONS` at most; none chosen means all."""
    label, key = column.capitalize(), f"{name}-{column}"
    found = sorted({value for one in values for value in one.unique() if isinstance(value, str)})
    # What is chosen stays on offer, or the filter would be gone once its last row is.
    options = sorted({*found[:MAX_OPTIONS], *st.session_state.get(key, [])})
    return st.multiselect(
        label, options, key=key, placeholder="all", width=width, select_all=False, on_change=close, args=(name,)
    )


def as_row(row: "pd.Series[Any]") -> Row:
    """Give a frame's row with None for what is missing."""
    return {str(name): None if pd.isna(value) else value for name, value in row.items()}


def _key(name: str) -> str:
    return f"{name}-table-{st.session_state.get(f'{name}-drawn', 0)}"  # another one has no selection


def _open(name: str) -> None:
    state = st.session_state
    rows, shown = state[_key(name)].selection.rows, state[f"{name}-shown"]
    state[f"{name}-open"] = as_row(shown.iloc[rows[0]]) if rows and rows[0] < len(shown) else None
