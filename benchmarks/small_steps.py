"""Time of each step of a small file, alone and as one of sixteen, beside the time of a bare loop for the same.

    python -m benchmarks.small_steps [--times 100]

All in one process and one thread, in memory: milliseconds a file, the tenth percentile, so that what else the machine
does stays out of it.
"""

import argparse
import io
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.made_files import DATASETS
from lake.schemas import METADATA_KEY
from pipeline.dataset.dataset import Dataset, read_datasets
from pipeline.ledger.task_queue import TOGETHER
from pipeline.load.aggregate import Groups, count_groups
from pipeline.load.clean_rows import CleanWriter
from pipeline.load.stage import SmallFile, stage_small_files
from pipeline.model.exact_sums import Share
from pipeline.model.load_record import LoadRecord
from pipeline.readers.base import Batch
from pipeline.readers.csv.small_files import read_small_files
from pipeline.service.allocators import set_allocators
from tests.support.project import DATASETS as CONTRACTS

File = tuple[str, bytes]  # key and content
T = TypeVar("T")


class Clock:
    """Milliseconds a file of each step, again and again."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = defaultdict(list)

    def time(self, step: str, files: int, call: Callable[[], T]) -> T:
        """Call, and note what it took for each file."""
        began = time.perf_counter()
        result = call()
        self.taken[step].append(1000 * (time.perf_counter() - began) / files)
        return result


def take_steps(dataset: Dataset, files: Sequence[File], clock: Clock) -> None:
    """Measure the steps of a load one by one, and then all of them as the pipeline does."""
    several = len(files)
    batches = clock.time("read", several, lambda: read_small_files(files, dataset.contract))
    tables = [batch.rows for batch in batches if isinstance(batch, Batch)]
    if dataset.transform:
        tables = clock.time("transform", several, lambda: [dataset.transform_rows(rows) for rows in tables])
    shares = clock.time("sums", several, lambda: _shares(tables, dataset))
    footers = [{METADATA_KEY: repr(share).encode()} for share in shares]
    clock.time("encode", several, lambda: [_encoded(*one) for one in zip(tables, footers, strict=True)])
    small_files = [
        SmallFile(LoadRecord(key, dataset.contract.name, "etag", len(body), dataset.fingerprint), body)
        for key, body in files
    ]
    clock.time("all", several, lambda: stage_small_files(small_files, {dataset.contract.name: dataset}))
    clock.time("bare loop", several, lambda: [_bare(body) for _, body in files])


def _shares(tables: Sequence[pa.Table], dataset: Dataset) -> list[Share]:
    groups = [Groups() for _ in tables]
    for one, rows in zip(groups, count_groups(dataset.contract.summary, tables), strict=True):
        one.add(rows)
    return [one.share(dataset.schema) for one in groups]


def _encoded(rows: pa.Table, footer: dict[bytes, bytes]) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with CleanWriter(sink, rows.schema) as writer:
        writer.write(rows)
        writer.finish(footer)
    return sink.getvalue()


def _bare(body: bytes) -> None:
    pq.write_table(pyarrow.csv.read_csv(io.BytesIO(body)), io.BytesIO(), compression="zstd")


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=100)
    times, table = parser.parse_args().times, Table("step")
    set_allocators()
    columns: list[Clock] = []
    for name, dataset in read_datasets(CONTRACTS).items():
        files = [(f"raw/{name}/{number}.csv", DATASETS[name].body(number)) for number in range(TOGETHER)]
        alone, together = Clock(), Clock()
        for number in range(times):
            take_steps(dataset, files[number % TOGETHER :][:1], alone)
            take_steps(dataset, files, together)
        for title, clock in ((f"{name}, alone", alone), (f"of {TOGETHER}", together)):
            table.add_column(title, justify="right")
            columns.append(clock)
    for step in columns[0].taken:
        rows = [sorted(clock.taken.get(step, [])) for clock in columns]
        table.add_row(step, *(f"{one[len(one) // 10]:.2f}" if one else "" for one in rows))
    Console().print(table)


if __name__ == "__main__":
    main()
