"""The dashboard's command line: `python -m dashboard run | health`."""

from pathlib import Path
from typing import Annotated
from urllib.request import urlopen

import typer

from storage import console

Port = Annotated[int, typer.Option(envvar="DASHBOARD_PORT", min=1, max=65535, help="The port of the page.")]
Host = Annotated[str, typer.Option(envvar="DASHBOARD_HOST", help="The address to listen on.")]

app = typer.Typer(help="Show what the pipeline published.", no_args_is_help=True, add_completion=False)


@app.command()
def run(host: Host = "127.0.0.1", port: Port = 8002) -> None:
    """Serve the pages until stopped; the store is LAKE_URL (default ./lake)."""
    console.serve_page(Path(__file__).with_name("app.py"), host, port, "DASHBOARD_PORT")


@app.command()
def health(port: Port = 8002) -> None:
    """Exit 0 if the page server on this machine says that it is ready, else 1."""
    raise typer.Exit(0 if _ready(port) else 1)


def _ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=3) as answer:
            # Streamlit answers 200 on any path, so only the body tells.
            return bool(answer.read().strip() == b"ok")
    except OSError:
        return False


if __name__ == "__main__":
    console.run(app)
