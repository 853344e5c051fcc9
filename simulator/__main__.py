"""The command line of the source system: `python -m simulator run | batch | exam | grade | health`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from common.cli import run
from common.errors import SettingError
from common.logs import configure_logging
from common.page_server import PATIENCE, check_page, serve_page
from lake.layout import RAW
from lake.stores import open_store
from simulator.settings import DEFAULTS, PORT, Settings, whole

Lake = Annotated[str, typer.Option(envvar="LAKE_URL", help="The lake: a folder (./data/lake) or a bucket (s3://lake).")]
Host = Annotated[str, typer.Option(envvar="SIMULATOR_HOST", help="Address to listen on.")]
Port = Annotated[str, typer.Option(envvar="SIMULATOR_PORT", metavar="PORT", help="Port of the page.")]
Switch = Annotated[str, typer.Option(envvar="FEED", metavar="on|off", help="Whether the feed runs at the start.")]
Pace = Annotated[str, typer.Option(envvar="FEED_FILES_PER_SECOND", metavar="NUMBER", help="Pace of the feed.")]
FeedRows = Annotated[str, typer.Option("--rows", envvar="FEED_ROWS", metavar="N", help="Rows per file of the feed.")]
Seed = Annotated[
    str, typer.Option(envvar="SIMULATOR_SEED", metavar="N", help="Same seed, same data; without one, new data.")
]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Play the source system: put CSV files into the lake."
)


@app.command("run")
def serve(
    lake_url: Lake = DEFAULTS["LAKE_URL"],
    host: Host = "127.0.0.1",
    port: Port = PORT,
    feed: Switch = DEFAULTS["FEED"],
    files_per_second: Pace = DEFAULTS["FEED_FILES_PER_SECOND"],
    rows: FeedRows = DEFAULTS["FEED_ROWS"],
    seed: Seed = DEFAULTS["SIMULATOR_SEED"],
) -> None:
    """Serve the page and write the feed, with or without a visitor."""
    told = dict(zip(DEFAULTS, (lake_url, feed, files_per_second, rows, seed), strict=True))
    Settings.from_environ(told)
    open_store(lake_url, os.environ)  # a wrong setting is one line here, before the server
    os.environ.update(told)  # which is how the server, the process that this one becomes, learns of an option
    serve_page(Path(__file__).with_name("app.py"), host, _port(port), "SIMULATOR_PORT")


@app.command("batch")
def put_batch(
    lake_url: Lake = DEFAULTS["LAKE_URL"],
    dataset: Annotated[str, typer.Option(metavar="orders|companydata", help="Which data to write.")] = "orders",
    files: Annotated[str, typer.Option(metavar="N", help="How many files.")] = "10",
    rows: Annotated[str, typer.Option(metavar="N", help="Rows per file of orders; companydata has always 24.")] = "100",
    seed: Seed = DEFAULTS["SIMULATOR_SEED"],
) -> None:
    """Put many files into the lake, then stop."""
    from simulator import batch, datasets  # make data, which a health check every few seconds need not load

    configure_logging()
    settings = Settings.from_environ({"LAKE_URL": lake_url, "SIMULATOR_SEED": seed})
    if dataset not in datasets.DATASETS:
        raise SettingError(f"--dataset is {dataset!r}: expected {' or '.join(datasets.DATASETS)}")
    count, length = whole("--files", files, 1, 1_000_000), whole("--rows", rows, 1, 10_000_000)
    print(batch.put_batch(open_store(settings.lake_url, os.environ), dataset, count, length, settings.seed))


@app.command()
def exam(
    seed: Annotated[str, typer.Option(metavar="N", help="Same seed, same exam.")],
    files: Annotated[str, typer.Option(metavar="N", help="How many files; 81 and more hold every kind.")] = "200",
    share: Annotated[str, typer.Option(metavar="PERCENT", help="Share of bad records in a file that has some.")] = "20",
    key: Annotated[
        str, typer.Option(metavar="FILE", help="Where the answer key goes; if not given, exam-N.json.")
    ] = "",
    bomb: Annotated[bool, typer.Option("--bomb", help="Add a small file that grows to 1 GiB.")] = False,
    lake_url: Lake = DEFAULTS["LAKE_URL"],
) -> None:
    """Put files with every kind of fault into the lake, and write what must come of each into an answer key."""
    from simulator.exam.exam import make_exam, put, write_key

    configure_logging()
    number, percent = whole("--seed", seed, 0, 2**31), whole("--share", share, 0, 100)
    path, store = Path(key or f"exam-{number}.json"), open_store(lake_url, os.environ)
    if "://" not in lake_url and path.resolve().is_relative_to(Path(lake_url).resolve()):
        raise SettingError(f"--key is {key!r}: expected a place outside the lake, for it holds the answers")
    if not path.parent.is_dir():
        raise SettingError(f"--key is {key!r}: there is no folder {str(path.parent)!r}")
    made = make_exam(number, whole("--files", files, 1, 100_000), percent / 100, with_bomb=bomb)
    write_key(made, path)
    print(f"{put(store, made)}; the answer key is {path}")


@app.command()
def grade(
    key: Annotated[Path, typer.Option(metavar="FILE", help="The answer key that `exam` wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    lake_url: Lake = DEFAULTS["LAKE_URL"],
) -> None:
    """Compare the lake with an answer key, whatever pipeline filled it; exit with 1 below 100 %."""
    from simulator.exam import grade as grading
    from simulator.exam.report import print_report

    answers = grading.read_key(key)
    report = grading.grade(open_store(lake_url, os.environ), answers)
    print_report(report, as_json=as_json)
    if report.mistakes:
        raise typer.Exit(1)


@app.command()
def health(port: Port = PORT, lake_url: Lake = DEFAULTS["LAKE_URL"]) -> None:
    """Exit with 0 if the running page says ok and the store answers, else 1."""
    # By a listing of next to nothing, for the source system's user may read nothing under raw/.
    store = open_store(lake_url, os.environ, PATIENCE)
    check_page(
        _port(port), lambda: list(store.list(f"{RAW}.health", set()))
    )  # one folder that cannot be read is no reason


def _port(text: str) -> int:
    return whole("SIMULATOR_PORT", text, 1, 65_535)


if __name__ == "__main__":
    run(app)
