"""Object store in a bucket: MinIO, or for all methods but `watch` any S3 service."""

import logging
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote_plus, urlsplit
from xml.etree.ElementTree import Element, ParseError, fromstring

import certifi
import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError

from common.errors import SettingError, StoreUnavailable
from common.logs import fields
from common.retry import Backoff
from lake.stores.base import SAMPLE, Gap, ObjectInfo, check_key, listed
from lake.stores.s3_client import CHUNK, CONNECT_SECONDS, PART_SIZE, Transfer, Translate, put_refusal, refusal
from lake.stores.s3_conditional import condition, honours_conditions, put_parts, size_of
from lake.stores.s3_events import S3_EVENTS, event_lines, objects_written

if TYPE_CHECKING:
    from lake.stores.arrow_dataset import ObjectDataset

SILENT_SECONDS = 10.0  # until a connection counts as dead: the server sends a listener a space every half second

log = logging.getLogger(__name__)


class S3Store:
    """The objects of one bucket."""

    remote = True

    def __init__(
        self,
        bucket: str,
        endpoint: str,
        access_key: str,
        secret_key: str,
        region: str = "us-east-1",
        patience: float = 15.0,
    ) -> None:
        """Use a bucket as the store, without a request yet. `patience` is the timeout in seconds."""
        if not re.fullmatch(r"https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?/?", endpoint, re.ASCII):
            raise SettingError(f"AWS_ENDPOINT_URL is {endpoint!r}: expected http://HOST:PORT or https://HOST")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
            raise SettingError(
                f"LAKE_URL is 's3://{bucket}': expected s3:// and the name of a bucket (a-z 0-9 . -) alone"
            )
        parts = urlsplit(endpoint)
        self.bucket, self.url = bucket, f"s3://{bucket}"
        self.endpoint, self.scheme, self.region, self.patience = parts.netloc, parts.scheme, region, patience
        self.access_key, self.secret_key = access_key, secret_key
        self._trying = Lock()
        self._conditional: bool | None = None  # until it was tried
        try:
            self.client = self._connect(self.http(retries=1))
            self._transfer = Transfer(bucket, endpoint, access_key, secret_key, region, patience)
        except ValueError as error:
            raise SettingError(f"AWS_ENDPOINT_URL is {endpoint!r}, AWS_REGION is {region!r}: {error}") from error

    def as_user(self, access_key: str, secret_key: str) -> "S3Store":
        """Return a store on the same bucket with another user's keys."""
        endpoint = f"{self.scheme}://{self.endpoint}"
        return S3Store(self.bucket, endpoint, access_key, secret_key, self.region, self.patience)

    def put(self, key: str, source: bytes | Path, *, move: bool = False, expected: str | None = None) -> str:  # noqa: ARG002 (an upload copies)
        """Write an object and return its etag (see `ObjectStore.put`)."""
        check_key(key)
        if expected is None or size_of(source) <= PART_SIZE:
            return self._transfer.put(key, source, expected)
        return self._put_parts(key, source, expected)

    def conditional_puts(self) -> bool:
        """Return whether `put` can have a condition (see `ObjectStore.conditional_puts`); log it if not."""
        with self._trying:
            if self._conditional is None:
                self._conditional = honours_conditions(self, self._put_whole, self._put_parts)
                if not self._conditional:
                    reason = "the server does not honour If-Match and If-None-Match"
                    log.warning(fields("no conditional puts", bucket=self.bucket, reason=reason, action="put without"))
            return self._conditional

    def _put_whole(self, key: str, content: bytes, expected: str) -> str:
        """Write a small object by minio-py, which does not repeat a request that is refused."""
        with client_errors(key, self.bucket, put_refusal):
            return self.client._put_object(self.bucket, key, content, condition(expected)).etag or ""

    def _put_parts(self, key: str, source: bytes | Path, expected: str) -> str:
        with client_errors(key, self.bucket, put_refusal):
            return put_parts(self.client, self.bucket, key, source, expected)

    @contextmanager
    def open(self, key: str) -> Iterator[tuple[ObjectInfo, BinaryIO]]:
        """Open an object (see `ObjectStore.open`)."""
        check_key(key)
        info, stream = self._transfer.get(key)
        with stream:
            yield info, stream

    def stat(self, key: str) -> ObjectInfo:
        """Return an object's facts (see `ObjectStore.stat`)."""
        check_key(key)
        with client_errors(key, self.bucket):
            facts = self.client.stat_object(self.bucket, key)
        return ObjectInfo(key, facts.etag or "", facts.size or 0, facts.last_modified or datetime.now(UTC))

    def list(self, prefix: str = "", unread: set[str] | None = None) -> Iterator[ObjectInfo]:  # noqa: ARG002
        """Yield the objects below `prefix` (see `ObjectStore.list`); without folder markers."""
        query: dict[str, str | list[str] | tuple[str]] = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        more: str | None = ""
        while more is not None:
            with client_errors(prefix, self.bucket):
                # minio-py's own parser takes 40 us of processor time for an object, this one 8.
                page = fromstring(self.client._execute("GET", self.bucket, query_params=query).data)  # noqa: S314 (the answer of the store that the keys belong to)
            yield from _listed(page, self.bucket)
            more = page.findtext("{*}NextContinuationToken")
            query["continuation-token"] = more or ""

    def delete(self, key: str) -> None:
        """Remove an object (see `ObjectStore.delete`)."""
        check_key(key)
        with client_errors(key, self.bucket):
            self.client.remove_object(self.bucket, key)

    def watch(self, prefix: str, stop: Event) -> Iterator[ObjectInfo | Gap]:
        """Yield each finished write below `prefix` (see `ObjectStore.watch`)."""
        client = self._connect(self.http(retries=0, silent_seconds=SILENT_SECONDS))
        backoff = Backoff(log, "not listening", "listening again", bucket=self.bucket)
        return backoff.reopen(lambda: self._listen(client, prefix, stop), stop)

    def dataset(self, prefix: str | Collection[str], limit: int | None = None, sample: int = SAMPLE) -> "ObjectDataset":
        """Return the listed Parquet objects as one dataset (see `ObjectStore.dataset`)."""
        import pyarrow as pa

        from lake.stores.arrow_dataset import ObjectDataset

        def opened(info: ObjectInfo, whole: bool) -> pa.NativeFile:
            if whole and info.size <= CHUNK:  # one request instead of one for the footer and each column
                return pa.BufferReader(self._transfer.get(info.key)[1].read())
            return pa.PythonFile(self._transfer.ranges(info), mode="r")

        return ObjectDataset(listed(self, prefix, limit), opened, self.stat, sample)

    def address(self, prefix: str) -> tuple[str, dict[str, str]]:
        """Return the URL of a prefix, and the settings of `object_store` (see `ObjectStore.address`)."""
        options = {
            "aws_endpoint_url": f"{self.scheme}://{self.endpoint}",
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_region": self.region,
            "aws_conditional_put": "etag",
            "allow_http": str(self.scheme == "http").lower(),
            "connect_timeout": f"{CONNECT_SECONDS}s",
            "timeout": f"{self.patience}s",
            "max_retries": "2",
        }
        return f"{self.url}/{prefix.rstrip('/')}", options

    def http(self, retries: int, silent_seconds: float | None = None) -> urllib3.PoolManager:
        """Return a connection pool with short timeouts: minio-py's own waits five minutes for a silent server."""
        return urllib3.PoolManager(
            maxsize=32,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=silent_seconds or self.patience),
            retries=urllib3.Retry(
                total=retries,
                backoff_factor=0.2,
                status_forcelist=[500, 502, 503, 504],
                respect_retry_after_header=False,  # MinIO asks for a minute, in which one object would block a worker
            ),
            cert_reqs="CERT_REQUIRED",
            ca_certs=certifi.where(),
        )

    def _connect(self, http: urllib3.PoolManager) -> Minio:
        return Minio(
            self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region,
            secure=self.scheme == "https",
            http_client=http,
        )

    def _listen(self, client: Minio, prefix: str, stop: Event) -> Iterator[ObjectInfo | Gap]:
        """Send the listen request; yield a `Gap` when the server answers, then the writes that it reports."""
        query: dict[str, str | list[str] | tuple[str]] = {"prefix": prefix, "suffix": "", "events": list(S3_EVENTS)}
        with client_errors(prefix, self.bucket):
            # minio-py's own iterator connects at its first event and reconnects without notice: both lose events.
            response = client._execute("GET", self.bucket, query_params=query, preload_content=False)
            try:
                yield Gap("listening")
                for line in event_lines(response.stream()):
                    if stop.is_set():
                        return
                    yield from _written(line, self.bucket)
            finally:
                response.close()
        raise StoreUnavailable("the server ended the stream of events")


def _listed(page: Element, bucket: str) -> Iterator[ObjectInfo]:
    try:
        for item in page.iterfind("{*}Contents"):
            values = {child.tag.rpartition("}")[2]: child.text or "" for child in item}
            if not (key := unquote_plus(values["Key"])).endswith("/"):
                modified = datetime.fromisoformat(values["LastModified"])
                yield ObjectInfo(key, values["ETag"].strip('"'), int(values["Size"]), modified)
    except (KeyError, ValueError) as error:
        raise StoreUnavailable(f"bucket {bucket}: the answer to a listing lacks what S3 promises: {error!r}") from error


def _written(line: bytes, bucket: str) -> list[ObjectInfo]:
    try:
        return list(objects_written(line))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreUnavailable(
            f"bucket {bucket}: this server does not report writes as MinIO does: {error!r}"
        ) from error


@contextmanager
def client_errors(key: str, bucket: str, translate: Translate = refusal) -> Iterator[None]:
    """Translate errors of the client into those of the store."""
    try:
        yield
    except S3Error as error:
        raise translate(error.code or "", error.message or "", key, bucket) from error
    except (urllib3.exceptions.HTTPError, InvalidResponseError, ServerError, ParseError) as error:
        raise StoreUnavailable(f"bucket {bucket}: {error}") from error
