"""Peak memory of one load for each format at a large size.

    python -m benchmarks.memory [--mib 2048] [CASE ...]

A file repeats a piece of the file of `bulk.py`; that of `keys` has a text key of its own in each row, but for 2 %.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.measure import HERE, run
from benchmarks.sales import pieces
from pipeline.dataset.dataset import read_dataset
from pipeline.load.load import stage
from pipeline.model.load_record import LoadRecord
from pipeline.service.allocators import set_allocators

MEMORY = 400  # MiB that a load may take
PIECE, GROUP = 10_000, 1 << 20  # rows


def csv(path: Path, size: int) -> None:
    """Write sales."""
    header, piece = pieces(PIECE, 0.0)
    with gzip.open(path, "wb", 1) if path.suffix == ".gz" else path.open("wb") as file:
        file.write(header)
        for _ in range(size // len(piece)):
            file.write(piece)


def jsonl(path: Path, size: int) -> None:
    """Write sales as objects."""
    piece = "".join(f"{json.dumps(row, default=str)}\n" for row in _table().to_pylist()).encode()
    with path.open("wb") as file:
        for _ in range(size // len(piece)):
            file.write(piece)


def parquet(path: Path, size: int) -> None:
    """Write sales without compression, in row groups of a million rows."""
    table = _table()
    whole = pa.concat_tables([table] * (GROUP // PIECE))
    with pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False) as writer:
        for _ in range(max(1, size // whole.nbytes)):
            writer.write_table(whole, row_group_size=len(whole))


def keys(path: Path, size: int) -> None:
    """Write rows of 30 bytes: a text that is a key, and a number."""
    chance, schema = np.random.default_rng(7), pa.schema([("id", pa.string()), ("x", pa.int64())])
    with pa.csv.CSVWriter(path, schema, write_options=pa.csv.WriteOptions(quoting_style="none")) as writer:
        for first in range(0, size // 30, GROUP):
            numbers = np.arange(first, first + GROUP)
            again = chance.random(GROUP) < 0.02
            numbers[again] = (chance.random(again.sum()) * numbers[again]).astype(np.int64)
            texts = pc.binary_join_element_wise(
                "customer-", pa.array(numbers * 2_654_435_761 % (1 << 40)).cast("string"), ""
            )
            writer.write_table(pa.table({"id": texts, "x": np.arange(GROUP)}))


def _table() -> pa.Table:
    return pa.csv.read_csv(pa.BufferReader(b"".join(pieces(PIECE, 0.0))))


CASES: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "csv": ("sales.csv", csv), "csv.gz": ("sales.csv.gz", csv), "jsonl": ("sales.jsonl", jsonl),
    "parquet": ("sales.parquet", parquet), "keys": ("keys.csv", keys),
}  # fmt: skip
KEYS = {
    "name": "keys",
    "schema": {"fields": [{"name": "id", "constraints": {"unique": True}}, {"name": "x", "type": "integer"}]},
}


def load(source: Path) -> dict[str, object]:
    """Read, check and write one file."""
    contract = source.parent / "keys.json"
    contract.write_text(json.dumps(KEYS))
    dataset = read_dataset(contract if source.stem == "keys" else HERE / "datasets" / "sales.json")
    set_allocators()
    began = time.perf_counter()
    with source.open("rb") as stream:
        record = LoadRecord(f"raw/sales/{source.name}", "sales", "", source.stat().st_size, "")
        result = stage(stream, record, dataset, source.parent / "file").record
    if result.status != "loaded":
        raise SystemExit(result.first_problem)
    return {"seconds": time.perf_counter() - began, "rows": result.rows_read, "rejected": result.rows_rejected}


def main() -> None:
    """Measure, print a line for each case, and fail above what is promised."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", nargs="*", default=[*CASES], help=", ".join(CASES))
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        print(json.dumps(load(given.load)))
        return
    if given.write:
        CASES[given.cases[0]][1](given.write, given.mib << 20)
        return
    table, peaks = Table("case", "MiB", "rows", "rejected", "seconds", "CPU s", "peak MiB"), list[float]()
    for case in given.cases:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, CASES[case][0])
            # In a process of its own: a child's peak begins with the memory of its parent.
            subprocess.run([sys.executable, __file__, case, "--mib", str(given.mib), "--write", source], check=True)
            done = run([sys.executable, __file__, "--load", source])
            if done is None:
                raise SystemExit(f"{case}: the load failed")
            peaks.append(done.peak)
            figures = (source.stat().st_size >> 20, done.said["rows"], done.said["rejected"])
            table.add_row(case, *(f"{one:,.0f}" for one in (*figures, done.seconds, done.cpu, done.peak)))
    Console(width=100).print(table)
    raise SystemExit(max(peaks) > MEMORY)


if __name__ == "__main__":
    main()
