"""The dev container, opened for real: what the README promises of it, in the order in which a reader meets it."""

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pyarrow.parquet as pq
import pytest

from lake.layout import LOADS
from tests.support.compose import Stack
from tests.support.dap import Command, DebugSession, TerminalRequest
from tests.support.dev_container import HERE, DevContainer
from tests.support.lake import company_csv
from tests.support.launch import configuration, env_file, first_line
from tests.support.minio_server import until
from tests.support.notebooks import read_notebook
from tests.support.project import RELATIVE
from tests.support.workshop import TRANSFORM, next_stop, workshop_file

pytestmark = [pytest.mark.needs_engine, pytest.mark.needs_node, pytest.mark.timeout(900)]

WORKSPACE = "/app"
LAUNCH = "Pipeline (live)"
FIRST, PUT, MEANWHILE = (f"raw/companydata/{name}.csv" for name in ("companydata", "workshop", "meanwhile"))
IDENTITY = "-c user.name=Reader -c user.email=reader@example.org"


def debug(container: DevContainer, log: Path) -> DebugSession:
    """Start what F5 starts: an adapter in the container, which asks for a terminal there."""

    def terminal(request: TerminalRequest) -> Command:
        assert request.folder == WORKSPACE
        return container.inside(*request.arguments, **request.environ)

    adapter = container.inside("python", "-m", "debugpy.adapter")
    return DebugSession(adapter, terminal, log, folder=container.clone)


def launch(session: DebugSession) -> None:
    """Press F5, with the breakpoint that the README names."""
    line = first_line(TRANSFORM, "transform")
    session.launch(configuration(LAUNCH, WORKSPACE), {f"{WORKSPACE}/{TRANSFORM}": [line]})


def loaded(container: DevContainer) -> dict[str, int]:
    """Return the number of rows kept of each file that is shown as loaded."""
    try:
        with container.stack.store().open(LOADS) as (_, stream):
            rows = pq.read_table(io.BytesIO(stream.read())).to_pylist()
    except FileNotFoundError:
        return {}
    return {row["source_key"]: row["rows_kept"] for row in rows if row["status"] == "loaded"}


def ledger(container: DevContainer) -> str:
    """Return the ids of the ledger in the container and of the lake that it belongs to."""
    query = "SELECT value FROM meta WHERE name IN ('id', 'lake') ORDER BY name"
    script = f"import sqlite3; print(sqlite3.connect('state/ledger.sqlite').execute(\"{query}\").fetchall())"
    found = container.shell(f"cd && python -c {shlex.quote(script)}").stdout
    assert found.count("',)") == 2
    return found


def test_the_stack_runs_beside_it_and_the_pipeline_does_not(dev_container):
    states = {name: state["State"] for name, state in dev_container.stack.containers().items()}
    assert states.pop("lake-init") == "exited"
    assert states == dict.fromkeys(("dev", "minio", "simulator", "dashboard"), "running")


def test_its_user_is_the_owner_of_the_clone(dev_container):
    dev_container.shell("mkdir made && touch made/inside")
    assert (dev_container.clone / "made/inside").stat().st_uid == dev_container.user.uid
    (dev_container.clone / "made/outside").touch()
    dev_container.shell("rm -r made")
    assert dev_container.shell("id -un && touch ~/state/x && rm ~/state/x").stdout.split() == ["lakelet"]


def environ(container: DevContainer) -> dict[str, str]:
    """Return the environment that the container has: an editor's programs and terminals begin with it."""
    return dict(line.split("=", 1) for line in container.shell("env").stdout.splitlines() if "=" in line)


def test_each_program_has_its_own_key_and_nobody_roots(dev_container):
    variables = environ(dev_container)
    services = dev_container.stack.config()["services"]
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    for service, told in (
        ("pipeline", variables),
        ("simulator", configuration("Simulator", WORKSPACE, variables)["env"]),
        ("dashboard", configuration("Dashboard", WORKSPACE, variables)["env"]),
    ):
        assert [told[key] for key in keys] == [services[service]["environment"][key] for key in keys]
        put = ("python", "-m", "lake", "put", "README.md", "--key", f"raw/nobody/{service}.csv")
        done = dev_container.run(*dev_container.inside(*put, **{key: told[key] for key in keys}).arguments)
        assert (done.returncode == 0) == (service == "simulator"), done.stderr
    root = dev_container.environ["MINIO_ROOT_PASSWORD"]  # set in the shell, as .env advises who wants to keep it there
    assert root not in variables.values()


def test_a_package_can_be_installed_upgraded_and_removed_in_it(dev_container):
    """Without the root user and without a network: a package in the workspace."""
    for version in (1, 2):
        project = "[build-system]\nrequires = []\nbuild-backend = 'hatchling.build'\n"
        project += f"[project]\nname = 'visitor'\nversion = '{version}'\n"
        dev_container.shell(f"mkdir -p /tmp/visitor && cd /tmp/visitor && echo {shlex.quote(project)} > pyproject.toml")
        dev_container.shell(f"cd /tmp/visitor && echo 'version = {version}' > visitor.py")
        dev_container.shell("pip install --no-index --no-build-isolation --upgrade /tmp/visitor")
        found = dev_container.shell("cd /tmp && python -P -c 'import visitor; print(visitor.version)'").stdout
        assert found == f"{version}\n"
    dev_container.shell("pip uninstall --yes visitor")
    dev_container.shell("pip install --no-index --no-build-isolation --no-deps --editable .")  # it came with the image


def test_tests_run_in_it_and_what_it_lacks_is_named(dev_container):
    done = dev_container.shell(
        "make test ARGS='tests/unit/pipeline/load/test_write.py tests/unit/lake/test_s3.py tests/test_names.py -q'"
    )
    assert re.search(r"\d+ passed, \d+ skipped", done.stdout)
    assert "Skipped: needs a running Docker engine" in done.stdout


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_make_put_goes_to_the_stack(dev_container, where):
    """From both sides with the simulator's key, since the pipeline's own may not put raw files."""
    (dev_container.clone / f"lake of {where}.csv").write_bytes(company_csv(seed=1))
    put = ["make", "put", f"FILE=lake of {where}.csv", "DATASET=nobody"]
    if where == "inside":
        done = dev_container.run(*dev_container.inside(*put).arguments)
    else:
        python = Path(sys.executable)
        done = dev_container.run(*put, "RUNTIME=", f"BIN={python.parent}/")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("lake: s3://lake\n")
    assert dev_container.stack.store().stat(f"raw/nobody/lake of {where}.csv").size == len(company_csv(seed=1))
    (dev_container.clone / f"lake of {where}.csv").unlink()


def test_a_commit_in_it_is_checked_by_the_hook(dev_container):
    """The hook that CONTRIBUTING names stops what `make lint` would complain of, and nothing else."""
    assert dev_container.shell("git status --short").stdout == ""
    dev_container.shell(
        "pre-commit install && echo 'import os' > lake/stores/unused.py && git add lake/stores/unused.py"
    )
    commit = f"git {IDENTITY} commit --message 'From inside'"
    refused = dev_container.shell(commit, check=False)
    assert refused.returncode != 0
    assert "F401" in refused.stdout + refused.stderr
    dev_container.shell("git rm --quiet --force lake/stores/unused.py && echo >> README.md && git add README.md")
    dev_container.shell(commit)
    git = dev_container.user.command("git", "-C", dev_container.clone)
    assert dev_container.run(*git, "log", "-1", "--format=%an %s").stdout == "Reader From inside\n"
    owners = {path.stat().st_uid for path in (dev_container.clone / ".git").rglob("*")}
    assert owners == {dev_container.user.uid}


def test_f5_beside_another_pipeline_says_how_to_end_that_one(dev_container, tmp_path):
    log = tmp_path / "terminal.log"
    dev_container.compose("up", "--detach", "--wait", "--no-deps", "pipeline")
    until(lambda: FIRST in loaded(dev_container), 60, "the first file's load by the stack's own pipeline")
    with debug(dev_container, log) as session:
        launch(session)
        assert session.stopped().function == "transform"  # with no rows, for its columns
        session.resume()
        assert session.exit_code() == 2
    said = log.read_text().splitlines()[-1]
    assert said.startswith("error: LAKE_URL: another pipeline writes s3://lake")
    way_out = re.search(r"`docker compose ([\w ]+)`", said)
    assert way_out
    dev_container.compose(*way_out[1].split())


def test_f5_stops_at_the_breakpoint_and_nothing_is_lost(dev_container, tmp_path):
    store = dev_container.stack.store()
    with debug(dev_container, tmp_path / "terminal.log") as session:
        launch(session)
        assert session.evaluate(next_stop(session), "len(frame)") == "24"  # what the simulator wrote at its start
        session.resume()
        until(lambda: loaded(dev_container) == {FIRST: 24}, 30, "the result of the first file")
        store.put(PUT, workshop_file())
        stop = next_stop(session)
        assert stop[:3] == ("breakpoint", "MainThread", "transform")
        assert session.evaluate(stop, "frame.shape") == "(24, 7)"
        assert session.evaluate(stop, "frame['Sold'].tolist()[:3]") == "[100, 101, 102]"
        store.put(MEANWHILE, company_csv(seed=1, rows=5))
        assert PUT not in loaded(dev_container)
        session.resume()

        stop = next_stop(session)
        assert session.evaluate(stop, "len(frame)") == "5"
        session.resume()
        until(lambda: loaded(dev_container) == {FIRST: 24, PUT: 24, MEANWHILE: 5}, 30, "the result of both files")
    running = "pgrep --full '[p]ipeline run' || true"  # the brackets keep it from finding itself
    until(lambda: not dev_container.shell(running).stdout, 20, "the end of the pipeline")


def test_a_rebuild_keeps_the_lake_and_the_state(dev_container):
    before = loaded(dev_container), ledger(dev_container)
    old = dev_container.stack.containers()["dev"]["ID"]
    opened = dev_container.up("--remove-existing-container")
    assert (opened["outcome"], opened["remoteUser"]) == ("success", "lakelet")
    assert dev_container.stack.containers()["dev"]["ID"] != old
    assert (loaded(dev_container), ledger(dev_container)) == before
    assert dev_container.shell(f"PIPELINE_DATASETS={RELATIVE} python -m pipeline once", check=False).returncode == 0
    assert loaded(dev_container) == before[0]


SHOWN = """
import os
print(os.environ["AWS_ACCESS_KEY_ID"], len(company))
"""


def test_a_notebook_runs_in_it_with_the_readers_key(dev_container):
    """On the tables that the pipeline has written above."""
    notebook = read_notebook("read_with_pandas.ipynb")
    notebook.cells.append(nbformat.v4.new_code_cell(SHOWN))
    path = dev_container.clone / "notebooks/copy.ipynb"
    path.write_text(nbformat.writes(notebook))
    path.chmod(0o666)  # of root's where root runs the tests
    dev_container.shell("jupyter execute --inplace notebooks/copy.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    rows = sum(loaded(dev_container).values())
    assert cells[-1].outputs[0].text.split() == [Stack.role("reader").access_key, str(rows)]
    path.unlink()


def test_make_notebook_works_in_it(dev_container):
    notebook = dev_container.inside("make", "notebook")
    answers = "python -c \"import urllib.request as web; print(web.urlopen('http://127.0.0.1:8888/api').status)\""
    environ = {**os.environ, **notebook.environ}
    with subprocess.Popen(
        notebook.arguments, cwd=dev_container.clone, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            until(lambda: dev_container.shell(answers, check=False).stdout == "200\n", 60, "JupyterLab's answer")
        finally:
            dev_container.shell("pkill --signal INT --full '[j]upyter-lab'")
        said, _ = process.communicate(timeout=60)
    assert f"http://localhost:8888/lab?token={env_file()['NOTEBOOK_TOKEN']}" in said


def test_make_run_works_in_it(dev_container, tmp_path):
    """Each program with its own key: the feed's files go in, and through."""
    log = tmp_path / "run.log"
    run = dev_container.inside("make", "run", FEED="on")
    with (
        log.open("wb") as said,
        subprocess.Popen(
            run.arguments, cwd=dev_container.clone, env={**os.environ, **run.environ}, stdout=said, stderr=said
        ) as process,
    ):
        try:
            until(lambda: "loaded key=raw/orders/feed/" in log.read_text(), 60, "a file of the feed, loaded")
            assert "AccessDenied" not in log.read_text()
        finally:
            dev_container.shell("pkill --signal INT --full '[h]oncho'")
            process.wait(60)


def test_the_lock_file_names_the_version_and_no_address():
    locked = (HERE / "package-lock.json").read_text()
    assert "@devcontainers/cli" in locked
    assert "://" not in locked
