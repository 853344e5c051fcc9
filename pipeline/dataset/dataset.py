"""Read a dataset: contract, transform, output schema, and a fingerprint of all that determines its output."""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import pyarrow as pa
import pyarrow.acero

from common.errors import SettingError
from common.messages import LIST_LIMIT, listed, shortened
from lake.mending import MENDS
from pipeline.dataset.definition import Definition, read_definition, read_definitions
from pipeline.dataset.output_schema import output_schema
from pipeline.dataset.transform import Transform, apply_transform
from pipeline.dataset.user_code import call_user_code
from pipeline.model.contract import Contract
from pipeline.model.read_contract import alike_names, read_contract
from pipeline.readers.base import LIMITS, Limits
from pipeline.readers.cells.check_rules import rule_problems

FORMAT_VERSION = "8"  # of what we write: a new one makes every load stale

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


def read_datasets(folder: Path, limits: Limits = LIMITS) -> dict[str, Dataset]:
    """Read every contract of a folder and the transforms beside them; `SettingError` names the file that is wrong."""
    return {one.name: make_dataset(one, limits) for one in read_definitions(folder)}


def text_datasets(datasets: Mapping[str, Dataset]) -> frozenset[str]:
    """Return the names of the datasets whose contracts ask for .txt files."""
    return frozenset(name for name, dataset in datasets.items() if dataset.contract.reads_text)


def fingerprints_of(datasets: Mapping[str, Dataset]) -> dict[str, str]:
    """Return the fingerprint of each dataset."""
    return {name: dataset.fingerprint for name, dataset in datasets.items()}


def read_dataset(path: Path, limits: Limits = LIMITS) -> Dataset:
    """Read one contract and the transform beside it; `SettingError` says what is not right."""
    return make_dataset(read_definition(path), limits)


def make_dataset(definition: Definition, limits: Limits) -> Dataset:
    """Make a dataset of the bytes that define it; `SettingError` says what is not right."""
    path = definition.path
    contract = read_contract(path, definition.contract)
    for field in contract.fields:
        for problem in rule_problems(field, contract.missing_of(field)):
            raise SettingError(f"{path}: field {shortened(field.name)!r}: {problem}")
    transform, schema = None, contract.schema
    if definition.transform is not None:
        module = _module(definition.script, definition.transform)
        transform = module.transform
        schema = output_schema(definition.script, transform, contract, getattr(module, "TYPES", {}))
    _check_names(path, contract, schema)
    return Dataset(contract, transform, schema, fingerprint(definition, limits), limits)


class _Loader(SourceFileLoader):
    """Loads a module from the bytes that were read of it: a cache goes by the second in which a file was changed."""

    def __init__(self, name: str, path: str, content: bytes) -> None:
        super().__init__(name, path)
        self._content = content

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        """Compile the bytes."""
        code: CodeType = self.source_to_code(self._content, self.path)
        return code


def _module(script: Path, content: bytes) -> ModuleType:
    """Run the file of a transform."""
    name, path = f"pipeline.datasets.{script.stem}", str(script.resolve())
    try:
        spec = spec_from_file_location(name, path, loader=_Loader(name, path, content))
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


def fingerprint(definition: Definition, limits: Limits) -> str:
    """Return a hash of all that determines what a dataset makes of a file."""
    digest = hashlib.sha256(f"{FORMAT_VERSION} {limits}".encode())
    for content in (definition.contract, definition.transform or b""):
        digest.update(b"\0" + content)
    return digest.hexdigest()[:16]


# The types of columns that can be groups, and of those that can be summed up.
GROUP_TYPES = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_float32, pa.types.is_float64),
    *(pa.types.is_boolean, pa.types.is_date32, pa.types.is_timestamp, pa.types.is_decimal),
)

SUM_TYPES = (pa.types.is_integer, pa.types.is_float32, pa.types.is_float64, pa.types.is_decimal)
