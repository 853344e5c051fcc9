"""How every page shows numbers and tables."""

from collections.abc import Callable
from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard import text

TIME = "YYYY-MM-DD HH:mm:ss"
STILL = "The table stands still while a row of it is open."


def metrics(numbers: dict[str, str], width: int) -> None:
    """Show numbers side by side, each `width` pixels wide; on a narrow screen they wrap."""
    with st.container(horizontal=True):
        for label, value in numbers.items():
            st.metric(label, value, width=width)


def table(
    frame: pd.DataFrame,
    key: str,
    columns: dict[str, ColumnConfig] | None = None,
    height: int | Literal["auto"] = "auto",
    on_select: Callable[[], None] | None = None,
) -> None:
    """Show a frame.

    Args:
        frame: what to show.
        key: its name on the page; a table that keeps it keeps scroll and selection.
        columns: settings beyond those of its numbers.
        height: in pixels.
        on_select: what to do when another row is selected, one at a time.
    """
    frame = exact(frame)
    settings = number_columns(frame) | (columns or {})
    selecting: dict[str, Any] = {"on_select": on_select, "selection_mode": "single-row"} if on_select else {}
    st.dataframe(
        frame, hide_index=True, height=height, column_config=settings, key=key, placeholder=text.NONE, **selecting
    )


def exact(frame: pd.DataFrame) -> pd.DataFrame:
    """Give integers as text where a browser, whose numbers are floats, would not show them to the digit."""
    beyond = [
        str(name) for name in frame if pd.api.types.is_integer_dtype(frame[name]) and _largest(frame[name]) > 2**53
    ]
    texts = {name: [None if pd.isna(value) else text.number(value) for value in frame[name]] for name in beyond}
    return frame.assign(**{name: pd.Series(column, frame.index, object) for name, column in texts.items()})


def _largest(column: "pd.Series[Any]") -> int:
    return max((abs(int(value)) for value in column.dropna()), default=0)


def number_columns(frame: pd.DataFrame) -> dict[str, ColumnConfig]:
    """Give every number of `frame` thousands separators, and a fraction two digits."""
    return {
        str(name): st.column_config.NumberColumn(format="%,d" if pd.api.types.is_integer_dtype(column) else "%,.2f")
        for name, column in frame.select_dtypes("number").items()
    }
