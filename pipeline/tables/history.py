"""The versions of a table that can be opened: so many that commits stay fast.

Each commit lists the table's log, and a folder looks at every file in it. So a log that keeps all versions of some
days makes commits slower and slower.
"""

from collections.abc import Iterator

from lake.stores.base import ObjectStore

VERSIONS = 300  # that can be opened at least, if they are not older than the table keeps its files


def newest_checkpoint(store: ObjectStore, prefix: str, up_to: int) -> int:
    """Return the newest version of a table up to a number that has a checkpoint; -1 if none has."""
    entries = _entries(store, prefix)
    return max((version for _, version, kind in entries if "checkpoint" in kind and version <= up_to), default=-1)


def shorten_log(store: ObjectStore, prefix: str, version: int) -> None:
    """Remove what the log has before the newest checkpoint from which the newest versions can be opened.

    The log keeps no gap: the library finds a version by its time, and numbers the history, as if there were none.

    Args:
        store: where the table is.
        prefix: of the table.
        version: the newest one.
    """
    first = newest_checkpoint(store, prefix, version - VERSIONS)
    for key, number, _ in sorted(_entries(store, prefix)):
        if number < first:
            store.delete(key)


def _entries(store: ObjectStore, prefix: str) -> Iterator[tuple[str, int, str]]:
    """Yield the key, the version and the kind of the commits and checkpoints in the log."""
    for info in store.list(f"{prefix}_delta_log/"):
        number, _, kind = info.key.rpartition("/")[2].partition(".")
        if number.isdigit():
            yield info.key, int(number), kind
