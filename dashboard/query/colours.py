"""Charts in which each value of one column has a colour of its own."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd

from dashboard.shared.charts import Chart, labels, not_drawn
from dashboard.shared.formats import number, shortened

MAX_COLOURS = 12  # those of the theme
X, COLOUR = "x", "colour"

Draw = Callable[[pd.DataFrame, list[str], list[str], list[list[str]]], Chart]


def coloured_chart(draw: Draw, frame: pd.DataFrame, x: list[str], measures: list[str], colour: str, most: int) -> Chart:
    """Return a chart with a panel for each measure, and in it a series for each value of `colour`.

    Rows with the same x and colour are added up. Of more than `most` places along x, and of too many colours, the
    largest stay; the note says so.
    """
    # By number, for a measure may have any name.
    columns = range(len(measures))
    numbers = frame[measures].map(lambda value: np.nan if pd.isna(value) else float(value)).astype(float)
    finite = numbers.where(np.isfinite(numbers)).set_axis(columns, axis="columns")
    names = labels(frame, [name for name in x if name != colour]), labels(frame, [colour])
    keys = pd.MultiIndex.from_arrays(names, names=[X, COLOUR])
    sums = finite.set_axis(keys).groupby(level=[X, COLOUR], sort=False).sum(min_count=1)
    places, colours = (_largest(sums[0], *of) for of in ((X, most), (COLOUR, MAX_COLOURS)))
    wide = pd.DataFrame(sums.unstack(COLOUR))
    wide = wide.reindex(index=places, columns=pd.MultiIndex.from_product([columns, colours]))
    series = [str(place) for place in range(wide.shape[1])]
    panels = [series[at : at + len(colours)] for at in range(0, len(series), len(colours))]
    chart = draw(wide.set_axis(series, axis="columns").assign(**{X: places}), [X], series, panels)
    for one, (_, value) in zip(chart.options["series"], product(measures, colours), strict=True):
        one["name"] = value  # the same in each panel, and so its colour
    for axis, measure in zip(chart.options["yAxis"], measures, strict=True):
        axis |= {"name": shortened(measure), "nameLocation": "middle", "nameGap": 56}
    missing = numbers.size - int(np.isfinite(numbers.to_numpy()).sum())
    notes = [_note(keys, sums, places, colours), not_drawn(missing)]
    return Chart(chart.options, chart.height, " ".join(filter(None, notes)))


def _largest(sums: "pd.Series[float]", level: str, most: int) -> list[str]:
    """Return at most `most` values of a level, those with the largest sums, in the order in which they come."""
    sizes = sums.abs().groupby(level=level, sort=False).sum()
    kept = set(sizes.nlargest(most).index)
    return [value for value in sizes.index if value in kept]


def _note(keys: pd.MultiIndex, sums: pd.DataFrame, places: list[str], colours: list[str]) -> str:
    notes = ["Rows with the same x and colour are added up."] if len(sums) < len(keys) else []
    for kept, level in ((places, X), (colours, COLOUR)):
        if len(kept) < (values := keys.get_level_values(level).nunique()):
            notes.append(f"The {len(kept)} largest of {number(values)} values of {level}.")
    return " ".join(notes)
