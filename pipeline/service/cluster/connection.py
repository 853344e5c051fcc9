"""Dask's own settings and loggers, as pipeline, scheduler and workers use them."""

import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import Security

from common.errors import SettingError
from common.logs import fields
from lake.certificates import read_certificates
from lake.stores import folder_of

CONFIG: dict[str, Any] = {
    "distributed.comm.timeouts.connect": "10s",
    "distributed.comm.timeouts.tcp": "15s",  # of silence, until a connection counts as lost
    "distributed.scheduler.worker-ttl": "15s",  # the same for a worker's heartbeat
    "distributed.scheduler.allowed-failures": 0,  # the ledger decides what is loaded again
    # What is of no use to loads, and takes more processor time than all other parts of Dask together.
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.diagnostics.cudf": False,
    "distributed.admin.low-level-log-length": 100,  # old events, such as replies, that a scheduler keeps
}

LOGGERS = ("distributed", "distributed.client", "distributed.scheduler", "distributed.worker", "bokeh", "tornado")
REACH_SECONDS = 5.0  # that a scheduler may take to accept a connection

log = logging.getLogger(__name__)


def configure() -> None:
    """Set Dask's settings for this process, and have its errors go where our log lines go."""
    dask.config.set(CONFIG)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.ERROR)
    # It logs a traceback for each connection that is lost, and we have one line for that.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)


def without_spans(extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Return Dask's extensions without one that keeps a record for good whenever a cluster was idle."""
    return {name: extension for name, extension in extensions.items() if name != "spans"}


def refuse_folder(lake_url: str) -> None:
    """Raise `SettingError` for a lake in a folder, which has no conditional puts."""
    if folder_of(lake_url):
        raise SettingError(
            f"LAKE_URL is {lake_url!r}, and PIPELINE_SCHEDULER is set: a cluster needs a bucket (s3://lake). A folder "
            "has no conditional puts, so a worker that was given up could replace a newer result"
        )


def check_address(address: str) -> None:
    """Check the address of a scheduler; `SettingError` if it cannot be one."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or not port:
        raise SettingError(f"PIPELINE_SCHEDULER is {address!r}: expected tls://HOST:PORT or tcp://HOST:PORT")


def cluster_security(address: str, folder: Path | None) -> Security:
    """Return how a member of the cluster at `address` proves itself, and knows the others.

    Raises:
        SettingError: the address is none, or the folder has no good certificates.
    """
    check_address(address)
    if address.startswith("tcp://"):
        risk = "who reaches a port of this cluster can run any code in it"
        log.warning(fields("no encryption", scheduler=address, risk=risk, action="use tls:// on a network with others"))
        return Security()
    if not folder:
        raise SettingError(f"CLUSTER_TLS is not set: {address} needs the folder of the cluster's certificates")
    found = read_certificates(folder)
    roles: dict[str, str] = {}
    for role in ("client", "scheduler", "worker"):
        roles |= {f"tls_{role}_cert": found.cert, f"tls_{role}_key": found.key}
    return Security(require_encryption=True, tls_ca_file=found.ca, **roles)


def reach(address: str, trust: Security) -> str:
    """Connect to a scheduler and close; return the address of this machine on the way to it.

    `OSError` says why it cannot be reached, or is not of this cluster.

    Dask itself tries again and again, and tells only that the time was up.
    """
    parts = urlsplit(address)
    assert parts.hostname
    assert parts.port
    with socket.create_connection((parts.hostname, parts.port), REACH_SECONDS) as connection:
        here = str(connection.getsockname()[0])
        if parts.scheme == "tls":
            context = trust.get_connection_args("client")["ssl_context"]
            context.wrap_socket(connection).close()
    return here
