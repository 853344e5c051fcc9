"""Small programs that people write instead: CSVs of a bucket or a folder to Parquet, with no checks and no memory.

    python benchmarks/loops.py bare|pandas|dlt LAKE              once over all that is there
    python benchmarks/loops.py listen|poll|dlt-again LAKE        and on, until killed

The last line of a single pass is JSON with its seconds, and those of processors (imports left out). dlt takes one more
folder, for its state; run again and again, it says which files a run had, as it names its objects by itself. The
dataset is `orders`, or as the variable DATASET says.
"""

import importlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

DATASET = os.environ.get("DATASET", "orders")
TIMES = ["ordered_at"] if DATASET == "orders" else []
RAW, CLEAN = f"raw/{DATASET}/", f"clean/{DATASET}/"
POLL = 2.0  # seconds between two looks, as the workshop's program had it
THREADS = 4


class Lake(NamedTuple):
    """Lake as such a program needs it: the names that are there, the bytes of one, and a place for its Parquet."""

    names: Callable[[], Iterable[str]]
    get: Callable[[str], bytes]
    put: Callable[[str, bytes], object]
    client: Any = None


def open_lake(url: str) -> Lake:
    """Open a bucket by minio-py, or a folder."""
    if url.startswith("s3://"):
        return _bucket(url.removeprefix("s3://"))
    root = Path(url)
    (root / CLEAN).mkdir(parents=True, exist_ok=True)
    return Lake(
        lambda: sorted(path.name for path in (root / RAW).iterdir()),
        lambda name: (root / RAW / name).read_bytes(),
        lambda name, data: (root / CLEAN / f"{name}.parquet").write_bytes(data),
    )


def _bucket(bucket: str) -> Lake:
    from minio import Minio

    keys = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    at = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    client = Minio(at.netloc, *keys, secure=at.scheme == "https", region="us-east-1")

    def get(name: str) -> bytes:
        response = client.get_object(bucket, RAW + name)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    return Lake(
        lambda: [str(one.object_name).removeprefix(RAW) for one in client.list_objects(bucket, RAW)],
        get,
        lambda name, data: client.put_object(bucket, f"{CLEAN}{name}.parquet", io.BytesIO(data), len(data)),
        client,
    )


def _arrow(lake: Lake) -> Callable[[str], None]:
    import pyarrow.csv
    import pyarrow.parquet

    def work(name: str) -> None:
        sink = io.BytesIO()
        table = pyarrow.csv.read_csv(io.BytesIO(lake.get(name)))
        pyarrow.parquet.write_table(table, sink, compression="zstd")
        lake.put(name, sink.getvalue())

    return work


def _pandas(lake: Lake) -> Callable[[str], None]:
    import pandas as pd

    def work(name: str) -> None:
        frame = pd.read_csv(io.BytesIO(lake.get(name)), parse_dates=TIMES)
        lake.put(name, frame.to_parquet(None, compression="zstd", index=False))

    return work


def bare(url: str) -> None:
    """List, then get, read, write, put in four threads: what can be left out is left out."""
    lake = open_lake(url)
    work = _arrow(lake)
    with _timed(), ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, lake.names()))


def pandas(url: str) -> None:
    """One file after the other."""
    lake = open_lake(url)
    work = _pandas(lake)
    with _timed():
        for name in lake.names():
            work(name)


def listen(url: str) -> None:
    """Do what `bare` does for each event."""
    lake = open_lake(url)
    work = _arrow(lake)
    with ThreadPoolExecutor(THREADS) as pool:
        for name in _events(lake.client, url.removeprefix("s3://")):
            pool.submit(work, name)


def _events(client: Any, bucket: str) -> Iterable[str]:
    for event in client.listen_bucket_notification(bucket, RAW, events=["s3:ObjectCreated:*"]):
        for record in event["Records"]:
            yield record["s3"]["object"]["key"].removeprefix(RAW)


def poll(url: str) -> None:
    """List every two seconds, and do what is new with pandas."""
    lake, known = open_lake(url), set[str]()
    work = _pandas(lake)
    while True:
        for name in lake.names():
            if name not in known:
                known.add(name)
                work(name)
        time.sleep(POLL)


def dlt(url: str) -> None:
    """Load package of dlt with its state, from lake to lake, with inferred types."""
    run = _dlt(url, [])
    with _timed():
        run()


def dlt_again(url: str) -> None:
    """Run the same pipeline again and again, each time for what is new; what it did is said when a run has ended."""
    done: list[str] = []
    run = _dlt(url, done)
    while True:
        run()
        for name in done:
            print(json.dumps({"name": name, "at": time.time()}), flush=True)
        done.clear()


def _dlt(url: str, seen: list[str]) -> Callable[[], object]:
    library, files = (importlib.import_module(name) for name in ("dlt", "dlt.sources.filesystem"))
    base, access = url if url.startswith("s3://") else Path(url).absolute().as_uri(), {}
    if url.startswith("s3://"):
        keys = {name: os.environ[name.upper()] for name in ("aws_access_key_id", "aws_secret_access_key")}
        access = {"credentials": {**keys, "endpoint_url": os.environ["AWS_ENDPOINT_URL"], "region_name": "us-east-1"}}
    pipeline = library.pipeline(
        "small",
        pipelines_dir=sys.argv[3],
        destination=library.destinations.filesystem(f"{base}/clean/dlt", **access),
        dataset_name=DATASET,
    )

    def noted(item: Any) -> Any:
        seen.append(item["file_name"].rpartition("/")[2])
        return item

    def run() -> object:
        found = files.filesystem(f"{base}/raw/{DATASET}", file_glob="*.csv", **access)
        found.apply_hints(incremental=library.sources.incremental("modification_date"))
        source = found.add_map(noted) | files.read_csv_duckdb(use_pyarrow=True)
        return pipeline.run(source, table_name=DATASET, loader_file_format="parquet")

    return run


class _timed:  # noqa: N801
    """Prints how long its block took, and how much processor time."""

    def __enter__(self) -> None:
        self.began, self.cpu = time.perf_counter(), time.process_time()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            print(json.dumps({"seconds": time.perf_counter() - self.began, "cpu": time.process_time() - self.cpu}))


if __name__ == "__main__":
    globals()[sys.argv[1].replace("-", "_")](sys.argv[2])
