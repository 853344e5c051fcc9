"""The dashboard's command line: `python -m dashboard run | health`."""

import json
import os
import sys
from pathlib import Path

import typer

from common.cli import run as run_command
from common.page_server import PATIENCE, check_page, serve_page
from common.settings import as_environ, takes_settings
from dashboard.settings import PortSettings, Settings
from lake.layout import PUBLISHED
from lake.settings import LakeSettings
from lake.stores import open_store

app = typer.Typer(help="Show what the pipeline published.", no_args_is_help=True, add_completion=False)


@app.command()
@takes_settings
def run(settings: Settings) -> None:
    """Serve the pages until stopped."""
    open_store(settings.lake, os.environ)  # a wrong setting is one line here, before the server
    environ = os.environ | as_environ(settings)
    serve_page(Path(__file__).with_name("app.py"), settings.host, settings.port, "DASHBOARD_PORT", environ)


@app.command()
@takes_settings
def health(settings: PortSettings) -> None:
    """Exit with 0 if the running page says ok and the store answers, else 1."""
    store = open_store(settings.lake, os.environ, PATIENCE)
    # One folder that cannot be read is no reason to fail.
    check_page(settings.port, lambda: list(store.list(f"{PUBLISHED}.health", set())))


@app.command(hidden=True)
@takes_settings
def query(settings: LakeSettings) -> None:
    """Run one query that the Query page writes to stdin, in this process alone (see `dashboard.query.sandbox`)."""
    from dashboard.query import sandbox  # Arrow and DuckDB, which the other commands need not load

    sandbox.bound_process()
    store = open_store(settings.lake, os.environ)
    sys.stdout.buffer.write(b"\n")  # ready, from when on the query's time counts
    sys.stdout.flush()
    if request := sys.stdin.buffer.read():  # empty where the page's server ended
        raise typer.Exit(sandbox.run(store, **json.loads(request)))


if __name__ == "__main__":
    run_command(app)
