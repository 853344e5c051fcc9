"""Workers of a cluster as its scheduler knows them: which are fit for a pipeline's loads, and which came and went."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.logs import fields
from pipeline.service.cluster.version import difference, from_resources

VERSION = "lakelet_version"  # the name of a worker's version in what it tells the scheduler of itself

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """Worker of a cluster; `loads` is how many it can run at a time, `other` why it gets none; empty: it is fit."""

    name: str
    host: str
    version: str
    loads: int
    other: str


def members(info: Mapping[str, Any], version: Mapping[str, str]) -> dict[str, Member]:
    """Return the workers by name, from what a scheduler tells; `version` is what they are expected to have."""
    found = {}
    for worker in info["workers"].values():
        name, other = str(worker["name"]), difference(version, from_resources(worker["resources"]))
        found[name] = Member(name, str(worker["host"]), str(worker.get(VERSION, "")), int(worker["nthreads"]), other)
    return found


def room(present: Mapping[str, Member]) -> int:
    """Return how many loads the fit workers can run at a time."""
    return sum(member.loads for member in present.values() if not member.other)


def log_changes(before: Mapping[str, Member], after: Mapping[str, Member]) -> None:
    """Log which workers came and went, and when the first fit one came and the last one went."""
    for name, member in after.items():
        if name not in before:
            facts = {"worker": name, "host": member.host, "version": member.version}
            if member.other:
                log.warning(fields("worker unfit", **facts, reason=member.other, action="it gets nothing"))
            else:
                log.info(fields("worker joined", **facts, loads=member.loads))
    for name in before.keys() - after.keys():
        log.info(fields("worker left", worker=name))
    if room(before) and not room(after):
        log.warning(fields("no workers", action="all files wait"))
