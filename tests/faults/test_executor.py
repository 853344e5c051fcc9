"""The processes that load: their death costs nothing, and they end with the pipeline."""

import os
import signal
import sys
from pathlib import Path

import pytest

from pipeline.service import processes
from tests.support.lake import Lake, company_csv
from tests.support.minio_server import until
from tests.support.program import is_there
from tests.support.truth import assert_true


def test_they_die_alone_and_end_with_the_pipeline(local_lake: Lake):
    for number in range(200):
        local_lake.put(f"companydata/{number}.csv", company_csv(number, rows=300))
    program = local_lake.start("run", PIPELINE_WORKERS="4")
    [first, *_] = until(lambda: program.workers, 60, what="a worker process")
    os.kill(first, signal.SIGKILL)
    until(lambda: f"worker={first} " in program.log or "no process " in program.log, what="word of its end")
    assert program.alive, program.log
    program.kill()
    until(lambda: not program.workers, what="their end")
    assert local_lake.finish("once", PIPELINE_WORKERS="4") == 0
    assert_true(local_lake)


def test_they_cannot_outlive_the_pipeline(local_lake: Lake):
    """One that stands still in the middle of a load would put its result over that of the next pipeline."""
    for number in range(200):
        local_lake.put(f"companydata/{number}.csv", company_csv(number, rows=300))
    program = local_lake.start("run", PIPELINE_WORKERS="4")
    workers = until(lambda: len(pids := program.workers) == 4 and pids, 60, what="the worker processes")
    until(lambda: list(local_lake.store.list("clean/")), what="a first result")
    if sys.platform == "linux":  # where memory runs out, the kernel ends one of them, and not the pipeline
        assert {Path(f"/proc/{pid}/oom_score_adj").read_text() for pid in workers} == {"500\n"}
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    assert local_lake.command("once").returncode == 2  # the state folder is locked
    program.kill()
    until(lambda: not any(is_there(pid) for pid in workers), what="their end")
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
    deadly = {"abort": "SIGABRT", "segfault": "SIGSEGV"} if workers != "0" else {}
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


HANGING = """
import time

def transform(frame):
    time.sleep(600 if "hangs" in set(frame["way"]) else 0)
    return frame
"""


def test_a_transform_that_hangs_fails_its_own_file(local_lake: Lake, tmp_path):
    """And no other waits for it: they are all loaded before it has failed."""
    (tmp_path / "leaving.json").write_text('{"name": "leaving", "schema": {"fields": [{"name": "way"}]}}')
    (tmp_path / "leaving.py").write_text(HANGING)
    for number in range(20):
        local_lake.put(f"leaving/{number}.csv", b"way\nhangs\n" if number == 0 else b"way\ngoes on\n")
    limits = {"PIPELINE_DATASETS": str(tmp_path), "PIPELINE_LOAD_SECONDS": "1", "PIPELINE_WORKERS": "2"}
    assert local_lake.finish("once", prepare=_impatient, **limits) == 0
    loads = local_lake.loads()
    hung = loads.pop("leaving/0.csv")
    assert {row["status"] for row in loads.values()} == {"loaded"}
    assert len(loads) == 19
    assert (hung["status"], hung["first_problem"]) == (
        "failed",
        "the process that loaded this file and no other took longer than 1 s and was ended, 3 times",
    )


def _impatient() -> None:
    processes.BATCH_SECONDS = 1.0


def test_a_process_that_replaces_another_loads_by_what_is_in_use_and_not_by_a_broken_edit(local_lake: Lake, tmp_path):
    contract = tmp_path / "leaving.json"
    contract.write_text('{"name": "leaving", "schema": {"fields": [{"name": "way"}]}}')
    local_lake.put("leaving/before.csv", b"way\na\n")
    with local_lake.pipeline(PIPELINE_DATASETS=str(tmp_path), PIPELINE_WORKERS="1") as program:
        local_lake.wait_loaded("leaving/before.csv")
        contract.write_text('{"name": "leaving"')
        until(lambda: "contract not used dataset=leaving" in program.log)
        os.kill(program.workers[0], signal.SIGKILL)
        local_lake.put("leaving/after.csv", b"way\na\n")
        assert local_lake.wait_loaded("leaving/after.csv")["leaving/after.csv"]["status"] == "loaded"
