"""A dataset made ready: its contract, its transform, the rows that come out, and the recipe that names all this."""

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa

from pipeline.contract import Contract, read_contract
from pipeline.reader import masks
from pipeline.reader.source import Limits
from storage.console import SettingError

FORMAT_VERSION = "4"  # of what we write: a new one makes every load stale
FOLDER = Path(__file__).parent / "datasets"

Transform = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Dataset:
    """How the files of one dataset are loaded; `schema` is that of its clean rows, lineage left out."""

    contract: Contract
    transform: Transform | None
    schema: pa.Schema
    recipe: str
    limits: Limits


def read_datasets(folder: Path = FOLDER, limits: Limits = Limits()) -> dict[str, Dataset]:  # noqa: B008 (it never changes)
    """Read every contract and transform; `SettingError` names the file that is not right."""
    return {path.stem: read_dataset(path, limits) for path in sorted(folder.glob("*.json"))}


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """Give rows as an Arrow-backed frame, which costs no copy and keeps integers and nulls what they are."""
    frame = pd.DataFrame(dict(enumerate(map(pd.arrays.ArrowExtensionArray, rows.columns))), copy=False)
    frame.columns = _index(tuple(rows.column_names)).view()  # a transform may give its columns a name
    return frame


@cache
def _index(names: tuple[str, ...]) -> pd.Index:
    return pd.Index(names)  # which takes as long as all the rest of a small frame


def from_frame(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Give a frame's columns of these names as rows of these types; an error says which it has not, or not so."""
    arrays = {name: series.array for name, series in frame.items()}
    types = {name: one.dtype.pyarrow_dtype for name, one in arrays.items() if isinstance(one.dtype, pd.ArrowDtype)}
    if len(arrays) == len(frame.columns) and all(types.get(field.name) == field.type for field in schema):
        return pa.Table.from_pydict(arrays, schema)  # the other way looks at each column thrice
    # Threads for each frame take longer than its columns.
    return pa.Table.from_pandas(frame, schema, preserve_index=False, nthreads=1)


def read_dataset(path: Path, limits: Limits = Limits()) -> Dataset:  # noqa: B008 (it never changes)
    """Read one contract and the transform beside it; `SettingError` says what is not right."""
    contract = read_contract(path)
    for one in contract.fields:
        try:
            masks.check_column(pa.array(["x"]), one, contract.missing)
        except (ValueError, pa.ArrowException) as error:
            raise SettingError(f"{path}: field {one.name!r}: constraints: {error}") from error
    script = path.with_suffix(".py")
    transform = _transform(script) if script.exists() else None
    schema = _schema(contract, transform, script)
    _check_names(path, contract, schema)
    return Dataset(contract, transform, schema, _recipe(path, script, limits), limits)


def _transform(script: Path) -> Transform:
    try:
        module = importlib.import_module(f"pipeline.datasets.{script.stem}")
        return module.transform  # type: ignore[no-any-return]
    except Exception as error:
        raise SettingError(f"{script}: expected a function transform(frame): {error!r}") from error


def _schema(contract: Contract, transform: Transform | None, script: Path) -> pa.Schema:
    """Learn the types that come out of the transform by calling it with an empty frame."""
    if transform is None:
        return contract.schema
    empty = contract.schema.append(pa.field("_line", pa.int64())).empty_table()
    try:
        made = pa.Table.from_pandas(transform(to_frame(empty)), preserve_index=False).schema.remove_metadata()
    except Exception as error:
        raise SettingError(f"{script}: transform failed on an empty frame: {error!r}") from error
    if "_line" not in made.names:
        raise SettingError(f"{script}: transform lost the column _line: it must stay, one number per row")
    return made.remove(made.get_field_index("_line"))


def _check_names(path: Path, contract: Contract, schema: pa.Schema) -> None:
    for name in schema.names:
        if name in ("_line", "_source_key"):
            raise SettingError(f"{path}: {name!r} is the name of a column that every load adds: choose another")
    groups, sums = contract.summary.groupBy, contract.summary.sum
    for name in {name for name in (*groups, *sums) if (*groups, *sums, "rows").count(name) > 1}:
        raise SettingError(f"{path}: summary names {name!r}, which is a column of the summary already")
    for name in (*groups, *sums):
        if name not in schema.names:
            raise SettingError(f"{path}: summary names {name!r}: expected one of {', '.join(schema.names)}")
    for name in sums:
        if not (pa.types.is_integer(schema.field(name).type) or pa.types.is_floating(schema.field(name).type)):
            raise SettingError(f"{path}: summary.sum names {name!r}: expected a column of numbers")


def _recipe(contract: Path, script: Path, limits: Limits) -> str:
    digest = hashlib.sha256(f"{FORMAT_VERSION} {limits}".encode())
    for path in (contract, script):
        digest.update(b"\0" + (path.read_bytes() if path.exists() else b""))
    return digest.hexdigest()[:16]
