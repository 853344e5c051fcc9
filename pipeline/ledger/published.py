"""The published objects as the ledger has them: summaries, loads, status; all of one moment."""

import io
import json
import logging
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.logs import fields
from lake.layout import LOADS, STATUS, summary_key
from lake.schemas import METADATA_KEY
from pipeline.dataset.dataset import Dataset
from pipeline.ledger import report
from pipeline.ledger.database import LedgerError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.mended import RejectedLines
from pipeline.ledger.totals import exact_sums
from pipeline.model.contract import Contract
from pipeline.model.exact_sums import Exact, Totals, merge, rounded, sum_type

log = logging.getLogger(__name__)


def contents(
    ledger: Ledger, datasets: Mapping[str, Dataset], rejected: RejectedLines | None
) -> list[tuple[str, bytes]]:
    """Return every published object, all of one moment of the ledger; a summary that cannot be made is left out.

    `rejected` reads the rejects that are mended (see `report.sources`).
    """
    objects = []
    with ledger.transaction("DEFERRED"):
        for name, dataset in datasets.items():
            if summary := _summary(ledger, name, dataset):
                objects.append((summary_key(name), summary))
        loads, status = report.loads(ledger, rejected), report.status(ledger)
        loads = loads.replace_schema_metadata({METADATA_KEY: report.loads_metadata(ledger)})
    return [*objects, (LOADS, _parquet(loads)), (STATUS, status.model_dump_json(indent=1).encode())]


def _summary(ledger: Ledger, name: str, dataset: Dataset) -> bytes | None:
    try:
        return _parquet(summary_table(ledger, dataset))
    except LedgerError:
        raise
    except Exception as error:  # a fault of ours, or a damaged share: the other datasets go on
        _log_unpublished(name, repr(error))
        return None


@cache
def _log_unpublished(dataset: str, error: str) -> None:
    """Log an error once, for a publisher comes back four times a second."""
    action = "correct the contract or the transform, and replay the dataset; `verify` names damage"
    log.error(fields("summary not published", dataset=dataset, error=error, action=action))


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def summary_table(ledger: Ledger, dataset: Dataset) -> pa.Table:
    """Return a dataset's merged summary: the groupBy columns, `rows`, and each sum; groups in order."""
    spec, schema = dataset.contract.summary, dataset.schema
    groups: list[dict[str, Any]] = []
    counts: list[int] = []
    sums: list[dict[str, Exact]] = []
    for group, (rows, totals) in sorted(_totals(ledger, dataset).items()):
        groups.append(json.loads(group))
        counts.append(rows)
        sums.append(totals)
    columns: dict[str, pa.Array] = {}
    for name in spec.groupBy:
        columns[name] = _column(list(map(itemgetter(name), groups)), schema.field(name).type)
    columns["rows"] = pa.array(counts, pa.int64())
    for name in spec.sum:
        columns[name] = _sums(sums, name, schema.field(name).type)
    described = {"groupBy": spec.groupBy, "sum": spec.sum, "file": _file(dataset.contract)}
    return pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(described, ensure_ascii=False).encode()})


def _totals(ledger: Ledger, dataset: Dataset) -> Totals:
    """Merge the shares by the groups of the contract; a share of an older contract may have other fields."""
    totals: Totals = {}
    for row in ledger.rows('SELECT "group", rows, sums FROM summary WHERE dataset = ?', dataset.contract.name):
        group, known = {}, json.loads(row["group"])
        for name in dataset.contract.summary.groupBy:
            group[name] = known.get(name)
        merge(totals, group, row["rows"], exact_sums(row["sums"]))
    return totals


def _file(contract: Contract) -> dict[str, Any]:
    """Return how a dataset's files are written, which a reader must know to show their lines."""
    renamed = {field.name: field.heading for field in contract.fields if field.heading != (field.name, 1)}
    return {
        "encoding": contract.encoding,
        "delimiter": contract.dialect.delimiter,
        "quoteChar": contract.dialect.quoteChar,
        "dialect": contract.dialect.model_dump(mode="json", exclude_unset=True),
        "headers": renamed,  # field to what the file calls it, and which it is of the columns with this name
        "columns": [] if contract.dialect.header else [field.name for field in contract.fields],
    }


def _column(values: list[Any], type_: pa.DataType) -> pa.Array:
    """Return group values in their type; a value from an older contract that does not fit this type becomes null."""
    as_text = pa.types.is_temporal(type_) or pa.types.is_decimal(type_) or str in map(type, values)
    try:
        return pa.array(values, pa.string() if as_text else type_).cast(type_)
    except (pa.ArrowException, OverflowError):
        return pa.concat_arrays([_column([one], type_) if len(values) > 1 else pa.nulls(1, type_) for one in values])


def _sums(sums: list[dict[str, Exact]], name: str, type_: pa.DataType) -> pa.Array:
    """Return the sums of a field, rounded once; one that its type cannot hold is null, and logged."""
    values: list[int | float | Decimal | None] = []
    for totals in sums:
        try:
            values.append(rounded(totals.get(name, 0), type_, name))
        except OverflowError as error:
            log.warning(fields("sum not shown", reason=error))
            values.append(None)
    return pa.array(values, sum_type(type_))
