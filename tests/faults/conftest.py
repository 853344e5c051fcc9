"""Lakes for the fault tests."""

import pytest

from tests.support.lake import Lake, new_lake


@pytest.fixture
def bucket_lake(minio, tmp_path) -> Lake:
    store = minio.new_store()
    return new_lake(store, minio.environ(store.bucket), tmp_path / "state")
