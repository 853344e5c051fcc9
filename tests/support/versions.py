from datetime import UTC, datetime

from lake.stores.base import ObjectInfo

KEY = "raw/numbers/a.csv"


def version(etag: str, key: str = KEY) -> ObjectInfo:
    return ObjectInfo(key, etag, 10, datetime.now(UTC))
