"""The transform of companydata: a place for a first breakpoint."""

import pandas as pd

ROWWISE = True  # each row for itself, so those of several small files may come in one frame


def transform(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `Net`, the units that were sold and not brought back."""
    frame["Net"] = frame["Sold"] - frame["Returned"]
    return frame
