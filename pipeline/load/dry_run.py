"""Load one file without writing anything, so that a running pipeline is not disturbed."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pyarrow.parquet as pq

from common.errors import SettingError
from lake.layout import RAW, source
from lake.stores.base import InvalidKey, ObjectStore
from pipeline.dataset.dataset import Dataset, text_datasets
from pipeline.load.stage import stage
from pipeline.model.load_record import LoadRecord
from pipeline.model.task import NO_CONTRACT

SHOWN = 20  # problems


def dry_run(store: ObjectStore, datasets: Mapping[str, Dataset], key: str) -> tuple[LoadRecord, list[dict[str, Any]]]:
    """Read, check and transform one file; `SettingError` if it does not exist, or is not a source.

    Returns:
        The record that a load would have, and the first of its problems.
    """
    origin = source(key, text_datasets(datasets))
    if not key.startswith(RAW) or origin.ignored:
        raise SettingError(f"KEY is {key!r}: {origin.ignored or 'expected one that begins with raw/'}")
    dataset = datasets.get(origin.dataset)
    with TemporaryDirectory(prefix="dry-run-") as folder:
        try:
            with store.open(key) as (info, stream):
                if info.being_written:
                    raise SettingError(f"KEY: {key} is not finished: a program has it open for writing; close it there")
                fingerprint = dataset.fingerprint if dataset else NO_CONTRACT
                record = LoadRecord(key, origin.dataset, info.etag, info.size, fingerprint)
                staged = stage(stream, record, dataset, Path(folder, "file"))
        except FileNotFoundError:
            raise SettingError(f"KEY is {key!r}: there is no such file in {store.url}") from None
        except InvalidKey as error:  # a link that leads out of the lake
            raise SettingError(f"KEY: {error}") from None
        return staged.record, _first(cast(Path | None, staged.rejected))  # made in the folder


def _first(rejected: Path | None) -> list[dict[str, Any]]:
    if rejected is None:
        return []
    with pq.ParquetFile(rejected) as file:
        batch = next(file.iter_batches(SHOWN, columns=["line", "column", "rule", "message"]))
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows
