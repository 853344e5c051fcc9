"""The stack in containers, once for all tests in here."""

from collections.abc import Iterator

import pytest

from tests.support.compose import Stack


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """The whole stack, up and healthy; a test that breaks it makes one of its own with `Stack.new`."""
    made = Stack.new()
    try:
        made.up()
        yield made
    finally:
        made.remove()
