"""The processes that load small files beside the pipeline: their death costs nothing, and they end with it."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.lake import Lake, company_csv
from tests.support.minio_server import until
from tests.support.truth import assert_true

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are no processes beside elsewhere")


def test_they_die_alone_and_end_with_the_pipeline(local_lake: Lake):
    for number in range(200):
        local_lake.put(f"companydata/{number}.csv", company_csv(number, rows=300))
    program = local_lake.start("run", PIPELINE_WORKERS="4")
    [first, *_] = until(lambda: processes_beside(program.pid), 60, what="a process beside")
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
    beside = until(lambda: len(found := processes_beside(program.pid)) == 4 and found, 60, what="the processes beside")
    until(lambda: list(local_lake.store.list("clean/")), what="a first result")
    beside += children(program.pid)  # with the one that forks the others
    for one in beside:
        os.kill(one, signal.SIGSTOP)
    assert local_lake.command("once").returncode == 2  # the state folder is locked
    program.kill()
    until(lambda: not any(there(one) for one in beside), what="their end")
    assert local_lake.finish("once", PIPELINE_WORKERS="4") == 0
    assert_true(local_lake)


LEAVING = """
import ctypes, os, sys

def transform(frame):
    [way] = {*frame["way"]} - {"stays"} or {"stays"} if len(frame) else {"stays"}
    if way == "abort":
        os.abort()
    elif way == "segfault":
        ctypes.string_at(0)
    elif way != "stays":
        exec(way)
    return frame
"""
REFUSED = {
    "sys.exit()": "SystemExit()",
    "sys.exit('bye')": "SystemExit('bye')",
    "os._exit(0)": "SystemExit('os._exit(0)')",
    "raise KeyboardInterrupt": "KeyboardInterrupt()",
    "raise GeneratorExit": "GeneratorExit()",
}


@pytest.mark.parametrize("workers", ["0", "1", "4"])
@pytest.mark.parametrize("command", ["once", "run"])
def test_a_transform_cannot_end_the_pipeline(local_lake: Lake, tmp_path, workers, command):
    """It refuses its own file, or fails it where only the process's end tells; the others are loaded."""
    (tmp_path / "leaving.json").write_text('{"name": "leaving", "schema": {"fields": [{"name": "way"}]}}')
    (tmp_path / "leaving.py").write_text(LEAVING)
    deadly = {"abort": "SIGABRT", "segfault": "SIGSEGV"} if workers == "4" else {}
    names = {}
    for number, way in enumerate([*REFUSED, *deadly, *["stays"] * 20]):
        names[f"leaving/{number}.csv"] = way
        local_lake.put(f"leaving/{number}.csv", f'way\n"{way}"\n'.encode())
    variables = {"PIPELINE_WORKERS": workers, "PIPELINE_DATASETS": str(tmp_path)}
    if command == "once":
        assert local_lake.finish("once", **variables) == 0
    else:
        with local_lake.pipeline(**variables) as program:
            until(lambda: (told := local_lake.loads()) and len(told) == len(names), 60, what="the outcome of all")
            assert program.alive
    loads = local_lake.loads()
    assert loads.keys() == names.keys()
    for name, row in loads.items():
        way = names[name]
        assert row["status"] == ("failed" if way in deadly else "refused" if way in REFUSED else "loaded"), row
        if way in REFUSED:
            assert f"it raised {REFUSED[way]}, which would end the program" in row["first_problem"]
        elif way in deadly:
            said = f"the process that loaded this file and no other was ended by {deadly[way]}, 3 times"
            assert row["first_problem"] == said


def processes_beside(program: int) -> list[int]:
    return [one for forker in children(program) for one in children(forker)]


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
