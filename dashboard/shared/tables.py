"""How every page shows numbers and tables."""

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
LARGEST = 2**53  # up to which a browser, whose numbers are floats, shows every integer to the digit

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
        frame: what to show.
        key: its name on the page; a table that keeps it keeps scroll and selection.
        columns: settings beyond those of its numbers.
        height: in pixels.
        on_select: what to do when another row is selected, one at a time.
        amounts: columns of counts and sums, shown with thousands separators; a year or an id has none.
        null: what stands, in grey, where there is no value.
    """
    settings = number_columns(frame, amounts) | (columns or {})
    selecting: dict[str, Any] = {"on_select": on_select, "selection_mode": "single-row"} if on_select else {}
    frame = exact(frame, amounts)
    st.dataframe(frame, hide_index=True, height=height, column_config=settings, key=key, placeholder=null, **selecting)


def exact(frame: pd.DataFrame, amounts: Collection[str] = ()) -> pd.DataFrame:
    """Return a frame with those columns of numbers as text that a browser cannot show to the digit."""
    columns = {str(name): frame[name] for name in frame if _is_beyond(frame[name])}
    texts = {
        name: pd.Series([formats.exact(value, separated=name in amounts) for value in column], frame.index, object)
        for name, column in columns.items()
    }
    return frame.assign(**texts)


def _is_beyond(column: "pd.Series[Any]") -> bool:
    """Return whether a column of numbers has one that a browser cannot show: too large, infinite or not a number."""
    if not _is_number(column) and not pd.api.types.is_object_dtype(column):
        return False
    values = [value for value in column if value is not None and value is not pd.NA]
    return all(isinstance(value, int | float | Decimal) for value in values) and any(
        isinstance(value, Decimal) or not math.isfinite(value) or abs(value) >= LARGEST for value in values
    )


def _is_number(column: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def download(frame: pd.DataFrame, label: str, file_name: str, key: str) -> None:
    """Draw a button that saves a frame as CSV, and what it has otherwise than the frame.

    The CSV is made beforehand: one that is made on the click is forgotten at the next refresh, before the browser asks.
    """
    st.download_button(
        label, safe_csv(frame), file_name, "text/csv", key=key, on_click="ignore", icon=":material/download:"
    )
    st.markdown(":gray[:small[In the file, text that a spreadsheet would run as a formula begins with ' instead.]]")


def safe_csv(frame: pd.DataFrame) -> bytes:
    """Write a frame as CSV that a spreadsheet opens as data: text that it would run as a formula is escaped.

    As OWASP's page on CSV injection has it: an apostrophe before what begins with = + - @ (also full-width, after
    spaces or quotes), a tab or a line end; in names as well. Numbers stay, as text too: -12.5 is no formula.
    """
    texts = [name for name in frame if _is_text(frame[name])]
    escaped = frame.assign(**{str(name): frame[name].astype(object).map(_escaped) for name in texts})
    return (
        escaped.rename(columns=_escaped).to_csv(index=False, lineterminator="\r\n").encode()
    )  # which quotes a text with either


def _is_text(column: "pd.Series[Any]") -> bool:
    kinds = pd.api.types
    return (
        kinds.is_string_dtype(column) or kinds.is_object_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype)
    )


def _escaped(value: object) -> object:
    runs = isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value)
    return f"'{value}" if runs else value


def number_columns(frame: pd.DataFrame, amounts: Collection[str] = ()) -> dict[str, ColumnConfig]:
    """Return the settings of the columns of numbers: each number to the last digit, those of `amounts` separated."""
    texts = {name: st.column_config.TextColumn(alignment="right") for name in frame if _is_beyond(frame[name])}
    formats = {name: _format(frame[name], "," if name in amounts else "") for name in frame if _is_number(frame[name])}
    numbers = {name: st.column_config.NumberColumn(format=format_) for name, format_ in formats.items()}
    return {str(name): setting for name, setting in (numbers | texts).items()}


def _format(column: "pd.Series[Any]", separator: str) -> str:
    # "g" writes as few digits as tell a float from all others, and neither rounds nor pads.
    return f"%{separator}{'d' if pd.api.types.is_integer_dtype(column) else 'g'}"
