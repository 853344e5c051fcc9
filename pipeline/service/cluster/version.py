"""Versions of all that determines the bytes of a load, so that pipeline and workers can be compared.

Each part is a resource of Dask: a worker has it, and a load asks for it. So the scheduler itself keeps every load from
a worker of another version, also from one that joins while loads are under way.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import common
import lake
import pipeline
from common.errors import StoreUnavailable
from lake.stores.base import ObjectStore
from pipeline.service.lease import lake_id

PARTS = {
    "code": "code",
    "contracts": "contracts or transforms",
    "libraries": "Python or libraries",
    "lake": "lake",
}
LIBRARIES = ("cloudpickle", "distributed", "numpy", "obstore", "pandas", "pyarrow")
PREFIX = "lakelet-"  # of our resources
DIGITS = 12  # of a hash that are compared
NOT_FENCED = (
    "the store has no conditional puts, so a worker that was given up could replace a newer result: use a store that "
    "honours If-Match and If-None-Match, such as MinIO"
)


class NotFenced(Exception):
    """The store has no conditional puts, so no cluster is used: the message says why, and the way out."""


def version_of(store: ObjectStore, fingerprints: Mapping[str, str]) -> Mapping[str, str]:
    """Return the versions of a pipeline.

    Raises:
        NotFenced: the store has no conditional puts.
        StoreUnavailable: the store is away, or has no lake yet.
    """
    if not (known := lake_id(store)):
        raise StoreUnavailable("there is no lake yet")
    if not store.conditional_puts():
        raise NotFenced(NOT_FENCED)
    return versions(known, fingerprints)


def versions(id_of_lake: str, fingerprints: Mapping[str, str]) -> dict[str, str]:
    """Return the hash of each part: the code, the datasets by their fingerprints, the libraries, and the lake.

    The lake goes by its id: members may know it by other addresses, and other lakes may have the same.
    """
    return {
        "code": _code(),
        "contracts": contracts_version(fingerprints),
        "libraries": _hash(json.dumps([sys.version, *(version(name) for name in LIBRARIES)])),
        "lake": _hash(id_of_lake),
    }


def contracts_version(fingerprints: Mapping[str, str]) -> str:
    """Return the hash of the datasets: the part that changes during a run."""
    return _hash(json.dumps(sorted(fingerprints.items())))


def as_resources(parts: Mapping[str, str]) -> dict[str, float]:
    """Return Dask's resources of these versions, one of each: a worker loads one batch at a time."""
    return {f"{PREFIX}{name}-{value}": 1.0 for name, value in parts.items()}


def short(parts: Mapping[str, str]) -> str:
    """Return the version for people: that of the package, and a short hash of all parts."""
    return f"{version('lakelet')} {_hash(json.dumps(sorted(parts.items())))[:6]}"


def from_resources(resources: Iterable[str]) -> dict[str, str]:
    """Return the versions that a worker's resources tell; a worker that is not Lakelet's tells none."""
    names = [name.removeprefix(PREFIX).partition("-") for name in resources if name.startswith(PREFIX)]
    return {part: value for part, _, value in names}


def difference(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Return what makes a worker unfit for a pipeline's loads, for a person; empty if nothing does."""
    if not found:
        return "it is no worker of Lakelet: start workers with `python -m pipeline worker`"
    parts = [name for name, value in expected.items() if found.get(name) != value]
    if not parts:
        return ""
    way_out = "bring both to one version" + (", and restart both" if parts != ["contracts"] else "")
    return f"it differs from the pipeline in {' and '.join(map(PARTS.__getitem__, parts))}: {way_out}"


@cache
def _code() -> str:
    """Return a hash of the source of the packages that a load runs through, without the contracts beside them."""
    digest = hashlib.sha256()
    for package in (common, lake, pipeline):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            if (name := path.relative_to(root)).parts[0] != "datasets":
                digest.update(f"{package.__name__}/{name.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:DIGITS]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
