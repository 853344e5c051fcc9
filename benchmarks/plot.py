"""Results to a picture: a bar for each program, by file. Run by the peers' Python, which has Matplotlib.

python benchmarks/plot.py RESULTS.json
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot

COLUMNS = 3  # of plots beside each other


def main() -> None:
    """Draw the results of one benchmark into a PNG beside them."""
    path = Path(sys.argv[1])
    results = json.loads(path.read_text())["results"]
    columns = min(COLUMNS, len(results))
    lines = -(-len(results) // columns)
    size = (5.2 * columns, 3.4 * lines)
    figure, axes = pyplot.subplots(lines, columns, figsize=size, layout="constrained", squeeze=False)
    for axis, (title, rows) in zip(axes.flat, results.items(), strict=False):
        done = [row for row in rows if row["seconds"] is not None][::-1]
        colours = ["#d9480f" if row["name"].startswith("Lakelet") else "#868e96" for row in done]
        drawn = axis.barh([row["name"] for row in done], [row["seconds"] for row in done], color=colours)
        labels = [row.get("label") or f"{row['seconds']:.3g} s, {row['peak']:,.0f} MiB" for row in done]
        axis.bar_label(drawn, labels, padding=3, fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("seconds (median)")
        axis.margins(x=0.35)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(results) :]:
        axis.remove()
    figure.savefig(path.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
