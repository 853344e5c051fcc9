import pytest

from lake.stores.base import ObjectStore
from tests.support.stores import BACKENDS

NEEDS = {"s3": pytest.mark.needs_engine}


@pytest.fixture(params=[pytest.param(name, id=name, marks=NEEDS.get(name, ())) for name in BACKENDS])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """New, empty store of each kind."""
    return BACKENDS[request.param](request)
