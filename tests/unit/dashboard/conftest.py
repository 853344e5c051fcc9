from pathlib import Path

import pytest

from lake.stores import open_store
from lake.stores.base import ObjectStore


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path / "lake"))
