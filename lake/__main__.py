"""Command line of the lake: `python -m lake init | certificates | put | list`."""

import logging
import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from common.cli import run
from common.errors import SettingError, StoreUnavailable
from common.logs import configure_logging
from common.retry import Backoff
from common.settings import takes_settings
from lake.certificates import keep_certificates
from lake.layout import RAW, wrong_dataset_name
from lake.settings import InitSettings, LakeSettings
from lake.stores import folder_of, open_store
from lake.stores.base import InvalidKey
from lake.stores.s3 import S3Store
from lake.stores.users import User, prepare, users_from

log = logging.getLogger("lake")

app = typer.Typer(
    help="Prepare the lake's store, make a cluster's certificates, put a file, list objects.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
@takes_settings
def init(
    settings: InitSettings,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the server.")] = 60,
) -> None:
    """Create the folder, or the bucket and its users, and test them with a put and a get; safe to repeat.

    SIMULATOR_USER, PIPELINE_USER, WORKER_USER and READER_USER name the users, each with its …_PASSWORD. Users that
    had these roles under another name are removed, and so are keys that a user created for itself.
    """
    if settings.tls:
        keep_certificates(settings.tls)
    store = open_store(settings.lake, os.environ)
    users = _prepare(store, wait) if isinstance(store, S3Store) else []
    typer.echo(f"ready: {store.url}" + (f", users {', '.join(user.access_key for user in users)}" if users else ""))


def _prepare(store: S3Store, seconds: float) -> list[User]:
    """Create the bucket and its users as soon as the server answers, and return the users."""
    users = users_from(os.environ)
    try:
        Backoff(log, store=store.endpoint).retry(partial(prepare, store, users), seconds=seconds)
    except StoreUnavailable as error:
        raise SettingError(f"AWS_ENDPOINT_URL: no lake there within {seconds:.0f} s: {error}") from error
    return users


@app.command()
def certificates(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where ca.pem, cert.pem and key.pem belong.")],
) -> None:
    """Make the certificates of a cluster, unless the folder has good ones that last for 90 days more."""
    keep_certificates(folder)


@app.command()
@takes_settings
def put(
    settings: LakeSettings,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file to send.")],
    dataset: Annotated[str, typer.Option(help="Put it into this dataset's folder, under the file's own name.")] = "",
    key: Annotated[str, typer.Option(help="Put it under this key instead.")] = "",
) -> None:
    """Put a file into the lake, atomically."""
    if bool(dataset) == bool(key):
        raise SettingError("say where to put the file: either --dataset NAME or --key KEY")
    if dataset and (wrong := wrong_dataset_name(dataset)):
        raise SettingError(f"--dataset (DATASET of `make put`): {wrong}")
    target = key or f"{RAW}{dataset}/{file.name}"
    try:
        open_store(settings.lake, os.environ).put(target, file)
    except ValueError as error:
        raise SettingError(str(error)) from error
    typer.echo(f"put {target} ({file.stat().st_size:,} bytes)")


@app.command("list")
@takes_settings
def list_objects(
    settings: LakeSettings, prefix: Annotated[str, typer.Argument(help="Only keys that start with this.")] = ""
) -> None:
    """List the lake's objects: size, time of the last change (UTC), key."""
    if (folder := folder_of(settings.lake)) and not folder.is_dir():
        raise SettingError(f"LAKE_URL: there is no folder {folder}: name the lake's, or make one: python -m lake init")
    try:
        for item in open_store(settings.lake, os.environ).list(prefix):
            typer.echo(f"{item.size:>14,}  {item.modified:%Y-%m-%dT%H:%M:%SZ}  {item.key}")
    except InvalidKey as error:
        raise SettingError(str(error)) from error


if __name__ == "__main__":
    configure_logging()
    run(app)
