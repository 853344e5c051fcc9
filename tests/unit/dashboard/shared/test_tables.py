import math
from io import BytesIO
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from dashboard.shared.tables import exact, number_columns, safe_csv


def frame(**columns: Any) -> pd.DataFrame:
    arrow: pd.DataFrame = pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)
    return arrow


def formats(shown: pd.DataFrame, *amounts: str) -> dict[str, Any]:
    settings = number_columns(shown, amounts)
    return {name: (setting["type_config"] or {}).get("format") for name, setting in settings.items()}


def test_integers_that_a_browser_cannot_show_are_text() -> None:
    shown = exact(frame(small=[1, None], large=[2**53 + 1, None]), ["large"])
    assert shown["large"].tolist() == ["9,007,199,254,740,993", None]
    assert shown["small"].tolist() == [1, pd.NA]


def test_numbers_are_neither_rounded_nor_padded_and_only_amounts_are_separated() -> None:
    shown = frame(year=[2026], ratio=[0.0042], name=["x"], yes=[True], sold=[1234567.89], rows=[12])
    assert formats(shown, "sold", "rows") == {"year": "%d", "ratio": "%g", "sold": "%,g", "rows": "%,d"}


def test_what_no_number_column_can_show_is_text_with_every_digit() -> None:
    values = [math.inf, -math.inf, math.nan, None, 0.0042, 5.0]
    large = pd.Series([9 * 10**18 * 2, None, 0, -(10**30), 1, 2], dtype=object)
    shown = exact(frame(ratio=values).assign(sum=large), ["sum"])
    assert shown["ratio"].tolist() == ["∞", "-∞", "NaN", None, "0.0042", "5"]
    assert shown["sum"].tolist()[:4] == ["18,000,000,000,000,000,000", None, "0", f"{-(10**30):,}"]
    assert formats(shown) == {}


@pytest.mark.parametrize(
    "text",
    ["=cmd|' /C calc'!A0", "+1+1", "-", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", ' "=1+1', "+49 30 12"],  # noqa: RUF001
)
def test_what_a_spreadsheet_would_run_is_escaped(text: str) -> None:
    read = pd.read_csv(BytesIO(safe_csv(frame(value=[text, "y"]))), dtype=str)
    assert read["value"].tolist() == [f"'{text}", "y"]
    assert safe_csv(frame(**{text: ["x"]})).decode().lstrip('"').startswith("'")


@pytest.mark.parametrize("text", ["-12.5", "+5", "-1,234.5", "1e5", "-2E-3", "a=b", "x-y", "", "2026-01-31"])
def test_numbers_and_other_text_stay(text: str) -> None:
    read = pd.read_csv(BytesIO(safe_csv(frame(value=[text], n=[-5]))), dtype=str, keep_default_na=False)
    assert read.to_dict("list") == {"value": [text], "n": ["-5"]}


def test_a_line_end_in_a_cell_begins_no_other_cell() -> None:
    read = pd.read_csv(BytesIO(safe_csv(frame(value=["a\r=1", "b\n=1", "c"]))), dtype=str)
    assert read["value"].tolist() == ["a\r=1", "b\n=1", "c"]
