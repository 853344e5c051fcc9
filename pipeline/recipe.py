"""A dataset made ready: its contract, its transform, the rows that come out, and the recipe that names all this."""

import hashlib
import sys
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pyarrow as pa

from pipeline.contract import Contract, read_contract
from pipeline.reader import masks
from pipeline.reader.batch import batch_schema
from pipeline.reader.source import Limits
from pipeline.transform import Transform, to_frame
from storage.console import SettingError

FORMAT_VERSION = "5"  # of what we write: a new one makes every load stale


@dataclass(frozen=True)
class Dataset:
    """How the files of one dataset are loaded.

    `schema` is that of its clean rows, lineage left out; `rowwise` says that the transform looks at each row alone.
    """

    contract: Contract
    transform: Transform | None
    schema: pa.Schema
    recipe: str
    limits: Limits
    rowwise: bool = False


def read_datasets(folder: Path, limits: Limits = Limits()) -> dict[str, Dataset]:  # noqa: B008 (it never changes)
    """Read every contract of a folder and the transforms beside them; `SettingError` names the file that is wrong."""
    return {path.stem: read_dataset(path, limits) for path in sorted(folder.glob("*.json"))}


def read_dataset(path: Path, limits: Limits = Limits()) -> Dataset:  # noqa: B008 (it never changes)
    """Read one contract and the transform beside it; `SettingError` says what is not right."""
    contract = read_contract(path)
    for one in contract.fields:
        try:
            masks.check_column(pa.array(["x"]), one, contract.missing)
        except (ValueError, pa.ArrowException) as error:
            raise SettingError(f"{path}: field {one.name!r}: constraints: {error}") from error
    script = path.with_suffix(".py")
    transform, rowwise = _transform(script) if script.exists() else (None, False)
    schema = _schema(contract, transform, script)
    _check_names(path, contract, schema)
    return Dataset(contract, transform, schema, _recipe(path, script, limits), limits, rowwise)


def _transform(script: Path) -> tuple[Transform, bool]:
    """Give the function, and whether it looks at each row alone."""
    try:
        spec = spec_from_file_location(f"pipeline.datasets.{script.stem}", script.resolve())
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[spec.name] = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.transform, getattr(module, "ROWWISE", False)
    except Exception as error:
        raise SettingError(f"{script}: expected a function transform(frame): {error!r}") from error


def _schema(contract: Contract, transform: Transform | None, script: Path) -> pa.Schema:
    """Learn the types that come out of the transform by calling it with an empty frame."""
    if transform is None:
        return contract.schema
    try:
        empty = to_frame(batch_schema(contract).empty_table())
        made = pa.Table.from_pandas(transform(empty), preserve_index=False).schema.remove_metadata()
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
    for name in groups:
        if pa.types.is_nested(schema.field(name).type):
            raise SettingError(f"{path}: summary.groupBy names {name!r}: expected a column of plain values")
    for name in sums:
        if not (pa.types.is_integer(schema.field(name).type) or pa.types.is_floating(schema.field(name).type)):
            raise SettingError(f"{path}: summary.sum names {name!r}: expected a column of numbers")


def _recipe(contract: Path, script: Path, limits: Limits) -> str:
    digest = hashlib.sha256(f"{FORMAT_VERSION} {limits}".encode())
    for path in (contract, script):
        digest.update(b"\0" + (path.read_bytes() if path.exists() else b""))
    return digest.hexdigest()[:16]
