"""Read a dataset: contract, transform, output schema, and a fingerprint of all that determines its output."""

import hashlib
import sys
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.acero

from common.errors import SettingError
from lake.mending import MENDS
from pipeline.dataset.output_schema import output_schema
from pipeline.dataset.transform import Transform, apply_transform
from pipeline.dataset.user_code import call_user_code
from pipeline.model.contract import Contract
from pipeline.model.problem import LIST_LIMIT, listed, shortened
from pipeline.model.read_contract import alike_names, read_contract
from pipeline.readers.base import Limits
from pipeline.readers.cells.validate import check_rules

FORMAT_VERSION = "7"  # of what we write: a new one makes every load stale

GROUPS = "text, whole numbers, numbers, booleans, dates or times with a date"

SUMS = "whole numbers or numbers"


@dataclass(frozen=True)
class Dataset:
    """Rules for loading the files of one dataset; `schema` is that of its clean rows without lineage."""

    contract: Contract
    transform: Transform | None
    schema: pa.Schema
    fingerprint: str
    limits: Limits

    def transform_rows(self, rows: pa.Table) -> pa.Table:
        """Return the clean rows of a batch of good rows, with `_line`; `Refused` if the transform fails.

        The transform is not called without rows: a file with a header alone has no batch, or an empty one.
        """
        if not self.transform:
            return rows
        schema = self.schema.append(pa.field("_line", pa.int64()))
        return apply_transform(rows, self.transform, schema) if rows.num_rows else schema.empty_table()


def read_datasets(folder: Path, limits: Limits = Limits()) -> dict[str, Dataset]:  # noqa: B008 (it never changes)
    """Read every contract of a folder and the transforms beside them; `SettingError` names the file that is wrong."""
    datasets = dict[str, Dataset]()
    for path in sorted(folder.glob("*.json")):
        datasets[path.stem] = read_dataset(path, limits)
    return datasets


def read_dataset(path: Path, limits: Limits = Limits()) -> Dataset:  # noqa: B008 (it never changes)
    """Read one contract and the transform beside it; `SettingError` says what is not right."""
    contract = read_contract(path)
    for field in contract.fields:
        try:
            check_rules(field)
        except (ValueError, pa.ArrowException) as error:
            reason = shortened(str(error), LIST_LIMIT)
            raise SettingError(f"{path}: field {shortened(field.name)!r}: constraints: {reason}") from error
    script = path.with_suffix(".py")
    transform, schema = None, contract.schema
    if script.exists():
        module = _module(script)
        transform = module.transform
        schema = output_schema(script, transform, contract, getattr(module, "TYPES", {}))
    _check_names(path, contract, schema)
    return Dataset(contract, transform, schema, _fingerprint(path, script, limits), limits)


def _module(script: Path) -> ModuleType:
    """Run the file of a transform."""
    try:
        spec = spec_from_file_location(f"pipeline.datasets.{script.stem}", script.resolve())
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[spec.name] = module_from_spec(spec)
        call_user_code(spec.loader.exec_module, module)
        if not callable(module.transform):
            raise TypeError(f"transform is {module.transform!r}")
    except Exception as error:
        raise SettingError(
            f"{script}: expected a function transform(frame): {shortened(repr(error), LIST_LIMIT)}"
        ) from error
    if not isinstance(getattr(module, "TYPES", {}), dict):
        raise SettingError(
            f"{script}: TYPES is {module.TYPES!r}: expected types by column, such as {{'Margin': 'number'}}"
        )
    return module


def _check_names(path: Path, contract: Contract, schema: pa.Schema) -> None:
    if alike := alike_names(schema.names):
        raise SettingError(f"{path.with_suffix('.py')}: of the columns that come out, {alike}: give one another name")
    if any(MENDS in (field.name, field.heading.text) for field in contract.fields):
        raise SettingError(f"{path}: {MENDS!r} is the column of marks in a fixed file: choose another name")
    for name in schema.names:
        if name.casefold() in ("_line", "_source_key"):
            raise SettingError(f"{path}: {name!r} is the name of a column that every load adds: choose another")
    _check_summary(path, contract, schema)


def _check_summary(path: Path, contract: Contract, schema: pa.Schema) -> None:
    groups, sums = contract.summary.groupBy, contract.summary.sum
    if alike := alike_names(["rows", *groups, *sums]):
        raise SettingError(f"{path}: summary: {alike} (it has its own column rows): name another column")
    for name in (*groups, *sums):
        if name not in schema.names:
            expected = f"expected one of {listed(schema.names)}"
            raise SettingError(f"{path}: summary names {shortened(name)!r}: {expected}")
    for part, names, types, takes in (("groupBy", groups, GROUP_TYPES, GROUPS), ("sum", sums, SUM_TYPES, SUMS)):
        for name in names:
            type_ = schema.field(name).type
            for is_kind in types:
                if is_kind(type_):
                    break
            else:
                raise SettingError(f"{path}: summary.{part} names {name!r}, which is {type_}: expected {takes}")


def _fingerprint(contract: Path, script: Path, limits: Limits) -> str:
    digest = hashlib.sha256(f"{FORMAT_VERSION} {limits}".encode())
    for path in (contract, script):
        digest.update(b"\0" + (path.read_bytes() if path.exists() else b""))
    return digest.hexdigest()[:16]


# The types of columns that can be groups, and of those that can be summed up.
GROUP_TYPES = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_float32, pa.types.is_float64),
    *(pa.types.is_boolean, pa.types.is_date32, pa.types.is_timestamp, pa.types.is_decimal),
)

SUM_TYPES = (pa.types.is_integer, pa.types.is_float32, pa.types.is_float64)
