"""Commands for the author of a contract: `contract check`, `contract draft`, `dry-run`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from common.errors import SettingError
from common.settings import takes_settings
from lake.stores import open_store
from pipeline.commands.output import show_outcome
from pipeline.dataset import draft
from pipeline.dataset.dataset import read_dataset, read_datasets
from pipeline.dataset.definition import contract_paths
from pipeline.load.dry_run import dry_run
from pipeline.settings import DatasetSettings, ReadSettings

app = typer.Typer()
contracts = typer.Typer(help="Check the contracts, or draft one for a file of yours.", no_args_is_help=True)
app.add_typer(contracts, name="contract")


@app.command("dry-run")
@takes_settings
def run_dry(
    settings: ReadSettings, key: Annotated[str, typer.Argument(help="A file, like raw/companydata/a.csv.")]
) -> None:
    """Read one file as a load would, and print the outcome; exit with 1 if any record would be rejected.

    Nothing is written, so it can run beside a pipeline: under a debugger, or to try a contract.
    """
    datasets = read_datasets(settings.datasets, settings.limits)
    record, problems = dry_run(open_store(settings.lake, os.environ), datasets, key)
    show_outcome(record, problems)
    raise typer.Exit(1 if problems else 0)


@contracts.command("check")
@takes_settings
def check_contracts(
    settings: DatasetSettings,
    files: Annotated[list[Path] | None, typer.Argument(help="Contracts; by default all in the folder.")] = None,
) -> None:
    """Read contracts and their transforms as the pipeline does; exit with 1 if one of them is wrong."""
    failed = False
    for path in files or contract_paths(settings.datasets):
        try:
            read_dataset(path)
            typer.echo(f"{path}: ok")
        except (SettingError, OSError) as error:
            typer.echo(error if isinstance(error, SettingError) else f"{path}: {error.strerror}")
            failed = True
    raise typer.Exit(1 if failed else 0)


@contracts.command("draft")
def draft_contract(
    file: Annotated[Path, typer.Argument(help="A file of any format that is loaded, with a header.")],
    name: Annotated[str, typer.Option(help="Name of the dataset; by default from the file's name.")] = "",
) -> None:
    """Print a first contract for a file, and on stderr a note for each guess that a person should check."""
    try:
        with file.open("rb") as stream:
            contract, notes = draft.draft(stream, file.name, name or draft.dataset_name(file.name))
    except OSError as error:
        raise SettingError(f"{file}: {error.strerror}") from None
    typer.echo(draft.to_text(contract))
    for note in notes:
        typer.echo(f"note: {note}", err=True)
