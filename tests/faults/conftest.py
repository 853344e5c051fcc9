"""Lakes for the fault tests."""

import pytest

from tests.support.lake import Lake, lake, local_lake, new_lake  # noqa: F401


@pytest.fixture
def bucket_lake(minio, tmp_path) -> Lake:
    store = minio.new_store()
    return new_lake(store, minio.environ(store.bucket), tmp_path / "state")
