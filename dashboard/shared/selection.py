"""Live tables with a row that can be opened.

Streamlit knows a selection by its row number, and new rows come in at the top. So the table stands still while a row
is open.
"""

from functools import partial
from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.shared import formats
from dashboard.shared.tables import table

MAX_OPTIONS = 1000  # options of a choice: all of them are sent to the browser

Row = dict[str, Any]  # None for a missing value


def open_table(
    frame: pd.DataFrame, name: str, shown: list[str], columns: dict[str, ColumnConfig], null: str = formats.NULL
) -> Row | None:
    """Draw the columns `shown` of a frame, or of the earlier frame while a row of it is open; return the open row."""
    state = st.session_state
    if opened(name) is None:
        state[f"{name}-shown"] = frame
    frame = state[f"{name}-shown"]
    table(frame[shown], _key(name), columns, on_select=partial(_open, name), null=null)
    return opened(name)


def opened(name: str) -> Row | None:
    """Return the open row; None if no row is open."""
    row: Row | None = st.session_state.get(f"{name}-open")
    return row


def close(name: str) -> None:
    """Close the open row: the table goes on, with no row selected."""
    if opened(name) is not None:
        state = st.session_state
        state[f"{name}-open"], state[f"{name}-drawn"] = None, state.get(f"{name}-drawn", 0) + 1


def close_button(name: str) -> None:
    """Draw a button that closes the open row."""
    st.button("Close", key=f"{name}-close", icon=":material/close:", on_click=close, args=(name,))


def choice(name: str, column: str, *values: "pd.Series[str]", width: int | Literal["stretch"] = "stretch") -> list[str]:
    """Draw a choice among the values of a column, at most `MAX_OPTIONS`; return the chosen values, empty for all."""
    label, key = column.capitalize(), f"{name}-{column}"
    names = sorted({value for series in values for value in series.unique() if isinstance(value, str)})
    # A chosen value stays on offer, or the filter would vanish with its last row.
    options = sorted({*names[:MAX_OPTIONS], *st.session_state.get(key, [])})
    return st.multiselect(
        label, options, key=key, placeholder="all", width=width, select_all=False, on_change=close, args=(name,)
    )


def as_row(row: "pd.Series[Any]") -> Row:
    """Return a row of a frame as a dict, with None for missing values."""
    return {str(name): None if pd.isna(value) else value for name, value in row.items()}


def _key(name: str) -> str:
    return f"{name}-table-{st.session_state.get(f'{name}-drawn', 0)}"  # another key has no selection


def _open(name: str) -> None:
    state = st.session_state
    rows, shown = state[_key(name)].selection.rows, state[f"{name}-shown"]
    state[f"{name}-open"] = as_row(shown.iloc[rows[0]]) if rows and rows[0] < len(shown) else None
