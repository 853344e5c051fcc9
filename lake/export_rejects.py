"""Export rejected records: write them as a file of the same format, for a person to correct and put back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from lake.export_lines import export_lines, form_of
from lake.export_parquet import export_parquet
from lake.export_sheet import export_sheet
from lake.mending import fixed_key, suffix_of
from lake.rejects import CannotExport, next_number, read_rejected_records
from lake.stores.arrow_dataset import DamagedObject
from lake.stores.base import ObjectChanged, ObjectStore

PROBLEM = 100  # characters of a source that take the memory of one problem

_TEXTS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
_BOOKS = (".xlsx", ".xls", ".ods")


@dataclass(frozen=True)
class Export:
    """Outcome of an export: how many records it has, how many are mended already, and the key of the fixed file."""

    key: str
    records: int
    mended: int


@dataclass(frozen=True)
class SourceForm:
    """The form of a source by its contract.

    `dialect` has the names of the standard's Table Dialect. `fields` is the number of columns of a source without a
    header.
    """

    encoding: str
    dialect: Mapping[str, Any]
    fields: int = 0


def export_rejects(
    store: ObjectStore, key: str, form: SourceForm, out: BinaryIO, memory: int = 1 << 30, most: int | None = None
) -> Export:
    """Write the open rejected records of a source, each as it is there with a mark, below its header.

    Args:
        store: the lake.
        key: the source, whose present version must be the one that was loaded.
        form: of the source.
        out: receives the file; one of a workbook is `.xlsx`.
        memory: bytes that reading a workbook may take.
        most: for a page: characters of the source that are read, unpacked bytes of Parquet, 100 times the cells; and
            100 times the problems.

    Raises:
        CannotExport: the message says why, and what to do.
    """
    suffix = re.sub(r"\.(gz|zst)$", "", suffix_of(key).lower())
    if suffix not in (*_TEXTS, *_BOOKS, ".parquet"):
        reason = f"rejected records of a {suffix or 'nameless'} file cannot be exported"
        raise CannotExport(f"{reason}: correct the file itself, and put it under the same name ({key})")
    try:
        return _export(store, key, suffix, form, out, memory, most)
    except DamagedObject as error:
        raise CannotExport(f"{error}: load its source again, with `python -m pipeline replay`") from error
    except ObjectChanged as error:
        raise CannotExport(f"{error}: export again once its new version is loaded") from error


def _export(
    store: ObjectStore, key: str, suffix: str, form: SourceForm, out: BinaryIO, memory: int, most: int | None
) -> Export:
    rejects = read_rejected_records(store, key, None if most is None else most // PROBLEM)
    if suffix == ".parquet":
        export_parquet(store, key, rejects, out, most)
    else:
        with store.open(key) as (info, stream):
            rejects.check_version(key, info.etag)
            if suffix in _BOOKS:
                export_sheet(stream, key, form.dialect, form.fields, rejects, out, memory, most)
            else:
                records = form_of(suffix, form.dialect, marked=rejects.mends is not None)
                export_lines(stream, key, records, form.encoding, rejects, out, most)
    return Export(fixed_key(key, next_number(store, key)), len(rejects.open), rejects.mended)
