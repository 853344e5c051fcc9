"""The rejected records of one version of a source, and which of them are mended; from the objects alone."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.dataset as ds

from lake.layout import CLEAN, RAW, clean_key, rejected_key, source_key
from lake.mending import Mends, fixed_number, fixed_prefixes, read_mends, version_of
from lake.schemas import METADATA_KEY
from lake.stores.base import ObjectStore

FAULTS = ("quote", "size")  # rules that reject a physical line, because it is no record


class CannotExport(ValueError):
    """Rejected records cannot be exported; the message says why, and what to do."""


@dataclass(frozen=True)
class RejectedRecords:
    """The rejected records of a version: `open` has their lines in order, and True for a line that is no record.

    `mended` are those that are mended already. `mends` are the marks of the source itself, if it is a fixed file.
    """

    etag: str
    version: str
    open: dict[int, bool]
    mended: int
    mends: Mends | None


def read_rejected_records(store: ObjectStore, key: str) -> RejectedRecords:
    """Read the rejected records of a source, without those that are mended.

    Raises:
        CannotExport: there are none, or the source is refused as a whole.
    """
    record, lines = _read_rejected(store, key)
    mends, version = read_mends(record), version_of(key, record["etag"])
    passed = _passed(store, key)
    mended = mended_lines(version, mends, passed) & lines.keys()
    rest = {line: fault for line, fault in lines.items() if line not in mended}
    if not rest:
        raise CannotExport(f"all {len(lines):,} rejected records of {key} are mended: nothing is left to correct")
    return RejectedRecords(record["etag"], version, rest, len(mended), mends)


def mended_lines(version: str, mends: Mends | None, passed: Mapping[str, Collection[int]]) -> set[int]:
    """Return the lines of a version whose rejects are mended.

    Args:
        version: the version that has the rejects.
        mends: its own marks: a record of a fixed file is mended with the record that it should have mended.
        passed: the lines that are mended, by version.
    """
    lines = set(passed.get(version, ()))
    for of, pairs in (mends.rejected if mends else {}).items():
        lines.update(own for line, own in pairs if line in passed.get(of, ()))
    return lines


def next_number(store: ObjectStore, key: str) -> int:
    """Return the number for the next fixed file of a source."""
    infos = (info for prefix in fixed_prefixes(key) for info in store.list(RAW + prefix))
    return 1 + max((fixed_number(info.key) or 0 for info in infos), default=0)


def _read_rejected(store: ObjectStore, key: str) -> tuple[dict[str, Any], dict[int, bool]]:
    """Return the record of the load in a rejected object, and its lines: True for one that is no record."""
    problems = store.dataset(rejected_key(key))
    record = next(_records(problems), None)
    if record is None:
        raise CannotExport(f"{key} has no rejected records: there is no object {rejected_key(key)}")
    if not record:
        raise CannotExport(f"{rejected_key(key)} has no record of a load: load {key} again")
    if record["status"] == "refused":
        reason = f"{key} is refused as a whole ({record['first_problem']})"
        raise CannotExport(f"{reason}: correct the whole file, and put it under the same name")
    lines = dict[int, bool]()
    for batch in problems.scanner(columns=["line", "rule"]).to_batches():
        for line, rule in zip(batch["line"].to_pylist(), batch["rule"].to_pylist(), strict=True):
            lines[line] = rule in FAULTS
    return record, lines


def _passed(store: ObjectStore, key: str) -> dict[str, set[int]]:
    """Return the lines that fixed files of a source mend, by version."""
    passed = dict[str, set[int]]()
    for prefix in fixed_prefixes(key):
        for info in store.list(CLEAN + prefix):
            if info.key != clean_key(source_key(info.key)) or not fixed_number(source_key(info.key)):
                continue
            for record in _records(store.dataset(info.key)):
                mends = read_mends(record)
                for version, lines in (mends.passed if mends else {}).items():
                    passed.setdefault(version, set()).update(lines)
    return passed


def _records(dataset: ds.Dataset) -> Iterator[dict[str, Any]]:
    """Yield the record of the load in the footer of each object."""
    for file in dataset.files():
        yield json.loads((file.fragment.metadata.metadata or {}).get(METADATA_KEY, b"{}"))
