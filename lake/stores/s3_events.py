"""The text of MinIO's bucket notifications, as the listen request streams it."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from lake.stores.base import ObjectInfo

# Not `s3:ObjectCreated:*`, which also reports tags and locks, where no byte has changed.
S3_EVENTS = (
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
)


def event_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Split a stream of chunks into lines; a chunk without a line end yields an empty line, a sign of life."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines or [b""]


def objects_written(line: bytes) -> Iterator[ObjectInfo]:
    """Yield the objects of one line of events; none if it only keeps the connection alive."""
    if not line.strip():
        return
    for record in json.loads(line).get("Records") or []:
        item = record["s3"]["object"]
        if item["key"].endswith("/"):
            continue  # a folder marker
        # Listeners get the key unquoted; to unquote it again would damage names with `+` or `%`.
        yield ObjectInfo(item["key"], item.get("eTag", ""), int(item.get("size", 0)), _written_at(record))


def _written_at(record: dict[str, object]) -> datetime:
    """Return the time of the write: from the sequencer in nanoseconds, because the other fields have whole seconds."""
    try:
        nanoseconds = int(record["s3"]["object"]["sequencer"], 16)  # type: ignore[index]
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000)
    except (KeyError, ValueError, OverflowError):
        return datetime.fromisoformat(str(record["eventTime"]))
