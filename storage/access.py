"""The bucket of a lake, made ready for its programs."""

from minio.error import S3Error

from storage.s3 import S3Store

PROBE = "published/.probe"


def prepare(store: S3Store) -> None:
    """Make the bucket where it is missing, and prove it with a real put and get; safe to repeat."""
    try:
        if not store.client.bucket_exists(store.bucket):
            store.client.make_bucket(store.bucket)
    except S3Error as error:
        if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise
    store.put(PROBE, b"a probe")
    with store.open(PROBE) as (_, stream):
        if stream.read() != b"a probe":
            raise OSError(f"{store.url} did not give back what was put")
    store.delete(PROBE)
