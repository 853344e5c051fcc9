import pandas as pd

from dashboard.views.tables import exact


def test_integers_that_a_browser_cannot_show_are_text() -> None:
    frame = pd.DataFrame({"small": [1, None], "large": [2**53 + 1, None]}, dtype="Int64")
    shown = exact(frame)
    assert shown["large"].tolist() == ["9,007,199,254,740,993", None]
    assert shown["small"].equals(frame["small"])
