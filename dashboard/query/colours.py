"""Charts in which each value of one column has a colour of its own."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd

from dashboard.shared.charts import Chart, labels
from dashboard.shared.formats import count, number, shortened

MAX_COLOURS = 12  # those of the theme
X, COLOUR = "x", "colour"

Draw = Callable[[pd.DataFrame, list[str], list[str], list[list[str]]], Chart]


def coloured_chart(draw: Draw, frame: pd.DataFrame, x: list[str], measures: list[str], colour: str, most: int) -> Chart:
    """Return a chart with a panel for each measure, and in it a series for each value of `colour`.

    Rows with the same x and colour are added up. Of more than `most` places along x, and of too many colours, the
    largest stay; the note says so.
    """
    numbers = frame[measures].map(lambda value: np.nan if pd.isna(value) else float(value)).astype(float)
    finite = numbers.where(np.isfinite(numbers))
    tidy = finite.assign(**{X: labels(frame, [name for name in x if name != colour]), COLOUR: labels(frame, [colour])})
    sums = tidy.groupby([X, COLOUR], sort=False)[measures].sum(min_count=1)
    places, colours = (_largest(sums[measures[0]], *of) for of in ((X, most), (COLOUR, MAX_COLOURS)))
    wide = pd.DataFrame(sums.unstack(COLOUR))
    wide = wide.reindex(index=places, columns=pd.MultiIndex.from_product([measures, colours]))
    names = [str(place) for place in range(wide.shape[1])]
    panels = [names[at : at + len(colours)] for at in range(0, len(names), len(colours))]
    chart = draw(wide.set_axis(names, axis="columns").assign(**{X: places}), [X], names, panels)
    for series, (_, value) in zip(chart.options["series"], product(measures, colours), strict=True):
        series["name"] = value  # the same in each panel, and so its colour
    for axis, measure in zip(chart.options["yAxis"], measures, strict=True):
        axis |= {"name": shortened(measure), "nameLocation": "middle", "nameGap": 56}
    notes = [_note(tidy, sums, places, colours), _unknown(numbers)]
    return Chart(chart.options, chart.height, " ".join(filter(None, notes)))


def _largest(sums: "pd.Series[float]", level: str, most: int) -> list[str]:
    """Return at most `most` values of a level, those with the largest sums, in the order in which they come."""
    sizes = sums.abs().groupby(level=level, sort=False).sum()
    kept = set(sizes.nlargest(most).index)
    return [value for value in sizes.index if value in kept]


def _note(tidy: pd.DataFrame, sums: pd.DataFrame, places: list[str], colours: list[str]) -> str:
    notes = ["Rows with the same x and colour are added up."] if len(sums) < len(tidy) else []
    for kept, level in ((places, X), (colours, COLOUR)):
        if len(kept) < (values := tidy[level].nunique()):
            notes.append(f"The {len(kept)} largest of {number(values)} values of {level}.")
    return " ".join(notes)


def _unknown(numbers: pd.DataFrame) -> str:
    missing = numbers.size - int(np.isfinite(numbers.to_numpy()).sum())
    return f"Not drawn, because unknown or infinite: {count(missing, 'value')}." if missing else ""
