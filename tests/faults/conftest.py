"""Lakes for the fault tests."""

import pytest

from storage import open_store
from tests.end_to_end.conftest import Lake, lake, new_lake  # noqa: F401


@pytest.fixture
def folder_lake(tmp_path) -> Lake:
    url = str(tmp_path / "lake")
    return new_lake(open_store(url), {"LAKE_URL": url}, tmp_path / "state")


@pytest.fixture
def bucket_lake(minio, tmp_path) -> Lake:
    store = minio.new_store()
    return new_lake(store, minio.environ(store.bucket), tmp_path / "state")
