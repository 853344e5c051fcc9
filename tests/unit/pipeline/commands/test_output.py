"""Output of the commands, as a person reads it."""

from datetime import UTC, datetime, timedelta

import pytest

from lake.status import Progress, Status, Tables
from pipeline.commands.output import show_status


@pytest.mark.parametrize("tables", [None, Tables()])
def test_a_status_says_nothing_of_tables_that_are_up_to_date(capsys, tables):
    show_status(Status(tables=tables, datasets={"a": Progress(tables=tables)}))
    assert "Tables" not in capsys.readouterr().out


def test_a_status_names_the_tables_that_are_behind(capsys):
    behind = Tables(files=1200, oldest_at=datetime.now(UTC) - timedelta(seconds=12.5))
    datasets = {"a": Progress(tables=behind), "b": Progress(tables=Tables()), "c": Progress()}
    show_status(Status(tables=behind, datasets=datasets))
    assert capsys.readouterr().out.endswith("\nTables are 1,200 files and 12 s behind: a.\n")

    one = Tables(files=1, oldest_at=datetime.now(UTC) + timedelta(hours=1))  # by another clock
    show_status(Status(tables=one, datasets={f"d{number:02}": Progress(tables=one) for number in range(12)}))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Tables are 1 file and 0 s behind: d00, d01, ")
    assert last.endswith("d09 and 2 more.")

    off = Tables(off=True)
    show_status(Status(tables=off, datasets={"a": Progress(tables=off)}))
    assert capsys.readouterr().out.endswith("\nTables are switched off (TABLES_SECONDS=0): they stay as they were.\n")
