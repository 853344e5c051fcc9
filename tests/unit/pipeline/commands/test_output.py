"""Output of the commands, as a person reads it."""

from datetime import UTC, datetime, timedelta

import pytest

from lake.status import Edit, Event, Executor, Progress, Status, Tables, WorkerState, Writer
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


def test_a_status_names_the_edits_that_are_not_in_use(capsys):
    edits = [Edit(dataset="a", reason="a.json: wrong\n", action="mend it"), Edit(dataset="b", reason="restart")]
    show_status(Status(edits=edits))
    assert capsys.readouterr().out.endswith(
        "contract not used: a.json: wrong\\n; mend it\ncontract not used: restart\n"
    )


def running(executor: Executor, silent: float = 0) -> Status:
    now = datetime.now(UTC)
    beat = now - timedelta(seconds=silent)
    return Status(executor=executor, writer=Writer(id="a", host="b", pid=1, started_at=beat, heartbeat_at=beat))


def test_a_status_names_the_workers_of_a_cluster_and_those_that_get_nothing(capsys):
    since, keys = datetime.now(UTC) - timedelta(seconds=90.5), ["raw/a/[red]1.csv", "raw/a/2\n.csv", "raw/a/3.csv"]
    first = WorkerState(name="w[b]1", host="h1", version="0.2.0 1234", loads=16, files=keys, since=since)
    other = WorkerState(name="w2", host="h2", version="0.1.0 9876", other="its contracts are others")
    events = [Event(at=since, text="worker lost: w[b]3\n")]
    show_status(running(Executor(kind="cluster", address="tls://s:8786", workers=[first, other], events=events)))
    shown = capsys.readouterr().out
    assert "\nloads: cluster tls://s:8786, 2 workers\n" in shown
    [line] = [line for line in shown.splitlines() if "w[b]1" in line]
    assert all(text in line for text in ("h1", "0.2.0 1234", "raw/a/[red]1.csv, ", "90 s"))
    assert r"2\n.csv" in shown
    assert "and 13 more" in shown
    assert shown.endswith("\nworker w2 gets no files: its contracts are others\n90 s ago: worker lost: w[b]3\\n\n")


def test_a_status_says_why_nothing_can_be_loaded_and_how_old_that_is(capsys):
    waiting = Executor(kind="cluster", address="tcp://a:1", state="No worker is there, and files wait for one.")
    show_status(running(waiting))
    shown = capsys.readouterr().out
    assert shown.endswith(
        "\nloads: cluster tcp://a:1, 0 workers\nnothing can be loaded: No worker is there, and files wait for one.\n"
    )
    show_status(running(Executor(kind="main thread", workers=[WorkerState(name="41")]), silent=60.5))
    shown = capsys.readouterr().out
    assert "\nloads: main thread (60 s ago; the pipeline has had no heartbeat since)\n" in shown
    assert "host" not in shown
