"""The stack in containers, once for all tests in here."""

from collections.abc import Iterator

import pytest

from tests.support.compose import NOTEBOOK, Stack
from tests.support.notebooks import notebook_folder


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack and its notebook, healthy; a test that breaks it makes one of its own with `Stack.new`."""
    made = Stack.new(**notebook_folder(tmp_path_factory.mktemp("notebooks")))
    try:
        made.up(profile=NOTEBOOK)
        yield made
    finally:
        made.remove()
