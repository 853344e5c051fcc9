"""Looks at a folder of contracts: what is taken up when, and what does no harm."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from lake.status import Edit
from pipeline.dataset.dataset import Dataset, make_dataset
from pipeline.dataset.definition import Definition, read_definitions
from pipeline.readers.base import Limits
from pipeline.service.contracts import Change, Contracts

CONTRACT = '{"name": "%s", "schema": {"fields": [{"name": "n"}]}}'


def check(definitions: Iterable[Definition]) -> dict[str, Dataset | str]:
    """Read datasets in this process."""
    return {one.name: make_dataset(one, Limits()) for one in definitions}


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(CONTRACT % name)
    return tmp_path


@pytest.fixture
def contracts(folder) -> Contracts:
    found = Contracts(folder, read_definitions(folder), check)
    assert [found.look() for _ in range(3)] == [None] * 3
    return found


def test_an_edit_is_read_when_two_looks_agree_and_then_once(contracts, folder):
    with (folder / "a.json").open("w") as file:
        assert contracts.look() is None  # an editor has emptied it
        file.write(CONTRACT % "a" + "\n")
        file.flush()
        assert contracts.look() is None
    change = contracts.look()
    assert change.datasets.keys() == {"a"}
    assert contracts.look() is None


def test_what_has_its_bytes_again_is_no_change(contracts, folder):
    content = (folder / "a.json").read_bytes()
    (folder / "a.json").unlink()
    assert contracts.look() is None
    (folder / "a.json").write_bytes(content)
    assert [contracts.look() for _ in range(3)] == [None] * 3


def test_what_comes_and_goes_is_told_by_name(contracts, folder):
    (folder / "b.json").rename(folder / "c.json")
    (folder / "c.json").write_text(CONTRACT % "c")
    contracts.look()
    change = contracts.look()
    assert (set(change.datasets), change.gone) == ({"c"}, {"b"})
    assert contracts.in_use.keys() == {"a", "c"}


def test_the_files_of_editors_are_no_contracts(contracts, folder):
    (folder / ".#a.json").symlink_to("nobody@nowhere")
    (folder / ".a.json.swp").write_bytes(b"\0")
    (folder / "a.json~").write_text("{")
    assert [contracts.look() for _ in range(3)] == [None] * 3


def test_what_cannot_be_read_is_told_and_the_others_are_taken_up(contracts, folder):
    (folder / "a.json").unlink()
    (folder / "a.json").mkdir()
    (folder / "b.json").write_text(CONTRACT % "b" + " ")
    contracts.look()
    change = contracts.look()
    assert (set(change.datasets), change.gone) == ({"b"}, set())
    assert contracts.edits["a"].reason == f"{folder}/a.json: it cannot be read: Is a directory"


def test_a_name_that_is_no_text_is_told_with_its_bytes_escaped(contracts, folder):
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.json")).mkdir()
    contracts.look()
    assert contracts.look() == Change()
    [edit] = contracts.edits.values()
    assert Edit.model_validate_json(edit.model_dump_json()).dataset == "caf\\udce9"
    assert contracts.in_use.keys() == {"a", "b"}


def test_a_folder_that_cannot_be_looked_at_changes_nothing(folder):
    """As where what it is mounted from does not answer."""
    contracts = Contracts(folder / ("n" * 300), read_definitions(folder), check)
    assert [contracts.look() or Change() for _ in range(3)] == [Change()] * 3
    assert contracts.in_use.keys() == {"a", "b"}


def test_a_check_that_is_not_possible_now_is_tried_again(contracts, folder, caplog):
    def fail(_: object) -> dict[str, Dataset | str]:
        raise OSError("no process")

    contracts._check = fail
    (folder / "a.json").write_text(CONTRACT % "a" + " ")
    assert [contracts.look() for _ in range(4)] == [None] * 4
    assert caplog.text.count("contracts not checked") == 1
    contracts._check = check
    assert contracts.look().datasets.keys() == {"a"}


def test_a_mode_that_is_changed_is_a_change(contracts, folder):
    """Another mode may let the contract be read, and its other times stay as they were."""
    before = contracts._known
    (folder / "a.json").chmod(0o600)
    contracts.look()
    assert contracts.look() is None
    assert contracts._known != before


def test_without_a_check_it_says_that_a_restart_is_needed(folder):
    contracts = Contracts(folder, read_definitions(folder), None)
    (folder / "a.json").write_text(CONTRACT % "a" + " ")
    (folder / "b.json").unlink()
    contracts.look()
    assert contracts.look() == Change()
    assert {name: "restart the pipeline" in edit.reason for name, edit in contracts.edits.items()} == {
        "a": True,
        "b": True,
    }
    assert contracts.in_use.keys() == {"a", "b"}
