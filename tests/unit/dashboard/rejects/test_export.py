"""Commands to put corrected records back: what the page shows can be given to a shell as it is."""

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.rejects import export
from dashboard.shared.file_format import UNKNOWN
from dashboard.shared.published import Published
from pipeline.dataset.dataset import read_datasets
from tests.support.loads import NUMBERS, Loads

if TYPE_CHECKING:
    from dashboard.shared.file_format import Format


def script(key: str, published: "Published", format_: "Format") -> None:
    from dashboard.rejects import export

    export.show(key, published, format_)


def test_a_name_is_shown_as_it_is_and_reaches_the_command_put(tmp_path: Path) -> None:
    """Whatever it is, for anyone may have put the file: no Markdown, no words of a shell, no variable of make."""
    key = "raw/numbers/a `b` $(touch c) 'd' $HOME.csv"
    (tmp_path / "numbers.json").write_text(json.dumps(NUMBERS))
    loads = Loads(tmp_path)
    loads(read_datasets(tmp_path)["numbers"], b"name,n,x\na,x,1\n", key)
    page = AppTest.from_function(script, args=(key, Published(loads.store), UNKNOWN)).run()
    assert not page.exception
    fixed, command = (block.value for block in page.code)
    assert fixed == key.replace(".csv", ".fixed-1.csv")

    (tmp_path / "Makefile").write_text('put:\n\t@printf "%s\\n" "$$FILE" "$$DATASET"\n')
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [Path(fixed).name, "numbers"]


def test_why_there_is_no_export_is_found_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page draws it twice a second, and a large file is read for a second until it is too large."""
    monkeypatch.setattr(export, "MAX_CHARACTERS", 12)
    (tmp_path / "numbers.json").write_text(json.dumps(NUMBERS))
    loads = Loads(tmp_path)
    loads(read_datasets(tmp_path)["numbers"], b"name,n,x\na,x,1\n")
    page = AppTest.from_function(script, args=(Loads.key, Published(loads.store), UNKNOWN)).run()
    [reason] = [caption.value for caption in page.caption]
    assert "is too large for a page" in reason
    loads.store.delete(Loads.key)
    assert [caption.value for caption in page.run().caption] == [reason]
