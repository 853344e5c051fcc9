"""Put and get objects of a bucket with obstore: it releases the GIL, at a third of minio-py's processor time."""

import errno
import io
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import S3Store as Client

from common.errors import StoreFull, StoreUnavailable
from lake.stores.base import InvalidKey, ObjectChanged, ObjectInfo, PutRefused

if TYPE_CHECKING:
    from obstore import GetOptions, PutMode
    from obstore.store import S3Credential

PART_SIZE = 8 << 20  # bytes: an upload above it goes in parts
PARTS = 2  # at a time: each must arrive before the server's timeout
CHUNK = 1 << 20  # bytes of a download that are read at a time
CONNECT_SECONDS = 5.0
SIGNAL_SECONDS = 0.2  # between two checks for a signal


T = TypeVar("T")


class Transfer:
    """Puts and gets the objects of one bucket."""

    def __init__(
        self, bucket: str, endpoint: str, access_key: str, secret_key: str, region: str, patience: float
    ) -> None:
        """Use a bucket, without a request yet. After `patience` seconds of silence the server is unavailable."""
        self.bucket = bucket
        keys: S3Credential = {"access_key_id": access_key, "secret_access_key": secret_key, "expires_at": None}
        self._client = Client(
            bucket,
            endpoint=endpoint,
            region=region,
            virtual_hosted_style_request=False,
            skip_signature=False,
            # A provider, so that no other AWS_* variable of the shell is added to the keys.
            credential_provider=lambda: keys,
            client_options={
                "allow_http": True,
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "read_timeout": timedelta(seconds=patience),
                "timeout": timedelta(days=1),  # of a whole request, however large
            },
            retry_config={"max_retries": 1, "backoff": {"init_backoff": timedelta(seconds=0.2)}},
        )

    def put(self, key: str, source: bytes | Path, expected: str | None = None) -> str:
        """Write an object and return its etag (see `ObjectStore.put`); with a condition in one request."""
        mode: PutMode = "overwrite" if expected is None else {"e_tag": f'"{expected}"'} if expected else "create"
        with _errors(key, self.bucket, refusal if expected is None else put_refusal):
            written = _open_to_signals(
                lambda: obstore.put(self._client, key, source, mode=mode, chunk_size=PART_SIZE, max_concurrency=PARTS)
            )
        if not (etag := written["e_tag"]):
            raise StoreUnavailable(f"bucket {self.bucket}: the answer to a put had no etag: is this an S3 server?")
        return etag.strip('"')

    def get(self, key: str) -> tuple[ObjectInfo, BinaryIO]:
        """Return an object's facts and its stream."""
        with _errors(key, self.bucket):
            response = _open_to_signals(lambda: obstore.get(self._client, key))
            meta = response.meta
            # A single chunk is read at once: half the processor time of a stream.
            whole = _open_to_signals(lambda: bytes(response.bytes())) if meta["size"] <= CHUNK else None
        if not (etag := meta["e_tag"]):
            raise StoreUnavailable(f"the answer for {key!r} lacks what S3 promises: an etag")
        info = ObjectInfo(key, etag.strip('"'), meta["size"], meta["last_modified"])
        if whole is not None:
            return info, io.BytesIO(whole)
        return info, cast(BinaryIO, io.BufferedReader(_Body(response.stream(CHUNK), key, self.bucket)))

    def ranges(self, info: ObjectInfo) -> BinaryIO:
        """Return one version of an object as a seekable file; reads raise `ObjectChanged` once it is replaced."""

        def part(start: int, end: int) -> bytes:
            with _errors(info.key, self.bucket):
                options: GetOptions = {"if_match": f'"{info.etag}"', "range": (start, end)}
                return _open_to_signals(lambda: bytes(obstore.get(self._client, info.key, options=options).bytes()))

        return cast(BinaryIO, _Parts(info.size, part))


class _Parts(io.RawIOBase):
    """Seekable file over an object, with a request for each read."""

    def __init__(self, size: int, part: Callable[[int, int], bytes]) -> None:
        self._size, self._part, self._place = size, part, 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can seek."""
        return True

    def tell(self) -> int:
        """Return the position of the next read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position of the next read."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, or all to the end."""
        end = self._size if size < 0 else min(self._size, self._place + size)
        if end <= self._place:
            return b""
        data = self._part(self._place, end)
        self._place += len(data)
        return data


class _Body(io.RawIOBase):
    """The chunks of a response as a file."""

    def __init__(self, chunks: Any, key: str, bucket: str) -> None:
        self._chunks, self._key, self._bucket = iter(chunks), key, bucket
        self._chunk = memoryview(b"")

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Copy the rest of the current chunk into `buffer`; return the number of bytes, 0 at the end."""
        if not self._chunk:
            with _errors(self._key, self._bucket):
                self._chunk = memoryview(_open_to_signals(lambda: next(self._chunks, b"")))
        size = min(len(buffer), len(self._chunk))
        buffer[:size], self._chunk = self._chunk[:size], self._chunk[size:]
        return size


def _open_to_signals(call: Callable[[], T]) -> T:
    """Call `call`, but never in the main thread: there the client would delay signals until the server answers."""
    if current_thread() is not main_thread():
        return call()
    result: Future[T] = Future()

    def settle() -> None:
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)

    thread = Thread(target=settle, daemon=True)
    thread.start()
    while not result.done():
        thread.join(SIGNAL_SECONDS)  # without a timeout, a signal just before it would be handled only after the answer
    return result.result()


_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"}
_FULL = {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage"}
# minio-py's `BadRequest` is of a stat, whose answer has no code.
_BAD_KEY = {"XMinioInvalidObjectName", "KeyTooLongError", "XMinioInvalidResourceName", "InvalidArgument", "BadRequest"}
_NOT_EXPECTED = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "NotImplemented"}
# Of errors whose text has no answer of the server.
_CODES: dict[type[Exception], str] = {
    PreconditionError: "PreconditionFailed",
    AlreadyExistsError: "PreconditionFailed",
    NotSupportedError: "NotImplemented",
}

Translate = Callable[[str, str, str, str], Exception]  # (code, message, key, bucket)


def refusal(code: str, message: str, key: str, bucket: str) -> Exception:
    """Return the store's error for an error code of an S3 server."""
    if code in ("NoSuchKey", "NoSuchVersion"):
        return FileNotFoundError(errno.ENOENT, "there is no such object", key)
    if code in _REFUSED:
        return PermissionError(
            f"bucket {bucket!r} refuses {key!r} ({code}): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
            f"and what that user may do"
        )
    if code in _FULL:
        return StoreFull(f"bucket {bucket} has no room for {key!r:.80} ({code}): {message}")
    if code in _BAD_KEY:
        return InvalidKey(f"key {key!r:.80}: {message}")
    if code == "PreconditionFailed":
        return ObjectChanged(f"{key} was replaced while it was read")
    if code == "NoSuchBucket":
        return StoreUnavailable(f"there is no bucket {bucket!r}: make it with `python -m lake init`")
    return StoreUnavailable(f"bucket {bucket}: {code}: {message}")


def put_refusal(code: str, message: str, key: str, bucket: str) -> Exception:
    """Return the store's error for an error code that answers a put with a condition."""
    if code in _NOT_EXPECTED:
        return PutRefused(f"bucket {bucket} refuses {key!r} ({code}): it is not the object that the put expected")
    return refusal(code, message, key, bucket)


@contextmanager
def _errors(key: str, bucket: str, translate: Translate = refusal) -> Iterator[None]:
    """Translate errors of the client into those of the store; their text has the server's answer."""
    try:
        yield
    except (BaseError, OSError) as error:  # a missing object is a FileNotFoundError
        text = str(error)
        code, message = (re.search(f"<{tag}>([^<]*)</{tag}>", text) for tag in ("Code", "Message"))
        if code or type(error) in _CODES:
            code_text = code[1] if code else _CODES[type(error)]
            raise translate(code_text, message[1] if message else "", key, bucket) from None
        raise StoreUnavailable(f"bucket {bucket}: {text.partition('Debug source:')[0].strip()}") from None
