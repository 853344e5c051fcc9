"""The dashboard's command line: `python -m dashboard run | health`."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from common.cli import run as run_command
from common.page_server import PATIENCE, check_page, serve_page
from lake.layout import PUBLISHED
from lake.stores import open_store

Port = Annotated[int, typer.Option(envvar="DASHBOARD_PORT", min=1, max=65535, help="The port of the page.")]
Lake = Annotated[str, typer.Option(envvar="LAKE_URL", help="The lake: a folder (./data/lake) or a bucket (s3://lake).")]
Host = Annotated[str, typer.Option(envvar="DASHBOARD_HOST", help="The address to listen on.")]

app = typer.Typer(help="Show what the pipeline published.", no_args_is_help=True, add_completion=False)


@app.command()
def run(host: Host = "127.0.0.1", port: Port = 8002, lake: Lake = "./data/lake") -> None:
    """Serve the pages until stopped."""
    open_store(lake, os.environ)  # a wrong setting is one line here, before the server
    os.environ["LAKE_URL"] = lake  # which is how the server, the process that this one becomes, learns of an option
    serve_page(Path(__file__).with_name("app.py"), host, port, "DASHBOARD_PORT")


@app.command()
def health(port: Port = 8002, lake: Lake = "./data/lake") -> None:
    """Exit with 0 if the running page says ok and the store answers, else 1."""
    store = open_store(lake, os.environ, PATIENCE)
    check_page(
        port, lambda: list(store.list(f"{PUBLISHED}.health", set()))
    )  # one folder that cannot be read is no reason


@app.command(hidden=True)
def query(lake: Lake = "./data/lake") -> None:
    """Run one query that the Query page writes to stdin, in this process alone (see `dashboard.query.sandbox`)."""
    from dashboard.query import sandbox  # Arrow and DuckDB, which the other commands need not load

    sandbox.bound_process()
    store = open_store(lake, os.environ)
    sys.stdout.buffer.write(b"\n")  # ready, from when on the query's time counts
    sys.stdout.flush()
    if request := sys.stdin.buffer.read():  # empty where the page's server ended
        raise typer.Exit(sandbox.run(store, **json.loads(request)))


if __name__ == "__main__":
    run_command(app)
