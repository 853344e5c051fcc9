"""The transform of companydata: a place for a first breakpoint."""

import pandas as pd


def transform(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `Net`, the units that were sold and not brought back."""
    frame["Net"] = frame["Sold"] - frame["Returned"]
    return frame
