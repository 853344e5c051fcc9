"""Take up contracts and transforms that change during a run, so that all is as after a start with them."""

import logging
from collections.abc import Iterable

from common.logs import fields
from pipeline.dataset.dataset import fingerprints_of, text_datasets
from pipeline.ledger.report import EDITS
from pipeline.service.context import Pipeline
from pipeline.service.contracts import LOOK_SECONDS, Change, Contracts

log = logging.getLogger(__name__)


def follow_contracts(pipeline: Pipeline) -> None:
    """Look at the folder of contracts again and again, and take up what has changed in it."""
    while (contracts := pipeline.contracts) and not pipeline.stop.wait(LOOK_SECONDS):
        if change := contracts.look():
            take_up(pipeline, contracts, change)


def take_up(pipeline: Pipeline, contracts: Contracts, change: Change) -> None:
    """Use changed datasets for all loads that begin from now on; the others end as they began, and are stale then."""
    kept = {name: dataset for name, dataset in pipeline.datasets.items() if name not in change.gone}
    datasets = kept | dict(change.datasets)
    fingerprints = fingerprints_of(datasets)
    if change.datasets or change.gone:
        new, changed = change.datasets.keys() - kept.keys(), change.datasets.keys() & kept.keys()
        facts = {"new": _named(new), "changed": _named(changed), "gone": _named(change.gone)}
        pipeline.executor.renew(contracts.in_use.values(), fingerprints)
        log.info(fields("contracts taken up", **{what: names for what, names in facts.items() if names}))
    text = text_datasets(datasets)
    pipeline.ledger.take_up(fingerprints, contracts.waiting, text)
    if text - text_datasets(pipeline.datasets):
        pipeline.gap.set()  # a listing finds the files that are sources now
    pipeline.datasets = datasets
    edits = ",".join(edit.model_dump_json() for edit in contracts.edits.values())
    pipeline.ledger.set(EDITS, f"[{edits}]")
    pipeline.wake.set()
    pipeline.changed.set()


def _named(names: Iterable[str]) -> str:
    return " ".join(sorted(names))
