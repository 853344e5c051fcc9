"""Choose a store by its URL."""

from collections.abc import Mapping
from pathlib import Path

from common.errors import SettingError
from common.settings import read_settings
from lake.settings import BucketSettings
from lake.stores.base import ObjectStore


def open_store(
    url: str, environ: Mapping[str, str] | None = None, patience: float = 15.0, *, create: bool = True
) -> ObjectStore:
    """Open the store that `LAKE_URL` names: a folder (`./data/lake`) or a bucket (`s3://lake`).

    Args:
        url: the store's place.
        environ: where a bucket's `AWS_*` settings are looked up; a folder needs none.
        patience: seconds of a server's silence until it counts as away.
        create: whether a folder is made where it is missing; otherwise it counts as away.

    Raises:
        SettingError: the URL or a setting is missing or wrong; nothing was contacted yet.
    """
    if folder := folder_of(url):
        from lake.stores.local import LocalStore  # each backend's client is loaded only where it is used

        return LocalStore(folder, create=create)
    scheme, _, place = url.partition("://")
    if scheme == "s3":
        from lake.stores.s3 import S3Store

        bucket = read_settings(BucketSettings, environ or {})
        needed = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        if missing := [name for name in needed if not (environ or {}).get(name)]:
            raise SettingError(f"{', '.join(missing)} not set: a lake at {url} needs the endpoint and the keys")
        return S3Store(place, bucket.endpoint, bucket.access_key, bucket.secret_key, bucket.region, patience)
    raise SettingError(f"LAKE_URL is {url!r}: expected a folder (./data/lake) or a bucket (s3://lake)")


def folder_of(url: str) -> Path | None:
    """Return the folder that a lake's URL names; None if it names a server."""
    return None if "://" in url else Path(url)
