"""Commands on rejected records: `rejects export`."""

import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from common.errors import SettingError
from common.logs import printable
from common.settings import takes_settings
from lake.export_rejects import Export, SourceForm, export_rejects
from lake.layout import RAW, source
from lake.mending import MENDS
from lake.rejects import CannotExport
from lake.stores import open_store
from pipeline.model.read_contract import read_contract
from pipeline.settings import ReadSettings

rejects = typer.Typer(help="Export the rejected records of a file, to correct them and put them back.")
app = typer.Typer()
app.add_typer(rejects, name="rejects")


@rejects.command("export")
@takes_settings
def export(
    settings: ReadSettings,
    key: Annotated[str, typer.Argument(help="A file with rejects, like raw/companydata/a.csv.")],
    out: Annotated[str, typer.Option(help="File to write, or - for stdout; by default the proposed name.")] = "",
) -> None:
    """Write the rejected records of a file as a file of the same format, and print how to put it back.

    Records that are mended already are left out.
    """
    origin = source(key, {key.removeprefix(RAW).partition("/")[0]})  # the contract says whether it is read
    if not key.startswith(RAW) or origin.ignored:
        raise SettingError(f"KEY is {key!r}: {origin.ignored or 'expected one that begins with raw/'}")
    path = settings.datasets / f"{origin.dataset}.json"
    if not path.exists():
        raise SettingError(f"there is no contract {path}: it says how {key} is written")
    contract = read_contract(path)
    store = open_store(settings.lake, os.environ)
    try:
        with tempfile.TemporaryFile() as file:
            dialect = contract.dialect.model_dump(exclude_unset=True)
            form = SourceForm(contract.encoding, dialect, len(contract.fields))
            result = export_rejects(store, key, form, cast(BinaryIO, file), settings.limits.grown)
            file.seek(0)
            name = out or result.key.rpartition("/")[2]
            _write(cast(BinaryIO, file), name)
    except FileNotFoundError:
        raise SettingError(f"KEY is {key!r}: there is no such file in {store.url}") from None
    except CannotExport as error:
        raise SettingError(str(error)) from None
    _show(key, result, name)


def _write(content: BinaryIO, name: str) -> None:
    """Write a file that is not there yet: a file that is there may have a person's corrections."""
    if name == "-":
        shutil.copyfileobj(content, sys.stdout.buffer)
        return
    try:
        with Path(name).open("xb") as file:
            shutil.copyfileobj(content, file)
    except FileExistsError:
        raise SettingError(f"--out: {name} is there already: remove it, or name another file") from None
    except OSError as error:
        raise SettingError(f"--out: {name}: {error.strerror}") from None


def _show(key: str, result: Export, name: str) -> None:
    """Print what was written, and what to do next, on stderr: stdout may have the file."""
    records = f"{result.records:,} rejected {'record' if result.records == 1 else 'records'} of {key}"
    left_out = f"; {result.mended:,} more are mended already" if result.mended else ""
    typer.echo(printable(f"wrote {name if name != '-' else 'to stdout'}: {records}{left_out}"), err=True)
    put = f"python -m lake put {shlex.quote(name) if name != '-' else 'FILE'} --key {shlex.quote(result.key)}"
    typer.echo(printable(f"correct it, keep its column {MENDS}, then put it as {result.key}: {put}"), err=True)
