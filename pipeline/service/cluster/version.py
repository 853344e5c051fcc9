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

PARTS = {
    "code": "code",
    "contracts": "contracts or transforms",
    "libraries": "Python or libraries",
    "lake": "lake",
}
LIBRARIES = ("cloudpickle", "distributed", "numpy", "obstore", "pandas", "pyarrow")
PREFIX = "lakelet-"  # of our resources
DIGITS = 12  # of a hash that are compared


def versions(lake_id: str, fingerprints: Mapping[str, str]) -> dict[str, str]:
    """Return the hash of each part: the code, the datasets by their fingerprints, the libraries, and the lake.

    The lake goes by its id: members may know it by other addresses, and other lakes may have the same.
    """
    return {
        "code": _code(),
        "contracts": _hash(json.dumps(sorted(fingerprints.items()))),
        "libraries": _hash(json.dumps([sys.version, *(version(name) for name in LIBRARIES)])),
        "lake": _hash(lake_id),
    }


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
    parts = [PARTS[name] for name, value in expected.items() if found.get(name) != value]
    if not parts:
        return ""
    return f"it differs from the pipeline in {' and '.join(parts)}: bring both to one version, and restart both"


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
