"""The text of MinIO's bucket notifications, as the listen request streams it."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from lake.stores.base import ObjectInfo

# Not `s3:ObjectCreated:*`, which also tells of tags and locks, where no byte has changed.
S3_EVENTS = (
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
)


def event_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream of chunks into lines; a chunk without a line's end gives an empty line, as a sign of life."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines or [b""]


def objects_written(line: bytes) -> Iterator[ObjectInfo]:
    """Yield the objects that one line tells of: none, if it only keeps the connection alive."""
    if not line.strip():
        return
    for record in json.loads(line).get("Records") or []:
        thing = record["s3"]["object"]
        if thing["key"].endswith("/"):
            continue  # a folder marker is nothing
        # Listeners get the key as it is; to unquote it would spoil names with `+` or `%`.
        yield ObjectInfo(thing["key"], thing.get("eTag", ""), int(thing.get("size", 0)), _written_at(record))


def _written_at(record: dict[str, object]) -> datetime:
    """Give the time of the write: the sequencer holds it in nanoseconds, everything else in whole seconds."""
    try:
        nanoseconds = int(record["s3"]["object"]["sequencer"], 16)  # type: ignore[index]
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000)
    except (KeyError, ValueError, OverflowError):
        return datetime.fromisoformat(str(record["eventTime"]))
