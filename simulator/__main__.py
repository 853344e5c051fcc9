"""The command line of the source system: `python -m simulator run | batch | exam | grade | health`."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from common.cli import run
from common.errors import SettingError
from common.logs import configure_logging
from common.page_server import PATIENCE, check_page, serve_page
from common.settings import as_environ, takes_settings
from lake.layout import RAW
from lake.settings import LakeSettings
from lake.stores import open_store
from simulator.settings import PortSettings, SeedSettings, Settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Play the source system: put CSV files into the lake."
)


@app.command("run")
@takes_settings
def serve(settings: Settings) -> None:
    """Serve the page and write the feed, with or without a visitor."""
    open_store(settings.lake, os.environ)  # a wrong setting is one line here, before the server
    environ = os.environ | as_environ(settings)
    serve_page(Path(__file__).with_name("app.py"), settings.host, settings.port, "SIMULATOR_PORT", environ)


@app.command("batch")
@takes_settings
def put_batch(
    settings: SeedSettings,
    dataset: Annotated[Literal["orders", "companydata"], typer.Option(help="Which data to write.")] = "orders",
    files: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many files.")] = 10,
    rows: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="Rows per file of orders; companydata has always 24.")
    ] = 100,
) -> None:
    """Put many files into the lake, then stop."""
    from simulator import batch  # makes data, which a health check every few seconds need not load

    configure_logging()
    print(batch.put_batch(open_store(settings.lake, os.environ), dataset, files, rows, settings.seed))


@app.command()
@takes_settings
def exam(
    settings: LakeSettings,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Same seed, same exam.")],
    files: Annotated[int, typer.Option(min=1, max=100_000, help="How many files; 122 and more hold every kind.")] = 200,
    share: Annotated[int, typer.Option(min=0, max=100, help="Percentage of bad records in a file that has some.")] = 20,
    key: Annotated[Path | None, typer.Option(help="Path of the answer key; by default exam-SEED.json.")] = None,
    bomb: Annotated[bool, typer.Option("--bomb", help="Add a small file that grows to 1 GiB.")] = False,
) -> None:
    """Put files with every kind of fault into the lake, and write the expected outcome of each into an answer key."""
    from simulator.exam.exam import make_exam, put, write_key

    configure_logging()
    path, store = key or Path(f"exam-{seed}.json"), open_store(settings.lake, os.environ)
    if not store.remote and path.resolve().is_relative_to(Path(store.url).resolve()):
        raise SettingError(f"--key is {str(path)!r}: expected a place outside the lake, for it holds the answers")
    if not path.parent.is_dir():
        raise SettingError(f"--key is {str(path)!r}: there is no folder {str(path.parent)!r}")
    exam_files = make_exam(seed, files, share / 100, with_bomb=bomb)
    write_key(exam_files, path)
    print(f"{put(store, exam_files)}; the answer key is {path}")


@app.command()
@takes_settings
def grade(
    settings: LakeSettings,
    key: Annotated[Path, typer.Option(metavar="FILE", help="The answer key that `exam` wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Compare the lake with an answer key, whatever pipeline filled it; exit with 1 below 100 %."""
    from simulator.exam import grade as exam_grade
    from simulator.exam.report import print_report

    report = exam_grade.grade(open_store(settings.lake, os.environ), exam_grade.read_key(key))
    print_report(report, as_json=as_json)
    if report.mistakes:
        raise typer.Exit(1)


@app.command()
@takes_settings
def health(settings: PortSettings) -> None:
    """Exit with 0 if the running page says ok and the store answers, else 1."""
    # By a listing of next to nothing, for the source system's user may read nothing under raw/. One folder that cannot
    # be read is no reason to fail.
    store = open_store(settings.lake, os.environ, PATIENCE)
    check_page(settings.port, lambda: list(store.list(f"{RAW}.health", set())))


if __name__ == "__main__":
    run(app)
