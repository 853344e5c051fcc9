"""The dev container, open once for all tests in here."""

from collections.abc import Iterator

import pytest

from tests.support.dev_container import DevContainer, new_dev_container


@pytest.fixture(scope="package")
def dev_container() -> Iterator[DevContainer]:
    """The dev container, open beside the rest of the stack."""
    with new_dev_container() as container:
        container.up()
        yield container
