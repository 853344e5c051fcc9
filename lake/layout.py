"""Names of the objects in a lake: what a key means, and from one key to another."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from lake.stores.base import MAX_KEY_BYTES, InvalidKey, check_key

RAW, CLEAN, REJECTED, PUBLISHED, TABLES = "raw/", "clean/", "rejected/", "published/", "tables/"
LOADS = PUBLISHED + "loads.parquet"
STATUS = PUBLISHED + "status.json"
LAKE = PUBLISHED + "lake.json"

DATASET_NAME = "^[a-z0-9][a-z0-9_-]*$"  # of a contract, and so of the folder of its files

_PARQUET = ".parquet"
NAME_BYTES = 255 - len(_PARQUET)  # file systems hold names of 255 bytes, and a result adds its suffix
KEY_BYTES = MAX_KEY_BYTES - len(REJECTED) + len(RAW) - len(_PARQUET)
_PACKED = ("", ".gz", ".zst")
WORKBOOKS = (".xlsx", ".xls", ".ods")
SUFFIXES = (  # of the sources that the pipeline loads, in any case
    *(suffix + packed for suffix in (".csv", ".tsv", ".jsonl", ".ndjson") for packed in _PACKED),
    ".parquet",
    *WORKBOOKS,
)
TEXT_SUFFIXES = tuple(".txt" + packed for packed in _PACKED)  # of sources where the contract asks for them
TABBED = tuple(".tsv" + packed for packed in _PACKED)  # of the sources whose values are separated by tabs


@dataclass(frozen=True, slots=True)
class Source:
    """The dataset that an object under `raw/` belongs to, or the reason why it is `ignored`."""

    dataset: str = ""
    ignored: str = ""


def source(key: str, text_datasets: Collection[str] = ()) -> Source:
    """Classify an object under `raw/` by its key; `text_datasets` are those whose contracts ask for .txt files."""
    try:
        check_key(key)
    except InvalidKey as error:
        return Source(ignored=str(error))
    dataset, slash, rest = key.removeprefix(RAW).partition("/")
    if not slash:
        return Source(ignored="not in a dataset's folder: move it to raw/<dataset>/")
    suffixes = SUFFIXES + TEXT_SUFFIXES if dataset in text_datasets else SUFFIXES
    if not key.lower().endswith(suffixes):
        return Source(
            ignored=f"not a file that is loaded: expected a name that ends in {', '.join(suffixes)}{_txt(key)}"
        )
    for suffix in suffixes:
        if suffix + _PARQUET + "/" in rest.lower():
            # The clean object of a file `a.csv` beside it would have the name of the folder of this one's.
            return Source(ignored="a folder above it is named as our results are (….csv.parquet): rename that folder")
    if len(key.rpartition("/")[2].encode()) > NAME_BYTES:
        return Source(ignored=f"its name is too long: expected at most {NAME_BYTES} bytes after the last slash")
    if len(key.encode()) > KEY_BYTES:
        return Source(ignored=f"its key is too long: expected at most {KEY_BYTES} bytes")
    return Source(dataset)


def _txt(key: str) -> str:
    """Return how a .txt file is read, if the key is of one."""
    return (
        "; a .txt file is loaded where its contract has the format txt" if key.lower().endswith(TEXT_SUFFIXES) else ""
    )


def wrong_dataset_name(name: str) -> str:
    """Return why a name cannot be that of a dataset, and a name that can; empty if it is legal."""
    if re.fullmatch(DATASET_NAME, name):
        return ""
    better = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:40] or "my-data"
    return (
        f"{name!r:.80} cannot be the name of a dataset: expected a-z, 0-9, - and _, with a letter or digit first, "
        f"like {better!r}"
    )


def clean_key(source_key: str) -> str:
    """Return the key of a source's good rows: `raw/a/b.csv` to `clean/a/b.csv.parquet`."""
    return CLEAN + source_key.removeprefix(RAW) + _PARQUET


def rejected_key(source_key: str) -> str:
    """Return the key of a source's problems: `raw/a/b.csv` to `rejected/a/b.csv.parquet`."""
    return REJECTED + source_key.removeprefix(RAW) + _PARQUET


def source_key(output_key: str) -> str:
    """Return the source of a clean or rejected object: the inverse of `clean_key` and `rejected_key`."""
    return RAW + output_key.partition("/")[2].removesuffix(_PARQUET)


def table_prefix(outputs: str, dataset: str) -> str:
    """Return the prefix of a dataset's Delta table; `outputs` is `CLEAN` or `REJECTED`."""
    return f"{TABLES}{outputs}{dataset}/"


def table_application(ledger: str) -> str:
    """Return the name under which a table's commits have the position of a ledger, by the ledger's id."""
    return f"lakelet-{ledger}"


def summary_key(dataset: str) -> str:
    """Return the key of a dataset's published summary."""
    return f"{PUBLISHED}{dataset}/summary.parquet"
