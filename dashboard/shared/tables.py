"""Numbers, tables and downloads, as every page shows them."""

import math
import re
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.shared import formats

TIME = "YYYY-MM-DD HH:mm:ss"
STILL = "The table stands still while a row of it is open."
LARGEST = 2**53  # a browser's numbers are floats: it shows integers up to this one to the digit

FORMULA = re.compile(r"""[\s"']*[=+\-@＝＋－＠]|[\t\r\n]""")  # noqa: RUF001 - full-width, which a spreadsheet takes too
NUMBER = re.compile(r" *[+-]?(\d+([.,]\d+)*[.,]?|[.,]\d+)([eE][+-]?\d+)? *", re.ASCII)


def metrics(numbers: dict[str, str], width: int) -> None:
    """Show numbers side by side, each `width` pixels wide; on a narrow screen they wrap."""
    with st.container(horizontal=True):
        for label, value in numbers.items():
            st.metric(formats.plain(label), value, width=width)


def table(
    frame: pd.DataFrame,
    key: str,
    columns: dict[str, ColumnConfig] | None = None,
    height: int | Literal["auto"] = "auto",
    on_select: Callable[[], None] | None = None,
    amounts: Collection[str] = (),
    null: str = formats.NULL,
) -> None:
    """Show a frame, its numbers to the last digit.

    Args:
        frame: the rows to show.
        key: the table's name on the page; a table that keeps its key keeps scroll position and selection.
        columns: settings of columns, beyond those of numbers.
        height: pixels.
        on_select: called when another row is selected, one at a time.
        amounts: columns of counts and sums, shown with thousands separators; a year or an id has none.
        null: the text, in grey, of a missing value.
    """
    settings = number_columns(frame, amounts) | (columns or {})
    selecting: dict[str, Any] = {"on_select": on_select, "selection_mode": "single-row"} if on_select else {}
    frame = exact(frame, amounts)
    st.dataframe(frame, hide_index=True, height=height, column_config=settings, key=key, placeholder=null, **selecting)


def exact(frame: pd.DataFrame, amounts: Collection[str] = ()) -> pd.DataFrame:
    """Return a frame in which the columns of numbers that a browser cannot show to the digit are text."""
    texts = {}
    for name in map(str, frame):
        if _is_beyond(frame[name]):
            values = [formats.exact(value, separated=name in amounts) for value in frame[name]]
            texts[name] = pd.Series(values, frame.index, object)
    return frame.assign(**texts)


def number_columns(frame: pd.DataFrame, amounts: Collection[str] = ()) -> dict[str, ColumnConfig]:
    """Return settings for the columns of numbers: each number to the last digit, those of `amounts` separated."""
    settings: dict[str, ColumnConfig] = {}
    for name in map(str, frame):
        if _is_beyond(frame[name]):
            settings[name] = st.column_config.TextColumn(alignment="right")
        elif formats.is_number(frame[name]):
            # "g" writes as few digits as identify a float, and neither rounds nor pads.
            digits = "d" if pd.api.types.is_integer_dtype(frame[name]) else "g"
            settings[name] = st.column_config.NumberColumn(format=f"%{',' if name in amounts else ''}{digits}")
    return settings


def _is_beyond(column: "pd.Series[Any]") -> bool:
    """Return whether a column of numbers has a number that a browser cannot show: too large, infinite or NaN."""
    if not formats.is_number(column) and not pd.api.types.is_object_dtype(column):
        return False
    values = [value for value in column if value is not None and value is not pd.NA]
    return all(isinstance(value, int | float | Decimal) for value in values) and any(
        isinstance(value, Decimal) or not math.isfinite(value) or abs(value) >= LARGEST for value in values
    )


def download(frame: pd.DataFrame, label: str, file_name: str, key: str) -> None:
    """Draw a button that saves a frame as CSV, and a note on what differs from the frame.

    The CSV is made beforehand: one made on the click would be forgotten at the next refresh, before the browser asks.
    """
    content = safe_csv(frame)
    st.download_button(label, content, file_name, "text/csv", key, on_click="ignore", icon=":material/download:")
    st.markdown(":gray[:small[In the file, text that a spreadsheet would run as a formula begins with ' instead.]]")


def safe_csv(frame: pd.DataFrame) -> bytes:
    """Return a frame as CSV in which a spreadsheet runs no text as a formula.

    As OWASP's page on CSV injection recommends, an apostrophe precedes text, also of names, that begins with = + - @
    (also full-width, after spaces or quotes), a tab or a line end. Numbers stay, also as text: -12.5 is no formula.
    """
    texts = {str(name): frame[name].astype(object).map(_escaped) for name in frame if _is_text(frame[name])}
    escaped = frame.assign(**texts).rename(columns=_escaped)
    return escaped.to_csv(index=False, lineterminator="\r\n").encode()  # quotes text with either character


def _is_text(column: "pd.Series[Any]") -> bool:
    types, dtype = pd.api.types, column.dtype
    return types.is_string_dtype(dtype) or types.is_object_dtype(dtype) or isinstance(dtype, pd.CategoricalDtype)


def _escaped(value: object) -> object:
    runs = isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value)
    return f"'{value}" if runs else value
