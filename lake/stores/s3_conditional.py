"""Puts with a condition: large objects in parts, and the trial whether a server honours the condition."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from xml.etree.ElementTree import fromstring

from minio import Minio

from common.errors import StoreUnavailable
from lake.stores.base import InvalidKey, ObjectStore, PutRefused
from lake.stores.s3_client import PART_SIZE, PARTS, put_refusal

MOST_PARTS = 10_000  # of one upload, by S3's rules
TRIAL = "published/.conditional"  # not the probe of an outage, which another thread may delete meanwhile
STALE = "0" * 32  # an etag that no object has

ConditionalPut = Callable[[str, bytes, str], str]  # (key, content, expected): etag


def condition(expected: str) -> dict[str, str | list[str] | tuple[str]]:
    """Return the header of a put that expects an etag, or no object if it is empty."""
    return {"If-Match": f'"{expected}"'} if expected else {"If-None-Match": "*"}


def put_parts(client: Minio, bucket: str, key: str, source: bytes | Path, expected: str) -> str:
    """Write an object in parts, on a condition that the server checks when it joins them; return the etag.

    The parts, and so the etag, are those of an upload without a condition. Two parts are in memory at a time.
    """
    size = size_of(source)
    step = max(PART_SIZE, -(-size // MOST_PARTS))
    upload = client._create_multipart_upload(bucket, key, {})

    def put_part(number: int) -> str:
        part = _part(source, step * number, step)
        return client._upload_part(bucket, key, part, None, upload, number + 1)

    try:
        with ThreadPoolExecutor(PARTS) as pool:
            etags = list(pool.map(put_part, range(-(-size // step))))
        return _join(client, bucket, key, upload, etags, expected)
    except BaseException:
        with suppress(Exception):  # the first error counts, and MinIO removes old parts by itself
            client._abort_multipart_upload(bucket, key, upload)
        raise


def size_of(source: bytes | Path) -> int:
    """Return the size in bytes of what is put."""
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _part(source: bytes | Path, start: int, size: int) -> bytes:
    if isinstance(source, bytes):
        return source[start : start + size]
    with source.open("rb") as stream:
        stream.seek(start)
        return stream.read(size)


def _join(client: Minio, bucket: str, key: str, upload: str, etags: list[str], expected: str) -> str:
    """Join the parts of an upload if the condition holds, which minio-py's own request cannot have."""
    parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(etags, 1))
    body = f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{parts}</CompleteMultipartUpload>'
    response = client._execute(
        "POST", bucket, key, body.encode(), condition(expected), query_params={"uploadId": upload}
    )
    answer = fromstring(response.data)  # noqa: S314 (the answer of the store that the object goes to)
    if etag := answer.findtext("{*}ETag"):
        return etag.strip('"')
    # A server that takes long answers 200 first, so that an error comes as its body.
    raise put_refusal(answer.findtext("{*}Code") or "", answer.findtext("{*}Message") or "", key, bucket)


def honours_conditions(store: ObjectStore, *puts: ConditionalPut, again: bool = True) -> bool:
    """Return whether each way to put refuses what it should, and takes what it should.

    Raises:
        StoreUnavailable: the store does not take a put without a condition either.
    """
    etag = store.put(TRIAL, b"unconditional")
    try:
        for put in puts:
            if not (_refuses(put, "") and _refuses(put, STALE)):
                return False
            etag = put(TRIAL, b"conditional", etag)
        if store.stat(TRIAL).etag != etag:  # by which a put that was refused learns what it may replace
            return False
    except (PutRefused, InvalidKey):
        return False
    except StoreUnavailable:
        etag = store.put(TRIAL, b"unconditional")
        return again and honours_conditions(store, *puts, again=False)  # it may have been away for a moment
    finally:
        with suppress(StoreUnavailable):
            store.delete(TRIAL)
    return True


def _refuses(put: ConditionalPut, expected: str) -> bool:
    try:
        put(TRIAL, b"refused", expected)
    except PutRefused:
        return True
    return False
