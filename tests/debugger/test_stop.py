"""The launch configuration that a reader starts first stops at the breakpoints that the reader sets first."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath

import pytest

from dashboard.files import commands
from lake.stores import open_store
from pipeline.service.health import problem
from tests.support.compose import DEV_CONTAINER, Stack
from tests.support.dap import Command, DebugSession, TerminalRequest
from tests.support.lake import new_lake
from tests.support.launch import configuration, first_line
from tests.support.minio_server import free_port, until
from tests.support.project import DATASETS, RELATIVE, ROOT
from tests.support.workshop import TRANSFORM, next_stop, workshop_file

KEY = "raw/companydata/workshop.csv"
LAUNCH = "Pipeline (backlog once)"
LOAD = "pipeline/load/load.py"
ONE_FILE = {TRANSFORM: "transform", "pipeline/readers/csv/explain.py": "explain_cell"}


def check_both_stops(session: DebugSession, workspace: str) -> None:
    """Start the backlog with both breakpoints and walk through them to the program's good end."""
    load, transform = (str(PurePosixPath(workspace) / file) for file in (LOAD, TRANSFORM))
    lines = {load: first_line(LOAD, "load"), transform: first_line(TRANSFORM, "transform")}
    session.launch(configuration(LAUNCH, workspace), {path: [line] for path, line in lines.items()})

    stop = next_stop(session)
    assert stop[:5] == ("breakpoint", "MainThread", "load", load, lines[load])
    assert KEY in session.variables(stop)["tasks"]
    session.resume()

    stop = next_stop(session)
    assert stop[:5] == ("breakpoint", "MainThread", "transform", transform, lines[transform])
    assert session.evaluate(stop, "frame.shape") == "(24, 7)"
    assert session.evaluate(stop, "frame['Sold'].tolist()[:3]") == "[100, 101, 102]"
    assert "1-Jan" in session.variables(stop)["frame"]
    session.resume()
    assert session.exit_code() == 0


def test_embedded(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    store = open_store(str(lake))
    store.put(KEY, workshop_file())
    places = {"LAKE_URL": str(lake), "PIPELINE_STATE": str(tmp_path / "state")}

    def terminal(request: TerminalRequest) -> Command:
        return Command(request.arguments, {**places, **request.environ})

    adapter = Command([sys.executable, "-m", "debugpy.adapter"])
    with DebugSession(adapter, terminal, tmp_path / "terminal.log", folder=ROOT) as session:
        check_both_stops(session, str(ROOT))
    assert store.stat("clean/companydata/workshop.csv.parquet").size > 0


def test_one_file_is_seen_beside_a_pipeline_that_runs(tmp_path: Path) -> None:
    """Its transform and its one bad record stop; the pipeline has the lock, loads on, and nothing of its is touched."""
    url = str(tmp_path / "lake")
    lake = new_lake(open_store(url), {"LAKE_URL": url}, tmp_path / "state")
    lake.put("companydata/workshop.csv", workshop_file() + b"5-Jan,Dept A,Store 1,many,0,0\n")
    paths = {str(ROOT / file): first_line(file, function) for file, function in ONE_FILE.items()}

    def terminal(request: TerminalRequest) -> Command:
        return Command(request.arguments, {**lake.environ, **request.environ})

    adapter = Command([sys.executable, "-m", "debugpy.adapter"])
    with lake.pipeline():
        lake.wait_loaded("companydata/workshop.csv")
        before: list[dict] = [lake.outputs(), lake.loads()]
        with DebugSession(adapter, terminal, tmp_path / "terminal.log", folder=ROOT) as session:
            asked = configuration("Pipeline (one file)", str(ROOT), key=KEY)
            session.launch(asked, {path: [line] for path, line in paths.items()})
            for function, expression, value in (
                ("transform", "frame.shape", "(24, 7)"),
                ("explain_cell", "cell", "b'many'"),
            ):
                stop = next_stop(session)
                assert stop[:4] == ("breakpoint", "MainThread", function, stop.path)
                assert session.evaluate(stop, expression) == value
                lake.put(f"companydata/{function}.csv", workshop_file())
                lake.wait_loaded(f"companydata/{function}.csv")
                session.resume()
            assert session.exit_code() == 1
        assert "would be loaded: 25 read, 24 kept" in (tmp_path / "terminal.log").read_text()
        after: list[dict] = [lake.outputs(), lake.loads()]
    assert all({key: now[key] for key in then} == then for then, now in zip(before, after, strict=True))


def test_nothing_is_lost_of_what_lands_while_it_stands_still(tmp_path: Path) -> None:
    """So long that the pipeline counts as dead to others; then the breakpoint goes, and all is loaded."""
    lake, state = tmp_path / "lake", tmp_path / "state"
    store = open_store(str(lake))
    environ = {**os.environ, "LAKE_URL": str(lake), "PIPELINE_STATE": str(state)}
    path = str(ROOT / TRANSFORM)

    def terminal(request: TerminalRequest) -> Command:
        return Command(request.arguments, {**environ, **request.environ})

    adapter = Command([sys.executable, "-m", "debugpy.adapter"])
    with DebugSession(adapter, terminal, tmp_path / "terminal.log", folder=ROOT) as session:
        session.launch(configuration("Pipeline (live)", str(ROOT)), {path: [first_line(TRANSFORM, "transform")]})
        assert session.evaluate(session.stopped(), "len(frame)") == "0"
        session.resume()
        store.put(KEY, workshop_file())
        next_stop(session)
        landed = count()

        def stands_still() -> bool:
            store.put(f"raw/companydata/{next(landed)}.csv", workshop_file())
            time.sleep(0.2)
            return "no heartbeat" in problem(state)

        until(stands_still, 60, "a heartbeat that stands still")
        files = next(landed)
        session.request("setBreakpoints", source={"path": path}, breakpoints=[])
        session.resume()
        until(lambda: len(list(store.list("clean/"))) == files + 1, 60, "a clean object for each file")
        until(lambda: not problem(state), what="a heartbeat that moves")
    ended = [sys.executable, "-m", "pipeline"]
    assert subprocess.run([*ended, "once"], env=environ, capture_output=True).returncode == 0
    verified = subprocess.run([*ended, "verify"], env=environ, capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout
    assert "0 not verified" in verified.stdout


FAILING = """\
def transform(frame):
    frame["Net"] = frame["Sold"] - frame["Returned"]
    assert not (frame["Sold"] == 100).any()
    return frame
"""


def check_first_stop(session: DebugSession, entry: str, workspace: str, exceptions: str, datasets: Path) -> None:
    """Start an entry with an exception breakpoint and no other: it stops in the transform, and nowhere before that."""
    inputs = {"key": KEY} if entry == "Pipeline (one file)" else {}
    launched = configuration(entry, workspace, **inputs)
    launched["env"]["PIPELINE_DATASETS"] = str(datasets)
    session.launch(launched, {}, [exceptions])
    stop = session.stopped()
    assert stop.function.removesuffix(" (Current frame)") == "transform"
    assert (stop.reason, stop.path, stop.line) == ("exception", str(datasets / "companydata.py"), 3)
    assert session.evaluate(stop, "frame.shape") == "(24, 8)"
    session.resume()


@pytest.mark.parametrize(
    ("entry", "exceptions"),
    [
        ("Pipeline (live)", "userUnhandled"),
        ("Pipeline (backlog once)", "userUnhandled"),
        ("Pipeline (one file)", "userUnhandled"),
        ("Pipeline (one file)", "raised"),  # the others raise and handle errors of their own before they load
    ],
)
def test_an_exception_breakpoint_stops_where_a_transform_raises(tmp_path: Path, entry: str, exceptions: str) -> None:
    """Although the pipeline handles it: with "User Uncaught Exceptions" there, and nowhere else."""
    store = open_store(str(tmp_path / "lake"))
    places = {"LAKE_URL": str(tmp_path / "lake"), "PIPELINE_STATE": str(tmp_path / "state")}
    store.put(KEY, workshop_file())
    datasets = tmp_path / "datasets"
    shutil.copytree(DATASETS, datasets)
    (datasets / "companydata.py").write_text(FAILING)

    def terminal(request: TerminalRequest) -> Command:
        return Command(request.arguments, {**places, **request.environ})

    adapter = Command([sys.executable, "-m", "debugpy.adapter"])
    with DebugSession(adapter, terminal, tmp_path / "terminal.log", folder=ROOT) as session:
        check_first_stop(session, entry, str(ROOT), exceptions, datasets)
        if entry == "Pipeline (backlog once)":
            assert session.exit_code() == 0


CONDITIONS = [
    (LOAD, "load", "'raw/companydata/companydata.csv' in [task.source_key for task in tasks]", "len(tasks)", "1"),
    (LOAD, "load", "'orders' in [task.dataset for task in tasks]", "len(tasks)", "1"),
    ("pipeline/readers/csv/explain.py", "explain_cell", "line == 26", "shown", "'5-Jan,Dept A,Store 1,many,0,0'"),
]


@pytest.mark.parametrize(("file", "function", "condition", "expression", "value"), CONDITIONS)
def test_the_conditions_of_the_docs(
    tmp_path: Path, file: str, function: str, condition: str, expression: str, value: str
) -> None:
    """Each stops at the one file or record of several that it is for."""
    assert f"`{condition}`" in " ".join((ROOT / "docs/debugging.md").read_text().split())
    store = open_store(str(tmp_path / "lake"))
    places = {"LAKE_URL": str(tmp_path / "lake"), "PIPELINE_STATE": str(tmp_path / "state")}
    bad = workshop_file() + b"5-Jan,Dept A,Store 1,many,0,0\n5-Jan,Dept A,Store 1,more,0,0\n"
    for key in ("raw/companydata/a.csv", "raw/companydata/companydata.csv", "raw/orders/a.csv"):
        store.put(key, bad if key == "raw/companydata/companydata.csv" else b"no,orders\n")

    def terminal(request: TerminalRequest) -> Command:
        return Command(request.arguments, {**places, **request.environ})

    adapter = Command([sys.executable, "-m", "debugpy.adapter"])
    with DebugSession(adapter, terminal, tmp_path / "terminal.log", folder=ROOT) as session:
        line = first_line(file, function)
        session.launch(configuration(LAUNCH, str(ROOT)), {str(ROOT / file): [(line, condition)]})
        stop = session.stopped()
        assert (stop.reason, stop.function, stop.line) == ("breakpoint", function, line)
        assert session.evaluate(stop, expression) == value
        session.resume()
        assert session.exit_code() == 0


# An editor that attaches speaks to a port, not to a process.
TO_PORT = """
import socket, sys, threading, time
for _ in range(600):
    try:
        wire = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        break
    except OSError:
        time.sleep(0.1)
def copy():
    while data := sys.stdin.buffer.raw.read(65536):
        wire.sendall(data)
    wire.shutdown(socket.SHUT_WR)
threading.Thread(target=copy, daemon=True).start()
while data := wire.recv(65536):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
"""


def test_any_editor_attaches_to_what_the_page_tells(tmp_path: Path) -> None:
    key = "raw/companydata/work $shop's.csv"
    store = open_store(str(tmp_path / "lake"))
    store.put(key, workshop_file())
    port = str(free_port())
    command = f"exec {commands.debug(key)} DEV= BIN={Path(sys.executable).parent}/ DEBUG_PORT={port}"
    environ = {**os.environ, "LAKE_URL": str(tmp_path / "lake")}
    adapter = Command([sys.executable, "-c", TO_PORT, port])
    line = first_line(TRANSFORM, "transform")
    log = tmp_path / "terminal.log"
    with log.open("wb") as said, subprocess.Popen(["sh", "-c", command], cwd=ROOT, env=environ, stdout=said) as process:
        try:
            with DebugSession(adapter, lambda _: adapter, tmp_path / "log", folder=ROOT) as session:
                attach = {"connect": {"host": "127.0.0.1", "port": int(port)}}
                session.launch(attach, {str(ROOT / TRANSFORM): [line]}, request="attach")
                stop = next_stop(session)
                assert (stop.function, session.evaluate(stop, "frame.shape")) == ("transform", "(24, 7)")
                session.resume()
                process.wait(60)
        finally:
            process.kill()
    assert f"{key} would be loaded: 24 read" in log.read_text()


@pytest.fixture
def dev_container() -> Iterator[Stack]:
    """The dev image beside a store, as the dev container's files describe it; no other program runs."""
    stack = Stack.new(DEV_CONTAINER)
    try:
        stack.up("dev")
        yield stack
    finally:
        stack.remove()


@pytest.mark.needs_engine
@pytest.mark.timeout(900)
def test_in_the_dev_image(dev_container: Stack, tmp_path: Path) -> None:
    store = dev_container.store()
    store.put(KEY, workshop_file())
    environ = {**os.environ, **dev_container.compose_environ}

    def terminal(request: TerminalRequest) -> Command:
        variables = [f"--env={name}={value or ''}" for name, value in request.environ.items()]
        inside = ["exec", "-T", *variables, "--workdir", request.folder, "dev", *request.arguments]
        return Command(dev_container.command(*inside), environ)

    adapter = Command(dev_container.command("exec", "-T", "dev", "python", "-m", "debugpy.adapter"), environ)
    with DebugSession(adapter, terminal, tmp_path / "terminal.log", folder=ROOT) as session:
        check_both_stops(session, "/app")
    datasets = Path("/tmp/datasets")
    script = f"cp -r {RELATIVE} {datasets} && printf %s {shlex.quote(FAILING)} > {datasets}/companydata.py"
    dev_container.compose("exec", "-T", "dev", "bash", "-c", script)
    for exceptions in ("userUnhandled", "raised"):
        with DebugSession(adapter, terminal, tmp_path / f"{exceptions}.log", folder=ROOT) as session:
            check_first_stop(session, "Pipeline (one file)", "/app", exceptions, datasets)
    assert store.stat("clean/companydata/workshop.csv.parquet").size > 0
