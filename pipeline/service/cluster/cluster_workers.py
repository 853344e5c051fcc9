"""Workers of a cluster as its scheduler knows them: which are fit for a pipeline's loads, and which came and went."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.logs import fields
from pipeline.service.cluster.version import difference, from_resources

VERSION_NAME = "lakelet_version"  # of a worker's version, among what it tells the scheduler of itself

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClusterWorker:
    """Worker of a cluster, which loads one batch at a time; `other` is why it gets none; empty: it is fit."""

    name: str
    host: str
    version: str
    other: str


def cluster_workers(info: Mapping[str, Any], version: Mapping[str, str]) -> dict[str, ClusterWorker]:
    """Return the workers by name, from what a scheduler tells; `version` is what they are expected to have."""
    found = {}
    for worker in info["workers"].values():
        name, other = str(worker["name"]), difference(version, from_resources(worker["resources"]))
        found[name] = ClusterWorker(name, str(worker["host"]), str(worker.get(VERSION_NAME, "")), other)
    return found


def count_fit(present: Mapping[str, ClusterWorker]) -> int:
    """Count the workers that get loads."""
    return sum(not worker.other for worker in present.values())


def log_changes(before: Mapping[str, ClusterWorker], after: Mapping[str, ClusterWorker]) -> None:
    """Log which workers came and went, and when the first fit one came and the last one went."""
    for name, worker in after.items():
        known = before.get(name)
        if not known or known.other != worker.other:
            facts = {"worker": name, "host": worker.host, "version": worker.version}
            if worker.other:
                log.warning(fields("worker unfit", **facts, reason=worker.other, action="it gets nothing"))
            else:
                log.info(fields("worker joined", **facts))
    for name in before.keys() - after.keys():
        log.info(fields("worker left", worker=name))
    if count_fit(before) and not count_fit(after):
        log.warning(fields("no workers", action="all files wait"))
