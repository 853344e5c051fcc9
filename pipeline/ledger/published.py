"""The published objects as the ledger has them: summaries, loads, status; all of one moment."""

import io
import json
import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.logs import fields
from lake.layout import LOADS, STATUS, summary_key
from lake.published import METADATA_KEY
from pipeline.dataset.dataset import Dataset
from pipeline.ledger import report
from pipeline.ledger.database import LedgerError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.totals import exact_sums
from pipeline.model.contract import Contract
from pipeline.model.exact import Exact, Totals, merge, rounded

log = logging.getLogger(__name__)


def contents(ledger: Ledger, datasets: Mapping[str, Dataset]) -> list[tuple[str, bytes]]:
    """Return every published object, all of one moment of the ledger; a summary that cannot be made is left out."""
    with ledger.transaction("DEFERRED"):
        summaries = [(name, _summary(ledger, name, dataset)) for name, dataset in datasets.items()]
        loads, status = report.loads(ledger), report.status(ledger)
    return [
        *((summary_key(name), content) for name, content in summaries if content),
        (LOADS, _parquet(loads)),
        (STATUS, json.dumps(status, indent=1).encode()),
    ]


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
    """Give a dataset's merged summary: the groupBy columns, `rows`, and each sum; groups in order."""
    spec = dataset.contract.summary
    totals: Totals = {}
    for row in ledger.rows('SELECT "group", rows, sums FROM summary WHERE dataset = ?', dataset.contract.name):
        # A share that another contract left behind is counted under what it still has in common with this one.
        group = {name: json.loads(row["group"]).get(name) for name in spec.groupBy}
        merge(totals, group, row["rows"], exact_sums(row["sums"]))
    groups = sorted(totals.items())
    types = {name: dataset.schema.field(name).type for name in (*spec.groupBy, *spec.sum)}
    columns = {name: _column([json.loads(group)[name] for group, _ in groups], types[name]) for name in spec.groupBy}
    columns["rows"] = pa.array([rows for _, (rows, _) in groups], pa.int64())
    for name in spec.sum:
        wide = pa.int64() if pa.types.is_integer(types[name]) else pa.float64()
        totals_of = [_shown(sums.get(name, 0), types[name], name) for _, (_, sums) in groups]
        columns[name] = pa.array(totals_of, wide)
    described = {"groupBy": spec.groupBy, "sum": spec.sum, "file": _file(dataset.contract)}
    return pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(described, ensure_ascii=False).encode()})


def _file(contract: Contract) -> dict[str, Any]:
    """Return how a dataset's files are written, which a reader must know to show their lines."""
    renamed = {field.name: field.heading for field in contract.fields if field.heading != (field.name, 1)}
    return {
        "encoding": contract.encoding,
        "delimiter": contract.delimiter,
        "quoteChar": contract.quote,
        "headers": renamed,  # field to what the file calls it, and which it is of the columns with this name
    }


def _column(values: list[Any], type_: pa.DataType) -> pa.Array:
    """Give group values in their type; one that a contract of before left behind, and that has another, is null."""
    as_text = pa.types.is_temporal(type_) or pa.types.is_decimal(type_) or any(isinstance(one, str) for one in values)
    try:
        return pa.array(values, pa.string() if as_text else type_).cast(type_)
    except (pa.ArrowException, OverflowError):
        return pa.concat_arrays([_column([one], type_) if len(values) > 1 else pa.nulls(1, type_) for one in values])


def _shown(total: Exact, type_: pa.DataType, name: str) -> int | float | None:
    """Round a merged sum for showing; one that its type cannot hold is null, and said."""
    try:
        return rounded(total, type_, name)
    except OverflowError as error:
        log.warning(fields("sum not shown", reason=error))
        return None
