"""The settings that every program has: where the lake is, and how its bucket is reached."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True)
class LakeSettings:
    """Settings of the lake: its folder or bucket."""

    lake: Annotated[str, typer.Option(envvar="LAKE_URL", help="The lake: a folder, or a bucket: s3://lake.")] = (
        "./data/lake"
    )


@dataclass(frozen=True)
class BucketSettings:
    """Server and keys of a bucket: only variables, because other users can see the options of a command."""

    endpoint: Annotated[str, typer.Option(envvar="AWS_ENDPOINT_URL", help="Server of a bucket: http://HOST:PORT.")] = ""
    access_key: Annotated[str, typer.Option(envvar="AWS_ACCESS_KEY_ID", help="User of the bucket.")] = ""
    secret_key: Annotated[str, typer.Option(envvar="AWS_SECRET_ACCESS_KEY", help="Password of that user.")] = ""
    region: Annotated[str, typer.Option(envvar="AWS_REGION", help="Region of the bucket.")] = "us-east-1"


@dataclass(frozen=True)
class ClusterSettings:
    """Settings of a cluster's members: their certificates."""

    tls: Annotated[
        Path | None,
        typer.Option(envvar="CLUSTER_TLS", help="Folder of the cluster's certificates: ca.pem, cert.pem, key.pem."),
    ] = None


@dataclass(frozen=True)
class InitSettings(LakeSettings, ClusterSettings):
    """Settings for preparing the lake and, where its folder is named, the cluster's certificates."""
