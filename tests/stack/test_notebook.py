"""JupyterLab in the stack, in a browser: from the table to a chart, to a file of its user's, and to nothing else."""

import http.client
from contextlib import closing
from pathlib import Path

import nbformat
import pytest
from deltalake import DeltaTable

from lake.layout import CLEAN, table_prefix
from tests.support.compose import Stack
from tests.support.launch import env_file
from tests.support.minio_server import until

pytestmark = [pytest.mark.needs_engine, pytest.mark.timeout(900)]

TOKEN = env_file()["NOTEBOOK_TOKEN"]
NOTEBOOK = "read_with_pandas.ipynb"
EXTRA = """
from deltalake import write_deltalake

try:
    write_deltalake(f"{LAKE}/tables/clean/companydata", company, mode="append")
    written = "written"
except Exception as error:
    written = str(error)
print(len(company), written)
"""


def asked(stack: Stack, path: str, token: str, host: str = "localhost", method: str = "GET") -> int:
    """Ask JupyterLab for something; return the status of its answer."""
    port = int(stack.variables["NOTEBOOK_PORT"])
    headers = {"Authorization": f"token {token}", "Host": f"{host}:{port}"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, headers=headers)
        return connection.getresponse().status


def test_nothing_is_told_or_run_without_the_token(stack):
    assert asked(stack, "/api/contents", TOKEN) == 200
    for token, host in (("", "localhost"), ("wrong", "localhost"), (TOKEN, "lake.example.org")):
        assert asked(stack, "/api/contents", token, host) == 403
        assert asked(stack, "/api/kernels", token, host, method="POST") == 403


def test_it_does_not_start_without_a_token_or_where_nothing_could_be_saved(stack):
    owner = stack.variables["NOTEBOOK_USER"]
    for options, said in (
        (("--env", "NOTEBOOK_TOKEN="), "NOTEBOOK_TOKEN is not set"),
        (
            ("--user", "1234:1234"),
            f"belongs to {owner}, and JupyterLab runs as 1234:1234. Set NOTEBOOK_USER={owner} in",
        ),
    ):
        done = stack.compose("run", "--rm", "--no-deps", "-T", *options, "notebook", check=False)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def outputs(path: Path) -> list[list[nbformat.NotebookNode]]:
    """Return the outputs of each cell of code, as they are saved; none while they are being saved."""
    try:
        cells = nbformat.read(path, as_version=4).cells
    except nbformat.reader.NotJSONError:
        return [[]]
    return [cell.outputs for cell in cells if cell.cell_type == "code"]


@pytest.mark.needs_browser
def test_a_table_becomes_a_chart_and_is_saved_for_its_user(stack, browser_page):
    address, options = stack.acting_as("reader").store().address(table_prefix(CLEAN, "companydata"))
    until(lambda: DeltaTable.is_deltatable(address, options), 60, "the table")
    path = Path(stack.variables["NOTEBOOK_FOLDER"], NOTEBOOK)
    owner = path.stat()
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(EXTRA))
    nbformat.write(notebook, path)

    browser_page.goto(f"{stack.urls.notebook}/lab/tree/{NOTEBOOK}?token={TOKEN}")
    browser_page.get_by_text("| Idle").wait_for()
    browser_page.get_by_role("menuitem", name="Run", exact=True).click()
    browser_page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    browser_page.locator(".jp-OutputArea img").first.wait_for(state="attached")

    def saved() -> bool:
        browser_page.keyboard.press("Control+s")
        return bool(outputs(path)[-1])

    until(saved, 60, "the last cell's output in the file", lambda _: browser_page.wait_for_timeout(500))
    browser_page.get_by_text("Saving completed").first.wait_for()
    results = outputs(path)
    drawn = [output for cell in results for output in cell if "image/png" in output.get("data", {})]
    count, _, written = results[-1][0].text.partition(" ")
    rows = DeltaTable(address, storage_options=options).to_pyarrow_table()
    assert (len(drawn), int(count)) == (1, rows.num_rows)
    assert "AccessDenied" in written
    assert (path.stat().st_uid, path.stat().st_gid) == (owner.st_uid, owner.st_gid)
