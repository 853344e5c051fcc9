"""The rejected records of one version of a source, and which of them are mended; from the objects alone."""

import json
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from lake.layout import CLEAN, RAW, clean_key, rejected_key, source_key
from lake.mending import Mends, Passed, fixed_number, fixed_prefixes, read_mends, stem, stems, version_of
from lake.schemas import METADATA_KEY
from lake.stores.base import ObjectStore, listed

FAULTS = ("quote", "size")  # rules that reject a physical line, because it is no record


class CannotExport(ValueError):
    """Rejected records cannot be exported; the message says why, and what to do."""


def too_large(key: str) -> CannotExport:
    """Return the error for a source that is too large to be exported on a page."""
    command = f"python -m pipeline rejects export {shlex.quote(key)}"
    return CannotExport(f"{key} is too large for a page: run `{command}`")


def check_complete(left: int) -> None:
    """Raise `CannotExport` if records are left that the source does not have."""
    if left:
        raise CannotExport("the file does not have the lines that were rejected: verify it, or load it again")


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

    def check_version(self, key: str, etag: str) -> None:
        """Raise `CannotExport` if the source has another version than the one that was loaded."""
        if etag != self.etag:
            raise CannotExport(f"{key} was changed after it was loaded: export again once its new version is loaded")


def read_rejected_records(store: ObjectStore, key: str, most: int | None = None) -> RejectedRecords:
    """Read the rejected records of a source, without those that are mended.

    Args:
        store: the lake.
        key: the source.
        most: for a page: problems that are read.

    Raises:
        CannotExport: there are none, or the source is refused as a whole.
    """
    record, lines = _read_rejected(store, key, most)
    mends, version = read_mends(record), version_of(key, record["etag"])
    mended = marked_lines(key, version, mends, _passed(store, key)) & lines.keys()
    rest = {line: fault for line, fault in lines.items() if line not in mended}
    if not rest:
        raise CannotExport(f"all {len(lines):,} rejected records of {key} are mended: nothing is left to correct")
    return RejectedRecords(record["etag"], version, rest, len(mended), mends)


def marked_lines(key: str, version: str, mends: Mends | None, passed: Passed) -> set[int]:
    """Return the lines of a source that are mended, if they are rejected: a mark may name any line.

    Args:
        key: the source.
        version: its version that has the rejects.
        mends: its own marks: a record of a fixed file is mended with the record that it should have mended.
        passed: the marks of the records that passed.
    """
    lines, places = set[int](), stems(key)
    for place in places:
        lines.update(passed.get((place, version), ()))
    for of, pairs in (mends.rejected if mends else {}).items():
        others = set[int]().union(*(passed.get((place, of), ()) for place in places))
        lines.update(own for line, own in pairs if line in others)
    return lines


def rejected_among(store: ObjectStore, key: str, etag: str, lines: Collection[int]) -> list[int] | None:
    """Return which of some lines of a source are rejected, in order.

    None is returned if its rejected object is gone, or has another etag, before or after it is read.
    """
    problems, found = store.dataset(rejected_key(key)), set[int]()
    if not problems.schema.names or [info.etag for info in problems.objects] != [etag]:
        return None
    for batch in problems.scanner(columns=["line"], filter=ds.field("line").isin(list(lines))).to_batches():
        found.update(batch["line"].to_pylist())
    return sorted(found) if [info.etag for info in listed(store, rejected_key(key))] == [etag] else None


def next_number(store: ObjectStore, key: str) -> int:
    """Return the number for the next fixed file of a source."""
    infos = (info for prefix in fixed_prefixes(key) for info in store.list(RAW + prefix))
    return 1 + max((fixed_number(info.key) or 0 for info in infos), default=0)


def _read_rejected(store: ObjectStore, key: str, most: int | None) -> tuple[dict[str, Any], dict[int, bool]]:
    """Return the record of the load in a rejected object, and its lines: True for one that is no record."""
    problems = store.dataset(rejected_key(key))
    footer = next(_footers(problems), None)
    if footer is None:
        raise CannotExport(f"{key} has no rejected records: there is no object {rejected_key(key)}")
    if not (record := _record(footer)):
        raise CannotExport(f"{rejected_key(key)} has no record of a load: load {key} again")
    if record["status"] == "refused":
        reason = f"{key} is refused as a whole ({record['first_problem']})"
        raise CannotExport(f"{reason}: correct the whole file, and put it under the same name")
    if most is not None and footer.num_rows > most:
        raise too_large(key)
    lines = dict[int, bool]()
    for batch in problems.scanner(columns=["line", "rule"]).to_batches():
        for line, rule in zip(batch["line"].to_pylist(), batch["rule"].to_pylist(), strict=True):
            lines[line] = rule in FAULTS
    return record, lines


def _passed(store: ObjectStore, key: str) -> Passed:
    """Return the lines that fixed files of a source mend."""
    passed, places = dict[tuple[str, str], set[int]](), stems(key)
    for prefix in fixed_prefixes(key):
        for info in store.list(CLEAN + prefix):
            fixed = source_key(info.key)
            if info.key != clean_key(fixed) or not fixed_number(fixed) or stem(fixed) not in places:
                continue
            for footer in _footers(store.dataset(info.key)):
                mends = read_mends(_record(footer))
                for version, lines in (mends.passed if mends else {}).items():
                    passed.setdefault((stem(fixed), version), set()).update(lines)
    return passed


def _footers(dataset: ds.Dataset) -> Iterator[pq.FileMetaData]:
    for file in dataset.files():
        yield file.fragment.metadata


def _record(footer: pq.FileMetaData) -> dict[str, Any]:
    """Return the record of the load in the footer of an object; of another object, an empty one."""
    return dict(json.loads((footer.metadata or {}).get(METADATA_KEY, b"{}")))
