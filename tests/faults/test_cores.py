"""The processes that load small files beside the pipeline: their death costs nothing, and they end with it."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Lake, company_csv
from tests.faults.truth import assert_true
from tests.minio_server import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are no processes beside elsewhere")


def test_they_die_alone_and_end_with_the_pipeline(local_lake: Lake):
    for number in range(200):
        local_lake.put(f"companydata/{number}.csv", company_csv(number, rows=300))
    program = local_lake.start("run", PIPELINE_WORKERS="4")
    [first, *_] = until(lambda: children(program.pid), 60, what="a process beside")
    os.kill(first, signal.SIGKILL)
    until(lambda: f"process={first} " in program.log, what="word of its end")
    assert program.alive, program.log
    program.kill()
    assert local_lake.finish("once", PIPELINE_WORKERS="4") == 0
    assert_true(local_lake)


def test_they_cannot_outlive_the_pipeline(local_lake: Lake):
    """One that stands still in the middle of a load would put its result over that of the next pipeline."""
    for number in range(200):
        local_lake.put(f"companydata/{number}.csv", company_csv(number, rows=300))
    program = local_lake.start("run", PIPELINE_WORKERS="4")
    beside = until(lambda: len(found := children(program.pid)) == 4 and found, 60, what="the processes beside")
    until(lambda: list(local_lake.store.list("clean/")), what="a first result")
    for one in beside:
        os.kill(one, signal.SIGSTOP)
    assert local_lake.command("once").returncode == 2  # the state folder is locked
    program.kill()
    until(lambda: not any(there(one) for one in beside), what="their end")
    assert local_lake.finish("once", PIPELINE_WORKERS="4") == 0
    assert_true(local_lake)


def children(parent: int) -> list[int]:
    return [int(one.parent.name) for one in Path("/proc").glob("[0-9]*/stat") if told(one)[1:2] == [str(parent)]]


def there(process: int) -> bool:
    return told(Path(f"/proc/{process}/stat"))[:1] not in ([], ["Z"])


def told(path: Path) -> list[str]:
    """Give the state of a process, and its parent; nothing if it is gone."""
    try:
        return path.read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return []
