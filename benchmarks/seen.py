"""Times of files by the server's own events: one listener collects them, the same for every program."""

import io
from dataclasses import dataclass, field
from threading import Event

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.made_files import ROWS
from lake.layout import CLEAN, RAW, summary_key
from lake.stores.base import Gap, ObjectInfo, ObjectStore


@dataclass
class Seen:
    """Times that the server told: each file's put, its Parquet's put, and the first summary that counted the file."""

    put: dict[str, float] = field(default_factory=dict)
    clean: dict[str, float] = field(default_factory=dict)
    published: list[tuple[float, int]] = field(default_factory=list)  # when, and the files that it counted

    def latencies(self, names: list[str]) -> list[float]:
        """Return the milliseconds from put to clean of some files."""
        return [1000 * (self.clean[name] - self.put[name]) for name in names]

    def summaries(self, names: list[str]) -> list[float]:
        """Return the milliseconds from put to published: a summary of n files has the n that were clean first."""
        order = sorted(self.clean, key=self.clean.__getitem__)
        found = {
            name: next(at for at, files in self.published if files > place and at >= self.clean[name])
            for place, name in enumerate(order)
            if name in names
        }
        return [1000 * (found[name] - self.put[name]) for name in names]


def observe(store: ObjectStore, seen: Seen, stop: Event, ready: Event) -> None:
    """Note what the server tells, until `stop`."""
    for item in store.watch("", stop):
        if isinstance(item, Gap):
            ready.set()
        else:
            _note(store, item, seen)


def _note(store: ObjectStore, item: ObjectInfo, seen: Seen) -> None:
    at, name = item.modified.timestamp(), item.key.rpartition("/")[2].removesuffix(".parquet")
    if item.key.startswith(RAW):
        seen.put[name] = at
    elif item.key.startswith(CLEAN) and name.endswith(".csv"):  # the others are dlt's, and it says what is in them
        seen.clean.setdefault(name, at)
    elif item.key == summary_key("orders"):
        with store.open(item.key) as (_, stream):
            rows = pc.sum(pq.read_table(io.BytesIO(stream.read()))["rows"]).as_py() or 0
        seen.published.append((at, rows // ROWS))
