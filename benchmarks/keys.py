"""One clean CSV with and without a unique column, in turns: what the check of a key costs.

    python -m benchmarks.keys [--rows 1000000] [--rounds 5]

The file is that of `bulk.py`. Its `id` is unique as an integer, whose hash is enough, and as text, which is kept to be
compared. The shortest time of each counts, and so do the seconds of the processor.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import HERE
from benchmarks.sales import write
from pipeline.dataset.dataset import Dataset, read_dataset
from pipeline.load.stage import stage
from pipeline.model.load_record import LoadRecord
from pipeline.service.allocators import set_allocators

PROMISED = 1.5  # times as long as without a key, at most
TYPES = ("integer", "string")


def dataset_of(folder: Path, type_: str, *, unique: bool) -> Dataset:
    """Return the dataset with an `id` of this type, which is unique or not."""
    contract = json.loads((HERE / "datasets" / "sales.json").read_text())
    contract["schema"]["fields"][0] = {"name": "id", "type": type_, "constraints": {"unique": unique}}
    path = folder / "sales.json"
    path.write_text(json.dumps(contract))
    return read_dataset(path)


def load_once(source: Path, dataset: Dataset, folder: Path) -> tuple[float, float]:
    """Load the file. Return seconds, and seconds of the processor."""
    began, used = time.perf_counter(), time.process_time()
    with source.open("rb") as stream:
        record = LoadRecord("raw/sales/sales.csv", "sales", "", source.stat().st_size, "")
        staged = stage(stream, record, dataset, folder / "file")
    assert (staged.record.status, staged.record.rows_rejected) == ("loaded", 0)
    return time.perf_counter() - began, time.process_time() - used


def measure(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Return for each type the shortest times without and with the key, in seconds, and their ratios."""
    source, figures = folder / "sales.csv", dict[str, Any]()
    write(source, rows, 0.0)
    for type_ in TYPES:
        times: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for _ in range(rounds):
            for unique, taken in times.items():
                taken.append(load_once(source, dataset_of(folder, type_, unique=unique), folder))
        (plain, plain_cpu), (keyed, keyed_cpu) = (
            (min(one for one, _ in taken), min(cpu for _, cpu in taken)) for taken in times.values()
        )
        figures[type_] = {"seconds": [plain, keyed], "ratio": keyed / plain, "cpu ratio": keyed_cpu / plain_cpu}
    return figures


def main() -> None:
    """Measure, print a line for each type, and fail above what is promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    set_allocators()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.rows, arguments.rounds)
    for type_, figure in figures.items():
        plain, keyed = figure["seconds"]
        print(
            f"{type_}: {plain:.2f} s without a key, {keyed:.2f} s with it: {figure['ratio']:.2f} times, "
            f"{figure['cpu ratio']:.2f} of the processor's time (promised: {PROMISED})"
        )
    raise SystemExit(max(figure["ratio"] for figure in figures.values()) > PROMISED)


if __name__ == "__main__":
    main()
